# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The certificate of a manager, the authorities that it trusts, and the certificates of devices. Nothing of it is secret.

The key of the manager's certificate is own_keys.certified().
"""

import hashlib

from dice.codes import USAGE_CLIENT, USAGE_SERVER
from dice.crypto import curve, ecdsa
from dice.dtls.kx_cert import write_chain
from dice.errors import DiceError
from dice.x509.certificate import Certificate as read_leaf
from dice.x509.chain import Trust, verify
from dicectl.errors import USAGE, CommandError
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.public_keys import CERTIFICATE, PublicKey
from dicectl.reasons import describe

OFFERED_MAX_BYTES = 1100  # of a chain that goes to a device in one CoAP message
# {"chain": [DER in hex, ...], "anchors": likewise, "name": of the manager in its certificate, "pins": [fingerprint in hex, ...]}
SETTING = "certificate"


def decoded(texts):
    """Return certificates in hex as bytes; raises ValueError."""
    return [bytes.fromhex(text) for text in texts]


def trust(setting):
    """Return the Trust of a setting; raises PeerError, ValueError."""
    return Trust(decoded(setting["anchors"]))


def checked(registry, chain, anchors, private, pins=None):
    """Return the setting for the chain of a private key of the manager, and more anchors beside its own; raises CommandError.

    `pins`: the keys, fingerprints in hex, one of which devices will demand of it, in addition; None: those of before.
    """
    before = registry.setting(SETTING) or {"anchors": []}
    pins = before.get("pins", []) if pins is None else list(dict.fromkeys(pins))
    found = {"chain": chain, "anchors": list(dict.fromkeys([*before["anchors"], *anchors])), "pins": pins}
    try:
        pinned = Trust(decoded(anchors or before["anchors"]), [_fingerprint(decoded(chain)[0], None)])
        leaf = verify(decoded(chain), pinned, None, int(registry.now()), USAGE_SERVER)
        trust(found)
    except (DiceError, ValueError, IndexError) as error:
        raise CommandError(f"this certificate cannot be that of a manager: {describe(error)}", USAGE)
    if leaf.point != curve.public(private):
        raise CommandError("this certificate is of another key than that of the manager", USAGE)
    if not leaf.names:
        raise CommandError("the certificate of a manager needs a DNS name", USAGE)
    name = leaf.names[0].decode()
    try:
        verify(decoded(chain), Trust(decoded(found["anchors"]), decoded(pins)), name, int(registry.now()), USAGE_SERVER)
    except DiceError:  # all but the pins was checked above
        told = "devices that pin keys would refuse this certificate: neither its key nor one of its authorities is pinned"
        raise CommandError(f"{told}; --pin pins others in devices that follow, --no-pins none", USAGE)
    return {**found, "name": name}


def certify(registry, chain, anchors, private=None, pins=None):
    """Store the chain of the manager, and more anchors, DER in hex; raises CommandError.

    `private`: its new private key, if any; `pins` as for checked().
    """
    setting = checked(registry, chain, anchors, private or own_keys.certified(registry), pins)
    with registry.together():
        registry.store_setting(SETTING, setting)
        if private:
            registry.store_own_key(CERTIFICATE, private)
        registry.log("certified", name=setting["name"], **({} if pins is None else {"pins": setting["pins"]}))


def _fingerprint(der, leaf):
    """Return the fingerprint of the key of a certificate."""
    return hashlib.sha256((leaf or read_leaf(der)).spki).digest()


def following(registry, identity, chain):
    """Return (PublicKey, chain as devices get it) of a chain, DER in hex, that is to follow that of a device; raises CommandError.

    It has to end later than what the device has.
    """
    key = of_device(registry, chain)
    encoded = decoded(chain)
    written = write_chain(encoded, read_leaf(encoded[0]).point)
    if len(written) > OFFERED_MAX_BYTES:
        raise CommandError(f"this chain has {len(written)} bytes, and {OFFERED_MAX_BYTES} fit a datagram to a device", USAGE)
    present = registry.public.get(identity)
    if present and present.kind == CERTIFICATE and present.expires() >= key.not_after:
        raise CommandError("this certificate ends no later than the one that the device has", USAGE)
    return key, written


def of_device(registry, chain):
    """Return the PublicKey of a device with this chain, DER in hex, that the manager trusts; raises CommandError."""
    setting = registry.setting(SETTING)
    if setting is None:
        raise CommandError("this manager has no certificate yet: dicectl manager certify CA --name DNS_NAME", USAGE)
    try:
        anchors, encoded = trust(setting), decoded(chain)
        leaf = verify(encoded, anchors, None, int(registry.now()), USAGE_CLIENT)
    except (DiceError, ValueError) as error:
        raise CommandError(f"the manager does not trust this certificate: {describe(error)}", USAGE)
    if len(encoded) > 1:
        issuer = _fingerprint(encoded[1], None)
    else:  # anchors may have the same name
        issued = (anchor for anchor in anchors.anchors if ecdsa.verify(anchor.point, leaf.digest, leaf.signature))
        issuer = _fingerprint(None, next(issued, leaf))  # an anchor may be a device's own certificate
    dates = {"not_before": leaf.not_before, "not_after": leaf.not_after}
    return PublicKey(CERTIFICATE, _fingerprint(None, leaf), leaf.names[0].decode(), issuer, **dates)
