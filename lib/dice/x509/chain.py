# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Verifies a chain of certificates (RFC 5280, section 6; RFC 7925, section 4.4) from its leaf up to a trust anchor.

    leaf  <-signs-  issuer  <-signs-  ...  <-signs-  anchor, from provisioning

Everything that costs little is checked first, then signatures from the anchor down: a certificate that no anchor stands for costs
one of them, however many are sent. There is no search: each certificate certifies the one before it (RFC 5246, section 7.4.2), and
names are compared byte by byte.

Mistake                                                         alert
    more than CERTIFICATES_MAX, no anchor, an issuer that may
    not issue, a path that is too long                          unknown_ca
    a signature, and what `certificate` says                    bad_certificate
    a usage, and what `certificate` says                        unsupported_certificate
    time                                                        certificate_expired
    the name, a key that is not pinned                          certificate_unknown
    anything that is no DER                                     decode_error
"""

from .._typing import TYPING
from ..codes import (
    ALERT_BAD_CERTIFICATE,
    ALERT_CERTIFICATE_EXPIRED,
    ALERT_CERTIFICATE_UNKNOWN,
    ALERT_UNKNOWN_CA,
    ALERT_UNSUPPORTED_CERTIFICATE,
    DIGITAL_SIGNATURE,
    KEY_CERT_SIGN,
    USAGE_CLIENT,
)
from ..crypto import ecdsa, sha256
from ..errors import PeerError
from ..limits import CERTIFICATES_MAX
from ..reasons import E_CERTIFICATE
from .certificate import Certificate
from .der import require

if TYPING:
    from collections.abc import Sequence


class Trust:
    """The certificates and keys from provisioning that a device trusts."""

    def __init__(self, anchors: "Sequence[bytes]", pins: "Sequence[bytes]" = (), since: int = 0) -> None:
        """Read the anchors; raises PeerError.

        * `anchors`: certificates in DER. One whose BasicConstraints says so may issue others; each is also trusted as it is.
        * `pins`: SHA-256 of SubjectPublicKeyInfos, 32 bytes each. If there are any, a chain must contain one of these keys,
          in addition to all other checks.
        * `since`: seconds since 1970-01-01, a time that is certainly over, such as that of provisioning. On a device without a
          clock, a certificate that ended before it has expired.
        """
        self.anchors = list(map(Certificate, anchors))
        self.pins = pins
        self.since = since
        self.keys = []  # subjects and keys of the anchors
        for anchor in self.anchors:
            self.since = max(self.since, anchor.not_before)
            self.keys.append(anchor.subject + anchor.spki)


def _path(certificates, trust):
    """Return the certificates below an anchor, the leaf first."""
    require(0 < len(certificates) <= CERTIFICATES_MAX, ALERT_UNKNOWN_CA)
    path = []
    for der in certificates:
        certificate = Certificate(der)
        if path:
            require(certificate.subject == path[-1].issuer, ALERT_UNKNOWN_CA)
            if certificate.subject + certificate.spki in trust.keys:
                break
        path.append(certificate)
    return path


def _check(path, trust, name, now, usage):
    """Check a path from the leaf to an anchor; a leaf that is an anchor itself is alone."""
    leaf = path[0]
    believed = len(path) == 1
    below = 0  # issuers that count below the one that is looked at (RFC 5280, section 4.2.1.9)
    pinned = False
    named = believed
    for certificate in path:
        early = now is not None and now < certificate.not_before
        late = certificate.not_after < (trust.since if now is None else now)
        require(not early and not late, ALERT_CERTIFICATE_EXPIRED)
        may = certificate.key_usage & DIGITAL_SIGNATURE and (believed or not certificate.ca)
        if certificate is not leaf:
            may = certificate.ca and certificate.key_usage & KEY_CERT_SIGN
            require(may and (certificate.path_max is None or below <= certificate.path_max), ALERT_UNKNOWN_CA)
            below += certificate.subject != certificate.issuer
        require(may and certificate.extended & usage, ALERT_UNSUPPORTED_CERTIFICATE)
        if sha256(certificate.spki).digest() in trust.pins:
            pinned = True
            named = named or certificate is leaf
    if name is not None:
        named = name.lower().encode() in leaf.names if isinstance(name, str) else name in leaf.addresses
    elif usage == USAGE_CLIENT:
        named = leaf.names
    require(named and (pinned or not trust.pins), ALERT_CERTIFICATE_UNKNOWN)
    while len(path) > 1:
        issuer = path.pop()
        require(ecdsa.verify(issuer.point, path[-1].digest, path[-1].signature), ALERT_BAD_CERTIFICATE)


def verify(certificates, trust, name, now, usage):
    """Return the leaf of a chain that may be believed; raises PeerError with the alert for the peer.

    certificates    in DER, the leaf first, as a peer sends them; with or without the anchor
    name            whom we expect: a DNS name or an EUI-64 as str, 4 or 16 bytes of an address, or None: of a client, anybody with
                    a name, which is names[0]; of a server, nobody but an anchor itself or a pinned key
    now             seconds since 1970-01-01, or None on a device without a clock: then `trust.since` decides what has expired
    usage           what the peer is: USAGE_SERVER or USAGE_CLIENT
    """
    path = _path(certificates, trust)
    error = PeerError(ALERT_UNKNOWN_CA, E_CERTIFICATE)
    for anchor in trust.anchors:
        try:
            if anchor.der == path[0].der:
                _check([anchor], trust, name, now, usage)
            elif anchor.subject == path[-1].issuer:
                _check(path + [anchor], trust, name, now, usage)
            else:
                continue
            return path[0]
        except PeerError as failed:
            error = failed
    raise error
