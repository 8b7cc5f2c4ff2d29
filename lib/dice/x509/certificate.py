# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Reads an X.509 certificate (RFC 5280, section 4) of the profile of RFC 7925, section 4.4: version 3, a key on P-256, signed with
ecdsa-with-SHA256.

    Certificate    ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue BIT STRING }
    TBSCertificate ::= SEQUENCE { version [0], serialNumber INTEGER, signature, issuer Name, validity, subject Name,
                                  subjectPublicKeyInfo, extensions [3] }

What is wrong raises PeerError: decode_error if it is no DER, bad_certificate if DER contains what RFC 5280 forbids,
unsupported_certificate if it is of another profile.
"""

from .._compat import const
from ..codes import (
    ALERT_BAD_CERTIFICATE,
    ALERT_UNSUPPORTED_CERTIFICATE,
    DER_BIT_STRING,
    DER_GENERALIZED_TIME,
    DER_OBJECT_IDENTIFIER,
    DER_OCTET_STRING,
    DER_SEQUENCE,
    DER_SET,
    DER_UTC_TIME,
    KEY_CERT_SIGN,
    USAGE_CLIENT,
    USAGE_SERVER,
)
from ..crypto import sha256
from ..limits import CERTIFICATE_EXTENSIONS_MAX
from .der import Der, require

_VERSION = const(0xA0)
_EXTENSIONS = const(0xA3)
_DNS_NAME = const(0x82)
_IP_ADDRESS = const(0x87)

_ECDSA_SHA256 = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
_SPKI_HEAD = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"
_NAME = b"-.0123456789_abcdefghijklmnopqrstuvwxyz"
_P = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def _bits(data):
    """Return the first byte of the contents of a BIT STRING of named bits (X.690, section 11.2.2): it has no zeros at its end."""
    require(len(data) > 1 and data[-1] & -data[-1] == 1 << data[0])
    return data[1]


def _made_of(data, characters):
    """Return whether there is data, and nothing but these characters."""
    for one in data:
        if one not in characters:
            return False
    return len(data) > 0


def _is_eui64(data):
    """Return whether this is an EUI-64 (RFC 7925, section 4.4.2): HH-HH-HH-HH-HH-HH-HH-HH, H in capitals."""
    for at in range(23):
        if data[at : at + 1] not in (b"-" if at % 3 == 2 else b"0123456789ABCDEF"):
            return False
    return len(data) == 23


def _time(reader):
    """Return a Time as seconds since 1970-01-01 (RFC 5280, section 4.1.2.5): UTCTime until 2049, then GeneralizedTime."""
    utc = reader.tag() == DER_UTC_TIME
    text = reader.bytes(DER_UTC_TIME if utc else DER_GENERALIZED_TIME)
    if utc:
        text = (b"20" if text < b"5" else b"19") + text
    require(len(text) == 15 and text[14:] == b"Z" and text[:14].isdigit(), ALERT_BAD_CERTIFICATE)
    year, month, day, hour, minute, second = (int(text[at : at + 2]) for at in (2, 4, 6, 8, 10, 12))
    year += int(text[:2]) * 100
    require(utc or year > 2049, ALERT_BAD_CERTIFICATE)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    last = 28 + leap if month == 2 else 30 + (month + month // 8) % 2
    require(0 < month < 13 and 0 < day <= last and hour < 24 and minute < 60 and second < 60, ALERT_BAD_CERTIFICATE)
    if month < 3:
        month += 12
        year -= 1
    days = year * 365 + year // 4 - year // 100 + year // 400 + (month * 153 - 457) // 5 + day - 719469
    return ((days * 24 + hour) * 60 + minute) * 60 + second


class Certificate:
    """A certificate: what it says, not whether that is true.

    der                     the certificate
    subject, issuer         Name in DER
    spki, point             SubjectPublicKeyInfo in DER, 91 bytes; the point in it, 65 bytes
    not_before, not_after   seconds since 1970-01-01; both belong to the period
    names                   bytes in lower case: each dNSName of its SAN, or, if there is none, an EUI-64 of its subject
    addresses               each iPAddress of its SAN, 4 or 16 bytes
    ca, path_max            BasicConstraints: whether it may issue certificates, and how many may do so below it, or None
    key_usage               the first 8 bits of KeyUsage, or -1 if it is absent: all are allowed
    extended                ExtendedKeyUsage: bit 1 for serverAuth, bit 2 for clientAuth; -1 if it is absent
    digest, signature       SHA-256 of what the issuer has signed, and its signature in DER
    """

    def __init__(self, der):
        """Read a certificate in DER; raises PeerError."""
        self.der = der
        self.names = []
        self.addresses = []
        self.ca = False
        self.path_max = None
        self.key_usage = self.extended = -1
        reader = Der(der, 0, len(der))
        whole = reader.take(DER_SEQUENCE)
        reader.end()
        start = whole.at
        reader = whole.take(DER_SEQUENCE)
        self.digest = sha256(der[start : whole.at]).digest()
        algorithm = whole.whole(DER_SEQUENCE)
        signature = whole.bytes(DER_BIT_STRING)
        whole.end()
        require(reader.tag() == _VERSION and reader.whole(_VERSION) == b"\xa0\3\2\1\2", ALERT_UNSUPPORTED_CERTIFICATE)
        serial = reader.uint()
        require(0 < serial < 1 << 160, ALERT_BAD_CERTIFICATE)
        require(algorithm == reader.whole(DER_SEQUENCE), ALERT_BAD_CERTIFICATE)
        require(algorithm == _ECDSA_SHA256, ALERT_UNSUPPORTED_CERTIFICATE)
        require(signature[:1] == b"\0")
        self.signature = signature[1:]
        self.issuer = reader.whole(DER_SEQUENCE)
        require(len(self.issuer) > 2, ALERT_BAD_CERTIFICATE)  # a name that is not empty
        validity = reader.take(DER_SEQUENCE)
        self.not_before = _time(validity)
        self.not_after = _time(validity)
        validity.end()
        self.subject = reader.whole(DER_SEQUENCE)
        self.spki = reader.whole(DER_SEQUENCE)
        self.point = self.spki[-65:]
        self._check_key()
        require(reader.tag() == _EXTENSIONS, ALERT_UNSUPPORTED_CERTIFICATE)
        extensions = reader.take(_EXTENSIONS)
        reader.end()
        reader = extensions.take(DER_SEQUENCE)
        extensions.end()
        self._read_extensions(reader)
        require(self.ca or self.key_usage < 0 or not self.key_usage & KEY_CERT_SIGN, ALERT_BAD_CERTIFICATE)
        self._read_subject()

    def _check_key(self):
        """Require a point on P-256, uncompressed (RFC 5480, section 2.2)."""
        require(len(self.spki) == 91 and self.spki.startswith(_SPKI_HEAD), ALERT_UNSUPPORTED_CERTIFICATE)
        x = int.from_bytes(self.point[1:33], "big")
        y = int.from_bytes(self.point[33:], "big")
        require(x < _P and y < _P and (y * y - (x * x - 3) * x - _B) % _P == 0, ALERT_BAD_CERTIFICATE)

    def _read_extensions(self, reader):
        """Read Extensions (RFC 5280, section 4.2): each once, unknown ones only if they are not critical."""
        seen = []
        require(reader.tag())
        while reader.tag():
            extension = reader.take(DER_SEQUENCE)
            kind = extension.bytes(DER_OBJECT_IDENTIFIER)
            critical = extension.true()
            value = extension.take(DER_OCTET_STRING)
            extension.end()
            require(kind not in seen and len(seen) < CERTIFICATE_EXTENSIONS_MAX, ALERT_BAD_CERTIFICATE)
            seen.append(kind)
            if kind == b"\x55\x1d\x0f":
                self.key_usage = _bits(value.bytes(DER_BIT_STRING))
            elif kind == b"\x55\x1d\x11":
                self._read_names(value.take(DER_SEQUENCE))
            elif kind == b"\x55\x1d\x13":
                inner = value.take(DER_SEQUENCE)
                self.ca = inner.true()
                if inner.tag():
                    require(self.ca, ALERT_BAD_CERTIFICATE)
                    self.path_max = inner.uint()
                inner.end()
            elif kind == b"\x55\x1d\x25":
                self._read_extended(value.take(DER_SEQUENCE))
            else:
                require(not critical and kind != b"\x55\x1d\x1e", ALERT_UNSUPPORTED_CERTIFICATE)
                continue
            value.end()

    def _read_extended(self, reader):
        """Read ExtKeyUsageSyntax."""
        self.extended = 0
        require(reader.tag())
        while reader.tag():
            usage = reader.bytes(DER_OBJECT_IDENTIFIER)
            if usage[:-1] == b"\x2b\6\1\5\5\7\3" and usage[-1] in (USAGE_SERVER, USAGE_CLIENT):
                self.extended |= usage[-1]

    def _read_names(self, reader):
        """Read GeneralNames. A dNSName with other characters than those of host names is ignored: no wildcard."""
        require(reader.tag())
        while reader.tag():
            kind = reader.tag()
            name = reader.bytes(kind)
            if kind == _DNS_NAME:
                name = name.lower()
                if _made_of(name, _NAME):
                    self.names.append(name)
            elif kind == _IP_ADDRESS:
                require(len(name) in (4, 16), ALERT_BAD_CERTIFICATE)
                self.addresses.append(name)

    def _read_subject(self):
        """Read an EUI-64 in the subject, if SAN has no name: in serialNumber, or in the common name (RFC 7925, section 4.4.2)."""
        reader = Der(self.subject, 0, len(self.subject)).take(DER_SEQUENCE)
        while reader.tag():
            relative = reader.take(DER_SET)
            require(relative.tag())
            while relative.tag():
                attribute = relative.take(DER_SEQUENCE)
                kind = attribute.bytes(DER_OBJECT_IDENTIFIER)
                value = attribute.bytes(attribute.tag())
                attribute.end()
                if kind in (b"\x55\4\5", b"\x55\4\3") and _is_eui64(value) and not self.names:
                    self.names.append(value.lower())
