# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The certificate of a manager, the authorities that it trusts, and the certificates of devices. Nothing of it is secret.

The key of the manager's certificate is that of own_keys.
"""

import hashlib

from dice.codes import USAGE_CLIENT, USAGE_SERVER
from dice.errors import DiceError
from dice.x509.chain import Trust, verify
from dicectl.errors import USAGE, CommandError
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.public_keys import CERTIFICATE, PublicKey
from dicectl.reasons import describe

SETTING = "certificate"  # {"chain": [DER in hex, ...], "anchors": likewise, "name": of the manager in its certificate}


def decoded(texts):
    """Return certificates in hex as bytes; raises ValueError."""
    return [bytes.fromhex(text) for text in texts]


def trust(setting):
    """Return the Trust of a setting; raises PeerError, ValueError."""
    return Trust(decoded(setting["anchors"]))


def checked(registry, chain, anchors):
    """Return the setting for the manager's own chain, and more anchors beside those that it has; raises CommandError."""
    before = registry.setting(SETTING) or {"anchors": []}
    found = {"chain": chain, "anchors": list(dict.fromkeys([*before["anchors"], *anchors]))}
    try:
        leaf = verify(
            decoded(chain),
            Trust(decoded(anchors), [_fingerprint(decoded(chain)[0], None)]),
            None,
            int(registry.now()),
            USAGE_SERVER,
        )
        trust(found)
    except (DiceError, ValueError, IndexError) as error:
        raise CommandError(f"this certificate cannot be that of a manager: {describe(error)}", USAGE)
    if leaf.point != own_keys.point(registry):
        raise CommandError("this certificate is of another key than that of the manager", USAGE)
    if not leaf.names:
        raise CommandError("the certificate of a manager needs a DNS name", USAGE)
    return {**found, "name": leaf.names[0].decode()}


def _fingerprint(der, leaf):
    """Return the fingerprint of the key of a certificate."""
    from dice.x509.certificate import Certificate

    return hashlib.sha256((leaf or Certificate(der)).spki).digest()


def of_device(registry, chain):
    """Return the PublicKey of a device with this chain, DER in hex, that the manager trusts; raises CommandError."""
    setting = registry.setting(SETTING)
    if setting is None:
        raise CommandError("this manager has no certificate yet: dicectl manager certify", USAGE)
    try:
        anchors, encoded = trust(setting), decoded(chain)
        leaf = verify(encoded, anchors, None, int(registry.now()), USAGE_CLIENT)
    except (DiceError, ValueError) as error:
        raise CommandError(f"the manager does not trust this certificate: {describe(error)}", USAGE)
    if len(encoded) > 1:
        issuer = _fingerprint(encoded[1], None)
    else:
        issuer = next(_fingerprint(None, anchor) for anchor in anchors.anchors if anchor.subject == leaf.issuer)
    dates = {"not_before": leaf.not_before, "not_after": leaf.not_after}
    return PublicKey(CERTIFICATE, _fingerprint(None, leaf), leaf.names[0].decode(), issuer, **dates)
