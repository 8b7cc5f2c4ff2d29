# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The public keys of devices: raw public keys (RFC 7250) and certificates. The registry knows no private key of a device.

A session of a raw public key has the identity SHA-256 of its SubjectPublicKeyInfo, the fingerprint; one of a certificate the name
in its SAN. Both belong to one device, by `of_session`. A name is not enough: a certificate has to be one of the key that the
registry has the fingerprint of. So a device that is replaced, or has another key, is locked out at once, whatever its certificate
says, and however long that is valid.
"""

import math
from dataclasses import dataclass, replace

from dicectl.errors import USAGE, CommandError

PSK = "psk"
RPK = "rpk"
CERTIFICATE = "certificate"
FINGERPRINT_BYTES = 32


@dataclass(frozen=True)
class PublicKey:
    """The public key of a device, and that to which it changes."""

    kind: str  # RPK, CERTIFICATE
    fingerprint: bytes  # SHA-256 of its SubjectPublicKeyInfo
    name: str | None = None  # of its certificate
    issuer: bytes | None = None  # the fingerprint of the key that has signed its certificate
    is_wanted: bool = False  # whether the device is to make another key
    following: bytes | None = None  # the fingerprint of that one: both are good
    not_before: int | None = None  # of the certificate that the device has; None: that of an older registry, which does not expire
    not_after: int | None = None
    offered: bytes | None = None  # the certificate that follows, and its issuers, until the device has stored them (kx_cert)
    revoked_at: float | None = None  # since then its authority says that nobody is to believe it

    def __post_init__(self):
        fingerprints = [each for each in (self.fingerprint, self.issuer, self.following) if each is not None]
        if self.kind not in (RPK, CERTIFICATE) or any(len(each) != FINGERPRINT_BYTES for each in fingerprints):
            raise CommandError("this is no public key of a device", USAGE)
        if (self.name is not None) != (self.kind == CERTIFICATE) or (self.name is not None and not self.name):
            raise CommandError("a certificate has a name, and nothing else has one", USAGE)

    def identities(self):
        """Return the identities of sessions that this device may have, bytes."""
        if self.kind == CERTIFICATE:
            return [self.name.encode()]
        return [self.fingerprint] + ([self.following] if self.following else [])

    def fingerprints(self):
        """Return all fingerprints, each of which is one device's."""
        return [self.fingerprint] + ([self.following] if self.following else [])

    def expires(self):
        """Return when the last certificate ends that this device has or is about to get, in seconds since 1970-01-01."""
        if self.not_after is None:
            return math.inf
        return self.not_after if self.offered is None else max(self.not_after, leaf(self.offered).not_after)

    def beginnings(self):
        """Return notBefore of the certificates that this device has or is about to get, in seconds since 1970-01-01."""
        return [self.not_before] + ([leaf(self.offered).not_before] if self.offered else [])

    def offering(self, fingerprint):
        """Return this key with the one that it changes to."""
        return replace(self, is_wanted=True, following=fingerprint)

    def wanting(self):
        """Return this key, which is to be changed."""
        return replace(self, is_wanted=True)

    def changed(self):
        """Return the key that this one changes to."""
        return replace(self, fingerprint=self.following, is_wanted=False, following=None)


def leaf(chain):
    """Return the dice.x509.certificate.Certificate of a device, from its chain as kx_cert.write_chain() returns it."""
    from dice.dtls.kx_cert import read_chain  # here, because commands that need the names above show their help at once
    from dice.wire import Reader
    from dice.x509.certificate import Certificate

    return Certificate(read_chain(Reader(chain))[0])


class PublicKeys(dict):
    """{identity of a device: PublicKey}, with an index of the identities of sessions; index() after each change from outside."""

    def __init__(self):
        super().__init__()
        self._sessions = {}  # {identity of a session: that of the device}
        self._fingerprints = {}  # {fingerprint: that of the device}

    def index(self):
        """Build the indices anew."""
        self._sessions = {session: identity for identity, key in self.items() for session in key.identities()}
        self._fingerprints = {fingerprint: identity for identity, key in self.items() for fingerprint in key.fingerprints()}

    def of_session(self, session_identity):
        """Return the identity of the device to which that of a session belongs, or None."""
        return self._sessions.get(session_identity)

    def find(self, kind, session_identity, now=None):
        """Return the fingerprint that a client of this kind has to prove, bytes, or None if it may not connect.

        `now`: seconds since 1970-01-01, for certificates.
        """
        key = self.get(self._sessions.get(session_identity))
        if key is None or key.kind != kind or key.revoked_at is not None or (now is not None and now > key.expires()):
            return None
        return key.fingerprint if kind == CERTIFICATE else session_identity

    def check_free(self, key, identity=None):
        """Raise CommandError if another device than `identity` has this fingerprint or name: two devices would be one."""
        if any(self._fingerprints.get(each, identity) != identity for each in key.fingerprints()):
            raise CommandError("another device has this key: let this one make a new key", USAGE)
        if any(self._sessions.get(each, identity) != identity for each in key.identities()):
            raise CommandError(f"another device has a certificate of the name {key.name}: use another name", USAGE)
