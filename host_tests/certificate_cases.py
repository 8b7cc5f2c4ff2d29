# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Chains of certificates with one mistake each, and the alert that answers it; made with `cryptography` (see `certificates`).

portable/test_x509_chain.py reads them from a file (host_tests/vectors.py), so that MicroPython gets them too.
"""

import datetime
from types import SimpleNamespace

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dice.codes import (
    ALERT_BAD_CERTIFICATE,
    ALERT_CERTIFICATE_EXPIRED,
    ALERT_CERTIFICATE_UNKNOWN,
    ALERT_DECODE_ERROR,
    ALERT_UNKNOWN_CA,
    ALERT_UNSUPPORTED_CERTIFICATE,
    USAGE_CLIENT,
    USAGE_SERVER,
)
from host_tests import certificates as made
from host_tests.certificates import EXPIRED, NOT_YET, NOW, contents, elements, sequence, tlv

OK = 0
NAME = "node.test"
EUI64 = "00-12-4B-00-14-B5-D9-A7"
ADDRESS = bytes((192, 0, 2, 7))
FOREVER = {"end": datetime.datetime(9999, 12, 31, 23, 59, 59)}


class Case:
    """A chain to verify: `what` it is, the alert that it must end in (OK: none), and the arguments of Trust and verify()."""

    def __init__(self, what, alert, chain, anchors, name=NAME, now=NOW, usage=USAGE_SERVER, pins=(), since=0):
        self.what, self.alert, self.chain, self.anchors = what, alert, chain, anchors
        self.name, self.now, self.usage, self.pins, self.since = name, now, usage, pins, since

    def fields(self):
        """Return the fields of a line of the file, in hexadecimal."""
        name = (
            "" if self.name is None else "73" + self.name.encode().hex() if isinstance(self.name, str) else "62" + self.name.hex()
        )
        now = "" if self.now is None else f"{self.now:016x}"
        lists = (b"".join(len(part).to_bytes(2, "big") + part for part in parts).hex() for parts in (self.anchors, self.chain))
        return [
            self.what.encode().hex(), f"{self.alert:02x}", name, now, f"{self.usage:02x}", b"".join(self.pins).hex(),
            f"{self.since:016x}", *lists,
        ]  # fmt: skip


def parts_of(der):
    """Return the elements of the TBSCertificate: version, serial, algorithm, issuer, validity, subject, key, extensions."""
    return elements(contents(elements(contents(der))[0]))


def signed(tbs, signer, der):
    """Return a certificate of these bytes, with the algorithm of `der`, signed by a key."""
    signature = signer.own.sign(tbs, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return sequence(tbs, elements(contents(der))[1], tlv(3, b"\0" + signature))


def changed(issuer, der, **parts):
    """Return a certificate with other bytes for some parts of its TBSCertificate, such as serial=..., signed by `issuer`."""
    names = ("version", "serial", "algorithm", "issuer", "validity", "subject", "key", "extensions")
    own = dict(zip(names, parts_of(der), strict=True))
    own.update(parts)
    return signed(sequence(*own.values()), issuer.key, der)


def extension(arc, value, critical=False):
    """Return an extension of id-ce; `arc` is the last arc of its object identifier."""
    return sequence(tlv(6, bytes((0x55, 0x1D, arc))), tlv(1, b"\xff") if critical else b"", tlv(4, value))


def extended(issuer, der, *more, without=()):
    """Return a certificate with more extensions, and without those of some arcs."""
    kept = [
        one
        for one in elements(contents(contents(parts_of(der)[7])))
        if contents(elements(contents(one))[0])[2:] not in map(bytes, without)
    ]
    return changed(issuer, der, extensions=tlv(0xA3, sequence(*kept, *more)))


def world():
    """Return the authorities, and a right leaf for a server and one for a client."""
    root = made.Authority("root")
    middle = root.authority("middle")
    return SimpleNamespace(
        root=root,
        middle=middle,
        lower=middle.authority("lower"),
        server=middle.issue(f"dns:{NAME}", usage="server"),
        client=middle.issue(f"dns:{EUI64}", usage="client"),
    )


def _issued(where):
    """Yield cases of leaves that `certificates` makes."""
    root, middle = where.root, where.middle

    def case(what, alert, *names, issuer=middle, usage="server", **options):
        asked = {key: options.pop(key) for key in ("name", "now", "since") if key in options}
        leaf = issuer.issue(*(names or [f"dns:{NAME}"]), usage=usage, **options)
        return Case(what, alert, leaf.chain, [root.der], **asked)

    key = made.Key("odd")
    unsupported = ALERT_UNSUPPORTED_CERTIFICATE
    yield case("a leaf of the root", OK, issuer=root)
    yield case("a leaf of an intermediate", OK)
    yield case("a leaf below two intermediates", OK, issuer=where.lower)
    yield case("four intermediates", OK, issuer=where.lower.authority("3").authority("4"))
    yield case("five intermediates", ALERT_UNKNOWN_CA, issuer=where.lower.authority("3").authority("4").authority("5"))
    yield case("both usages", OK, usage=("server", "client"))
    yield case("no usage at all", OK, usage=())
    yield case("usage of a client", unsupported, usage="client")
    yield case("another usage", unsupported, usage="code")
    yield case("a key that may not sign", unsupported, key_usage=("key_agreement",))
    yield case(
        "a key that may sign certificates, of no authority", ALERT_BAD_CERTIFICATE, key_usage=("digital_signature", "key_cert_sign")
    )
    yield case("a name that is that of its issuer", OK, subject="middle")
    yield case("no KeyUsage", OK, key_usage=None)
    yield case("no BasicConstraints", OK, basic=False)
    yield case("an authority as a leaf", unsupported, authority=True)
    yield case("expired", ALERT_CERTIFICATE_EXPIRED, **EXPIRED)
    yield case("not yet valid", ALERT_CERTIFICATE_EXPIRED, **NOT_YET)
    yield case("valid for all time", OK, **FOREVER)
    yield case("no clock", OK, now=None)
    yield case("no clock, not yet valid", OK, now=None, **NOT_YET)
    yield case("no clock, expired before the anchor began", ALERT_CERTIFICATE_EXPIRED, now=None, **EXPIRED)
    yield case("no clock, expired before provisioning", ALERT_CERTIFICATE_EXPIRED, now=None, since=2_600_000_000)
    yield case("a clock that says what since says not", OK, since=2_600_000_000)
    yield case("a broken signature", ALERT_BAD_CERTIFICATE, broken=True)
    yield case("signed with SHA-384", unsupported, digest=hashes.SHA384())
    yield case("a key on another curve", unsupported, key=made.Key("384", ec.SECP384R1()))
    yield case("a compressed point", unsupported, key=key, point=key.compressed)
    yield case("a point that is not on the curve", ALERT_BAD_CERTIFICATE, key=key, point=made.off_the_curve(key.point))
    yield case("a coordinate that is not below p", ALERT_BAD_CERTIFICATE, key=key, point=b"\4" + b"\xff" * 32 + key.point[33:])
    yield case("an unknown critical extension", unsupported, unknown="critical")
    yield case("an unknown extension", OK, unknown="other")
    yield case("another name", ALERT_CERTIFICATE_UNKNOWN, "dns:other.test")
    yield case("the first of two names", OK, f"dns:{NAME}", "dns:other.test")
    yield case("the second of two names", OK, "dns:other.test", f"dns:{NAME}")
    yield case("a name in capitals", OK, "dns:Node.TEST")
    yield case("expected in capitals", OK, name="NODE.test")
    yield case("a part of the name", ALERT_CERTIFICATE_UNKNOWN, "dns:ode.test")
    yield case("a wildcard", ALERT_CERTIFICATE_UNKNOWN, "dns:*.test")
    yield case("a wildcard, expected as it is", ALERT_CERTIFICATE_UNKNOWN, "dns:*.test", name="*.test")
    yield case("a name in the common name alone", ALERT_CERTIFICATE_UNKNOWN, "dns:other.test", subject=NAME)
    yield case("a URI", ALERT_CERTIFICATE_UNKNOWN, f"uri:{NAME}")
    yield case("an address", OK, "ip:192.0.2.7", name=ADDRESS)
    yield case("another address", ALERT_CERTIFICATE_UNKNOWN, "ip:192.0.2.8", name=ADDRESS)
    yield case("an address of 16 bytes", OK, "ip:2001:db8::7", name=bytes.fromhex("20010db8000000000000000000000007"))
    yield case("an address that a host name spells", ALERT_CERTIFICATE_UNKNOWN, "dns:abcd", name=b"abcd")
    yield case("an address as the text of a name", ALERT_CERTIFICATE_UNKNOWN, "ip:192.0.2.7", name="192.0.2.7")
    yield case("an EUI-64 in SubjectAltName", OK, f"dns:{EUI64}", name=EUI64)
    yield case("an EUI-64 in the common name", OK, "uri:urn:x", subject=EUI64, name=EUI64)
    yield case(
        "an EUI-64 in small letters in the common name", ALERT_CERTIFICATE_UNKNOWN, "uri:urn:x", subject=EUI64.lower(), name=EUI64
    )
    beside = "an EUI-64 in the common name, beside a DNS name"
    yield case(beside, ALERT_CERTIFICATE_UNKNOWN, f"dns:{NAME}", subject=EUI64, name=EUI64)
    yield case("a server that nobody has named", ALERT_CERTIFICATE_UNKNOWN, name=None)


def _authorities(where):
    """Yield cases of what is above the leaf."""
    root, middle, leaf = where.root, where.middle, where.server

    def below(what, alert, authority, anchors=(root.der,)):
        return Case(what, alert, authority.issue(f"dns:{NAME}", usage="server").chain, list(anchors))

    stranger = made.Authority("stranger")
    again = made.Authority("root", start=datetime.datetime(2021, 1, 1))  # the same name and key
    other = made.certificate(made.Key("new"), root.subject, made.Key("new"), root.subject, authority=True)
    rolled = made.certificate(made.Key("new"), root.subject, root.key, root.subject, authority=True)
    renewed = made.certificate(leaf.key, made._subject(NAME), made.Key("new"), root.subject, names=(f"dns:{NAME}",))
    itself = made.Authority("itself", names=(f"dns:{NAME}",), key_usage=None)
    yield Case("an anchor that nobody knows", ALERT_UNKNOWN_CA, leaf.chain, [stranger.der])
    yield Case("no anchor", ALERT_UNKNOWN_CA, leaf.chain, [])
    yield Case("no certificate", ALERT_UNKNOWN_CA, [], [root.der])
    yield Case("one of two anchors", OK, leaf.chain, [stranger.der, root.der])
    yield Case("two anchors of one name", OK, leaf.chain, [other, root.der])
    yield Case("two anchors of one name, the other way round", OK, leaf.chain, [root.der, other])
    yield Case("an anchor of this name with another key", ALERT_BAD_CERTIFICATE, leaf.chain, [other])
    yield Case("a new root, signed by the old one, which is known", OK, [renewed, rolled], [root.der])
    yield Case("a new root, signed by the old one, and known", OK, [renewed, rolled], [other])
    yield Case("the anchor is sent too", OK, [*leaf.chain, root.der], [root.der])
    yield Case("another certificate of the anchor is sent", OK, [*leaf.chain, again.der], [root.der])
    yield Case("an intermediate is the anchor", OK, leaf.chain, [middle.der])
    yield Case("an intermediate is the anchor and is not sent", OK, leaf.chain[:1], [middle.der])
    yield Case("an intermediate is missing", ALERT_UNKNOWN_CA, leaf.chain[:1], [root.der])
    yield Case("the wrong order", ALERT_UNKNOWN_CA, [*reversed([*leaf.chain, root.der])], [root.der])
    yield Case("a certificate too many in between", ALERT_UNKNOWN_CA, [leaf.der, stranger.der, middle.der], [root.der])
    yield Case("one certificate again and again", ALERT_UNKNOWN_CA, [stranger.der] * 5, [root.der])
    yield Case("a certificate that is the anchor", OK, [itself.der], [itself.der])
    yield Case("a certificate that is the anchor, nobody named", OK, [itself.der], [itself.der], name=None)
    yield Case(
        "a certificate that is the anchor, another name", ALERT_CERTIFICATE_UNKNOWN, [itself.der], [itself.der], name="a.test"
    )
    yield Case("signed by itself, and unknown", ALERT_UNKNOWN_CA, [itself.der], [root.der])
    yield below("an issuer that is no authority", ALERT_UNKNOWN_CA, root.authority("mere", authority=False, key_usage=None))
    yield below("an issuer without BasicConstraints", ALERT_UNKNOWN_CA, root.authority("mere", basic=False, key_usage=None))
    yield below("an issuer without a name", ALERT_BAD_CERTIFICATE, root.authority(""))
    yield below("an issuer whose key may not sign certificates", ALERT_UNKNOWN_CA, root.authority("mere", key_usage=("crl_sign",)))
    yield below("an issuer without KeyUsage", OK, root.authority("mere", key_usage=None))
    yield below("an issuer for clients", ALERT_UNSUPPORTED_CERTIFICATE, root.authority("mere", usages=("client",)))
    yield below("an issuer that has expired", ALERT_CERTIFICATE_EXPIRED, root.authority("mere", **EXPIRED))
    yield below("an issuer that is not valid yet", ALERT_CERTIFICATE_EXPIRED, root.authority("mere", **NOT_YET))
    yield below("an issuer with a broken signature", ALERT_BAD_CERTIFICATE, root.authority("mere", broken=True))
    yield below("a path of 0 intermediates", OK, root.authority("mere", path_length=0))
    yield below("a path that is too long", ALERT_UNKNOWN_CA, root.authority("mere", path_length=0).authority("below"))
    yield below("a path of 1 intermediate", OK, root.authority("mere", path_length=1).authority("below"))
    short = made.Authority("short", path_length=0)
    yield below("a path that is too long for the anchor", ALERT_UNKNOWN_CA, short.authority("below"), [short.der])
    mere = made.Authority("mere", authority=False, key_usage=None)
    yield below("an anchor that is no authority", ALERT_UNKNOWN_CA, mere, [mere.der])
    past = made.Authority("past", **EXPIRED)
    yield below("an anchor that has expired", ALERT_CERTIFICATE_EXPIRED, past, [past.der])


def _used(where):
    """Yield cases of clients and of pins."""
    root, middle, server, client = where.root, where.middle, where.server, where.client
    empty = extended(
        middle, changed(middle, client.der, subject=sequence()), extension(17, sequence(tlv(0x82, b""))), without=([17],)
    )
    yield Case(
        "a client with an empty name", ALERT_CERTIFICATE_UNKNOWN, [empty, middle.der], [root.der], name=None, usage=USAGE_CLIENT
    )
    nameless = middle.issue("ip:192.0.2.7", usage="client")
    yield Case("a client", OK, client.chain, [root.der], name=None, usage=USAGE_CLIENT)
    yield Case("a client that is a server", ALERT_UNSUPPORTED_CERTIFICATE, server.chain, [root.der], name=None, usage=USAGE_CLIENT)
    yield Case("a client without a name", ALERT_CERTIFICATE_UNKNOWN, nameless.chain, [root.der], name=None, usage=USAGE_CLIENT)
    for what, owner in (("leaf", server), ("intermediate", middle), ("anchor", root)):
        yield Case(f"a pinned {what}", OK, server.chain, [root.der], pins=[owner.key.identity])
        alert = OK if owner is server else ALERT_CERTIFICATE_UNKNOWN
        yield Case(f"a pinned {what}, nobody named", alert, server.chain, [root.der], name=None, pins=[owner.key.identity])
    yield Case("another key is pinned", ALERT_CERTIFICATE_UNKNOWN, server.chain, [root.der], pins=[client.key.identity])
    yield Case("a pin replaces no anchor", ALERT_UNKNOWN_CA, server.chain, [], pins=[server.key.identity])
    yield Case(
        "a pin replaces no name", ALERT_CERTIFICATE_UNKNOWN, server.chain, [root.der], name="a.test", pins=[server.key.identity]
    )


def _encoded(where):
    """Yield cases of certificates that are signed as they are, whatever they contain."""
    root, middle, leaf = where.root, where.middle, where.server
    der = leaf.der
    own = parts_of(der)
    bad, decode, unsupported = ALERT_BAD_CERTIFICATE, ALERT_DECODE_ERROR, ALERT_UNSUPPORTED_CERTIFICATE

    def case(what, alert, changed_der, **asked):
        return Case(what, alert, [changed_der, *leaf.chain[1:]], [root.der], **asked)

    def with_parts(what, alert, **parts):
        return case(what, alert, changed(middle, der, **parts))

    def with_extension(what, alert, *more, without=(), **asked):
        return case(what, alert, extended(middle, der, *more, without=without), **asked)

    def lasting(what, alert, start, end):
        return with_parts(
            what,
            alert,
            validity=sequence(tlv(0x17 if len(start) == 13 else 0x18, start), tlv(0x17 if len(end) == 13 else 0x18, end)),
        )

    yield with_parts("signed again as it was", OK)
    yield with_parts("version 1", unsupported, version=b"")
    yield with_parts("version 2", unsupported, version=bytes.fromhex("a003020101"))
    yield with_parts("a negative serial number", decode, serial=bytes.fromhex("020181"))
    yield with_parts("serial number 0", bad, serial=bytes.fromhex("020100"))
    yield with_parts("a serial number with a needless zero", decode, serial=bytes.fromhex("02020001"))
    yield with_parts("an empty serial number", decode, serial=bytes.fromhex("0200"))
    yield with_parts("a serial number of 20 bytes", OK, serial=tlv(2, b"\x7f" * 20))
    yield with_parts("a serial number of 21 bytes", bad, serial=tlv(2, b"\x7f" * 21))
    yield with_parts("another algorithm within", bad, algorithm=bytes.fromhex("300a06082a8648ce3d040303"))
    yield with_parts("no extensions", unsupported, extensions=b"")
    yield with_parts("extensions without one", decode, extensions=tlv(0xA3, sequence()))
    yield with_parts("a unique identifier", unsupported, key=own[6] + bytes.fromhex("810200aa"))
    yield with_parts("something behind the extensions", decode, extensions=own[7] + b"\5\0")
    yield lasting(
        "valid in the last second", ALERT_CERTIFICATE_EXPIRED, b"200101000000Z", b"270115080000Z"[:13].replace(b"0800", b"0759")
    )
    yield lasting("valid until now", OK, b"200101000000Z", b"270115080000Z")
    yield lasting("valid from now on", OK, b"270115080000Z", b"491231235959Z")
    yield lasting("valid a second later", ALERT_CERTIFICATE_EXPIRED, b"270115080001Z", b"491231235959Z")
    yield lasting("since 1950", OK, b"500101000000Z", b"491231235959Z")
    yield lasting("GeneralizedTime before 2050", bad, b"20200101000000Z", b"491231235959Z")
    yield lasting("the 29th of February", OK, b"200229000000Z", b"20520229000000Z")
    yield lasting("the 29th of February 2023", bad, b"230229000000Z", b"491231235959Z")
    yield lasting("the 29th of February 2100", bad, b"230228000000Z", b"21000229000000Z")
    yield lasting("the 31st of June", bad, b"230631000000Z", b"491231235959Z")
    yield lasting("month 13", bad, b"231301000000Z", b"491231235959Z")
    yield lasting("no seconds", bad, b"2301010000Z", b"491231235959Z")
    yield lasting("another time zone", bad, b"230101000000+0000", b"491231235959Z")
    yield lasting("60 seconds", bad, b"230101000060Z", b"491231235959Z")
    yield lasting("letters instead of digits", bad, b"2301010000a0Z", b"491231235959Z")
    yield with_extension("an extension twice", bad, extension(15, bytes.fromhex("03020780")))
    yield with_extension("an unknown extension twice", bad, *[extension(99, b"\5\0")] * 2)
    yield with_extension("more than 16 extensions", bad, *[extension(arc, b"\5\0") for arc in range(60, 80)])
    yield with_extension("name constraints that are not critical", unsupported, extension(30, sequence()))
    yield with_extension("FALSE where it is the default", decode, sequence(tlv(6, b"\x55\x1d\x63"), tlv(1, b"\0"), tlv(4, b"\5\0")))
    yield with_extension("TRUE that is not ff", decode, sequence(tlv(6, b"\x55\x1d\x63"), tlv(1, b"\1"), tlv(4, b"\5\0")))
    yield with_extension("something behind a KeyUsage", decode, extension(15, bytes.fromhex("030207800500")), without=([15],))
    yield with_extension("a KeyUsage with a zero at its end", decode, extension(15, bytes.fromhex("03020680")), without=([15],))
    yield with_extension("an empty KeyUsage", decode, extension(15, bytes.fromhex("030100")), without=([15],))
    yield with_extension("a path length without authority", bad, extension(19, bytes.fromhex("3003020100")), without=([19],))
    yield with_extension("a negative path length", decode, extension(19, bytes.fromhex("30060101ff020181")), without=([19],))
    yield with_extension("any usage", unsupported, extension(37, bytes.fromhex("30060604551d2500")), without=([37],))
    yield with_extension("a usage without one", decode, extension(37, sequence()), without=([37],))
    yield with_extension("no SubjectAltName", ALERT_CERTIFICATE_UNKNOWN, without=([17],))
    yield with_extension("a SubjectAltName without names", decode, extension(17, sequence()), without=([17],))
    yield with_extension("a critical SubjectAltName", OK, extension(17, sequence(tlv(0x82, NAME.encode())), True), without=([17],))
    yield with_extension(
        "a name with a zero", ALERT_CERTIFICATE_UNKNOWN, extension(17, sequence(tlv(0x82, b"node.test\0.b"))), without=([17],)
    )
    yield with_extension("an address of 5 bytes", bad, extension(17, sequence(tlv(0x87, b"12345"))), without=([17],))
    eui64 = x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, EUI64)]).public_bytes()
    only = extended(middle, changed(middle, der, subject=eui64), without=([17],))
    yield case("an EUI-64 as the serial number of the subject", OK, only, name=EUI64)
    yield with_parts("an empty subject", OK, subject=sequence())
    yield with_parts("a subject with an empty SET", decode, subject=sequence(tlv(0x31, b"")))
    yield with_parts("a serial number of 161 bits", bad, serial=tlv(2, b"\1" + bytes(20)))
    yield with_parts("something behind the validity", decode, validity=sequence(contents(own[4]), b"\5\0"))
    yield with_parts("something behind all extensions", decode, extensions=tlv(0xA3, contents(own[7]) + b"\5\0"))
    attribute = sequence(tlv(6, b"\x55\4\3"), tlv(12, b"a"), b"\5\0")
    yield with_parts("something behind an attribute", decode, subject=sequence(tlv(0x31, attribute)))
    yield with_extension("something behind an extension", decode, sequence(tlv(6, b"\x55\x1d\x63"), tlv(4, b"\5\0"), b"\5\0"))
    basic = bytes.fromhex("30060101ff020100")
    yield with_extension("something behind a path length", decode, extension(19, sequence(basic[2:], b"\5\0")), without=([19],))
    count = len(elements(contents(contents(own[7]))))
    yield with_extension("16 extensions", OK, *[extension(arc, b"\5\0") for arc in range(60, 76 - count)])
    yield with_extension("17 extensions", bad, *[extension(arc, b"\5\0") for arc in range(60, 77 - count)])
    yield with_parts("a key of another algorithm", unsupported, key=own[6].replace(b"\x3d\2\1", b"\x3d\2\2"))
    prime = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
    root_of_b = pow(0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B, (prime + 1) // 4, prime)
    zero, y = prime.to_bytes(32, "big"), root_of_b.to_bytes(32, "big")
    yield with_parts("a coordinate that is p", bad, key=made.spki(b"\4" + zero + y))
    yield with_parts("a coordinate that is 0", OK, key=made.spki(b"\4" + bytes(32) + y))
    yield lasting("GeneralizedTime in 2049", bad, b"200101000000Z", b"20490101000000Z")
    yield lasting("GeneralizedTime in 2050", OK, b"200101000000Z", b"20500101000000Z")
    for field, start in (("month", b"230001000000Z"), ("day", b"230100000000Z")):
        yield lasting(f"{field} 0", bad, start, b"491231235959Z")
    for field, start in (("hour 24", b"230101240000Z"), ("60 minutes", b"230101006000Z")):
        yield lasting(field, bad, start, b"491231235959Z")
    yield lasting("the last second of a day", OK, b"230131235959Z", b"491231235959Z")
    yield with_parts("a zero in place of an attribute", decode, subject=sequence(b"\0\0"))
    yield with_parts("a zero behind an attribute", decode, subject=own[5][:1] + bytes((own[5][1] + 2,)) + own[5][2:] + b"\0\0")
    yield with_parts("a zero behind the extensions", decode, extensions=tlv(0xA3, tlv(0x30, contents(contents(own[7])) + b"\0")))
    yield with_extension(
        "a zero behind a name", decode, extension(17, sequence(tlv(0x82, NAME.encode()) + b"\0\0")), without=([17],)
    )
    usage = bytes.fromhex("06082b06010505070301")
    yield with_extension("a zero behind a usage", decode, extension(37, sequence(usage + b"\0\0")), without=([37],))
    outer = elements(contents(der))
    yield case("something behind the signature", decode, sequence(*outer, b"\5\0"))
    yield case("something behind the certificate", decode, der + b"\0")
    yield case("a certificate that ends early", decode, der[:-1])
    yield case("an empty certificate", decode, b"")
    yield case(
        "a signature of 7 unused bits", decode, sequence(outer[0], outer[1], tlv(3, b"\7" + contents(outer[2])[1:-1] + b"\x80"))
    )
    yield case("an empty signature", decode, sequence(outer[0], outer[1], tlv(3, b"")))
    yield case("no signature but its unused bits", bad, sequence(outer[0], outer[1], tlv(3, b"\0")))
    yield case("an indefinite length", decode, b"\x30\x80" + contents(der) + b"\0\0")
    yield case("a length of 3 bytes", decode, b"\x30\x83\0" + len(contents(der)).to_bytes(2, "big") + contents(der))
    yield case("a length that is longer than needed", decode, sequence(outer[0], b"\x30\x81\x0a" + contents(outer[1]), outer[2]))
    yield case("a high tag number", decode, b"\x3f\x10" + der[1:])


def cases():
    """Return all cases."""
    where = world()
    found = [case for part in (_issued, _authorities, _used, _encoded) for case in part(where)]
    assert len({case.what for case in found}) == len(found)
    return found


def lines():
    """Yield the fields of each line of the file for MicroPython."""
    for case in cases():
        yield case.fields()
