# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Certificates, compared with the verifiers of the `cryptography` package and of OpenSSL, and arbitrary bytes.

There is no certificate that one accepts and another refuses without a line in a table here that says why. More by
DICE_SEEDS=0:1000 pytest host_tests/properties/test_x509.py.
"""

import datetime
import ipaddress
import random
import re
import subprocess
import traceback
import warnings

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from hypothesis import given, settings
from hypothesis import strategies as st

from dice.codes import USAGE_CLIENT, USAGE_SERVER
from dice.errors import PeerError
from dice.x509 import chain
from dice.x509 import der as der_module
from dice.x509.certificate import Certificate
from dice.x509.chain import Trust, verify
from host_tests import certificate_cases as cases
from host_tests import certificates
from host_tests.certificates import contents, elements
from host_tests.seeds import search

# Cases that the verifier of cryptography decides otherwise, and why.
CRYPTOGRAPHY_ACCEPTS = {
    "five intermediates": "Its bound is 8. Ours is CERTIFICATES_MAX.",
    "a certificate too many in between": "It searches a path among what was sent; RFC 5246 has each certify the one before it.",
    "a key that may not sign": "It does not look at KeyUsage of a leaf; RFC 5246 wants digitalSignature for ECDHE_ECDSA.",
    "signed with SHA-384": "RFC 7925 has nothing but SHA-256.",
    "a key on another curve": "RFC 7925 has nothing but P-256.",
    "a compressed point": "RFC 7925 has nothing but uncompressed points.",
    "a wildcard": "RFC 7925 has no wildcards.",
    "a client without a name": "It returns all names of a client; we need one to know who that is.",
    "serial number 0": "It warns. RFC 5280: positive.",
    "a serial number of 21 bytes": "It allows 21, for a zero in front.",
    "a unique identifier": "RFC 5280: conforming authorities do not make them.",
    "a serial number of 161 bits": "The same.",
    "more than 16 extensions": "Our bound.",
    "17 extensions": "Our bound.",
    "a KeyUsage with a zero at its end": "It does not look for the shortest form (X.690, section 11.2.2).",
    "an empty KeyUsage": "RFC 5280: at least one bit.",
}
_NO_KEY_USAGE = "It wants a KeyUsage of each issuer; roots made by `openssl req` have none, and RFC 5280 lets a verifier go on."
_EUI64 = "It knows no names but those in SubjectAltName."
CRYPTOGRAPHY_REFUSES = {
    "an EUI-64 in the common name": _EUI64,
    "an EUI-64 as the serial number of the subject": _EUI64,
    "a new root, signed by the old one, which is known": _NO_KEY_USAGE,
    "a new root, signed by the old one, and known": _NO_KEY_USAGE,
    "an issuer without KeyUsage": _NO_KEY_USAGE,
    "a certificate that is the anchor": "It accepts no leaf that is an authority; ours is known by each of its bytes.",
    "a critical SubjectAltName": "It wants it critical if, and only if, the subject is empty. We read it in any case.",
    "an empty subject": "The same.",
}
# The same for `openssl verify -x509_strict`.
_BER = "It reads BER as well."
_COMMON_NAME = "It looks for the name in the common name, if SubjectAltName has none of its kind."
OPENSSL_ACCEPTS = {
    "five intermediates": "Its bound is 100.",
    "a certificate too many in between": CRYPTOGRAPHY_ACCEPTS["a certificate too many in between"],
    "a key that may not sign": "For a server, one of several bits of KeyUsage is enough for it.",
    "an authority as a leaf": "It does not mind; a key that signs certificates is not one that signs handshakes.",
    "signed with SHA-384": CRYPTOGRAPHY_ACCEPTS["signed with SHA-384"],
    "a key on another curve": CRYPTOGRAPHY_ACCEPTS["a key on another curve"],
    "a compressed point": CRYPTOGRAPHY_ACCEPTS["a compressed point"],
    "a wildcard, expected as it is": "It compares what is equal first.",
    "a URI": _COMMON_NAME,
    "an address as the text of a name": _COMMON_NAME,
    "an EUI-64 in small letters in the common name": _COMMON_NAME,
    "no SubjectAltName": _COMMON_NAME,
    "a client without a name": "It is not asked for a name.",
    "a negative serial number": "It does not look at serial numbers.",
    "serial number 0": "The same.",
    "a serial number of 21 bytes": "The same.",
    "a unique identifier": CRYPTOGRAPHY_ACCEPTS["a unique identifier"],
    "GeneralizedTime before 2050": "RFC 5280: UTCTime until 2049.",
    "GeneralizedTime in 2049": "The same.",
    "an unknown extension twice": "It looks for duplicates of what it knows.",
    "more than 16 extensions": "Our bound.",
    "17 extensions": "Our bound.",
    "a serial number of 161 bits": "It does not look at serial numbers.",
    "name constraints that are not critical": "It processes them. We do not, and refuse them.",
    "FALSE where it is the default": _BER,
    "something behind a KeyUsage": "It stops reading there.",
    "a KeyUsage with a zero at its end": _BER,
    "an address of 5 bytes": "It skips it.",
    "something behind the certificate": "It reads one certificate, and no more.",
    "an indefinite length": _BER,
    "a length of 3 bytes": _BER,
    "a length that is longer than needed": _BER,
    "a high tag number": _BER,
}
OPENSSL_REFUSES = {
    "an EUI-64 as the serial number of the subject": _EUI64,
    "a new root, signed by the old one, which is known": "With -x509_strict it wants a KeyUsage of each issuer.",
    "a new root, signed by the old one, and known": "The same.",
    "an issuer without KeyUsage": "The same.",
    "valid until now": "RFC 5280: notAfter belongs to the period. It ends a second earlier.",
    "a name that is that of its issuer": "It takes the certificate for one that is signed by itself.",
    "an empty subject": "With -x509_strict SubjectAltName must be critical then. We read it in any case.",
}

# By where one byte was changed: what we do not decode, and cryptography does.
NOT_DECODED = {
    "subject": "types and strings in names: compared byte by byte, but for an EUI-64",
    "ignored extension": "AuthorityKeyIdentifier and whatever else we do not know; also if another extension becomes one",
    "extension 17": "names of other kinds than DNS names and addresses, such as x400Address",
}
# By what it says, wherever the byte was.
CRYPTOGRAPHY_SAYS = {
    "EE subjectAltName MUST": CRYPTOGRAPHY_REFUSES["a critical SubjectAltName"],
    "2.5.29.35: Certificate is missing required extension": "AuthorityKeyIdentifier is a help to find the issuer, whom we know.",
}
# By the function that refused it: what cryptography accepts.
WE_SAY = {
    "_bits": CRYPTOGRAPHY_ACCEPTS["a KeyUsage with a zero at its end"],
    "_check_leaf": CRYPTOGRAPHY_ACCEPTS["a key that may not sign"],
    "_read_names": "RFC 5280 has addresses of 4 or 16 bytes; it looks at those that it needs.",
}
COMPARED = [case for case in cases.cases() if case.now and not case.pins and not (case.name is None and case.usage == USAGE_SERVER)]


def ours(case):
    """Return why we refuse a chain: the function that did; None if it is accepted."""
    try:
        verify(case.chain, Trust(case.anchors), case.name, case.now, case.usage)
    except PeerError as error:
        return [frame.name for frame in traceback.extract_tb(error.__traceback__) if "x509" in frame.filename][-2]
    return None


def cryptography(case):
    """Return why cryptography refuses a chain, None if it is accepted. All that it decodes late is decoded."""
    at = datetime.datetime.fromtimestamp(case.now, datetime.timezone.utc).replace(tzinfo=None)
    try:
        anchors, chain = ([x509.load_der_x509_certificate(der) for der in part] for part in (case.anchors, case.chain))
        if not anchors or not chain:
            return "nothing to verify"
        for one in chain:
            assert one.extensions and one.serial_number is not None and (one.subject, one.issuer, one.public_key())
        policy = PolicyBuilder().store(Store(anchors)).time(at)
        if case.usage == USAGE_CLIENT:
            policy.build_client_verifier().verify(chain[0], chain[1:])
        else:
            text = isinstance(case.name, str)
            name = x509.DNSName(case.name) if text else x509.IPAddress(ipaddress.ip_address(case.name))
            policy.build_server_verifier(name).verify(chain[0], chain[1:])
    except Exception as error:  # it has several, for what it cannot decode and for what it does not believe
        return str(error) or repr(error)
    return None


def openssl(case, folder):
    """Return why OpenSSL refuses a chain, None if it is accepted."""
    for name, certs in (("anchors", case.anchors), ("others", case.chain[1:]), ("leaf", case.chain[:1])):
        (folder / name).write_bytes(b"".join(map(certificates.pem, certs)))
    purpose = "sslclient" if case.usage == USAGE_CLIENT else "sslserver"
    argv = ["openssl", "verify", "-x509_strict", "-partial_chain", "-purpose", purpose, "-attime", str(case.now)]
    if isinstance(case.name, str):
        argv += ["-verify_hostname", case.name]
    elif case.name:
        argv += ["-verify_ip", str(ipaddress.ip_address(case.name))]
    others = ["-untrusted", folder / "others"] if case.chain[1:] else []
    done = subprocess.run([*argv, "-CAfile", folder / "anchors", *others, folder / "leaf"], capture_output=True, text=True)
    return done.stderr if done.returncode else None


def differences(verifier):
    """Return what another verifier accepts and we do not, and the other way round."""
    accepts, refuses = set(), set()
    for case in COMPARED:
        if (verifier(case) is None) != (case.alert == 0):
            (refuses if case.alert == 0 else accepts).add(case.what)
    return accepts, refuses


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_cryptography_decides_as_we_do_but_for_what_the_tables_say():
    accepts, refuses = differences(cryptography)
    assert (accepts ^ set(CRYPTOGRAPHY_ACCEPTS), refuses ^ set(CRYPTOGRAPHY_REFUSES)) == (set(), set())


def test_openssl_decides_as_we_do_but_for_what_the_tables_say(tmp_path):
    accepts, refuses = differences(lambda case: openssl(case, tmp_path))
    assert (accepts ^ set(OPENSSL_ACCEPTS), refuses ^ set(OPENSSL_REFUSES)) == (set(), set())


def test_signatures_are_verified_last_from_the_anchor_down(monkeypatch):
    """A mistake of another kind costs none, and a forged chain costs one, after those of genuine issuers."""
    results = []
    real = chain.ecdsa.verify
    monkeypatch.setattr(chain.ecdsa, "verify", lambda *arguments: results.append(real(*arguments)) or results[-1])
    for case in COMPARED:
        results.clear()
        refused = ours(case)
        assert case.alert in (0, 42) or not results, case.what
        assert refused or all(results[-1:]), case.what
        assert len(results) <= len(case.chain) + (len(case.anchors) > 1), case.what
    stranger = certificates.Authority("root", curve=None, start=datetime.datetime(2022, 1, 1))
    forger = stranger.authority("middle", key_usage=("key_cert_sign",))
    forger.key = certificates.Key("forger")
    below = forger.authority("3").authority("4").issue(f"dns:{cases.NAME}")
    results.clear()
    assert ours(cases.Case("forged", 42, [*below.chain[:-1], WORLD.middle.der], [WORLD.root.der]))
    assert results == [True, False]


# random changes


def places(data, base=0):
    """Yield (offset of the tag, of the contents, of the end) of all elements in DER, also of those in an OCTET STRING."""
    at = 0
    while at < len(data):
        try:
            start, end = certificates._end(data, at)
        except IndexError:
            return
        yield base + at, base + start, base + end
        if data[at] & 0x20 or data[at] == 4:
            yield from places(data[start:end], base + start)
        at = end


def where(tbs, position):
    """Return the part of a TBSCertificate that a byte belongs to: a key of NOT_DECODED or another name."""
    names = ("version", "serial", "algorithm", "issuer", "validity", "subject", "key", "extensions")
    at = certificates._end(tbs, 0)[0]
    for name, part in zip(names, elements(tbs[at:]), strict=True):
        if at <= position < at + len(part) and name != "extensions":
            return name
        if at <= position < at + len(part):
            inner = contents(contents(part))
            at += len(part) - len(inner)
            for extension in elements(inner):
                if at <= position < at + len(extension):
                    kind, identifier = elements(contents(extension))[0], 2 + len(elements(contents(extension))[0])
                    known = contents(kind) in (b"\x55\x1d\x0f", b"\x55\x1d\x11", b"\x55\x1d\x13", b"\x55\x1d\x25")
                    if not known or 2 <= position - at < identifier + 2:
                        return "ignored extension"
                    return f"extension {contents(kind)[-1]}"
                at += len(extension)
        at += len(part)
    return "head"


def change(chance, tbs):
    """Return a TBSCertificate with one byte changed: of contents, a tag or a length; and which byte."""
    tag, start, end = chance.choice(list(places(tbs)))
    at = chance.choice([tag, tag + 1, chance.randrange(start, end) if start < end else tag])
    value = chance.choice([tbs[at] ^ 1 << chance.randrange(8), tbs[at] + 1, tbs[at] - 1, 0, 0x7F, 0x80, 0xFF]) & 0xFF
    return tbs[:at] + bytes((value,)) + tbs[at + 1 :], at


WORLD = cases.world()
NAMED = certificates.sequence(certificates.tlv(0x82, cases.NAME.encode()))
LEAVES = (
    WORLD.server.der,
    cases.extended(
        WORLD.middle,
        cases.changed(WORLD.middle, WORLD.server.der, subject=certificates.sequence()),
        cases.extension(17, NAMED, critical=True),
        without=([17],),
    ),
    WORLD.middle.issue(f"dns:{cases.NAME}", "ip:192.0.2.7", "uri:urn:x", usage="server", unknown="other").der,
)


def explained(mine, theirs, place):
    """Return whether a table has the line for a difference."""
    if mine is None:
        return place in NOT_DECODED or any(said in theirs for said in CRYPTOGRAPHY_SAYS)
    return mine in WE_SAY


def test_the_verifiers_agree_on_certificates_with_a_changed_byte():
    """The change is signed by the issuer, so nothing but the contents of the certificate decide."""

    def run(seed):
        chance = random.Random(seed)
        found = {"both accept": 0, "both refuse": 0, "explained": 0}
        for _ in range(250):
            der = chance.choice(LEAVES)
            tbs, at = change(chance, elements(contents(der))[0])
            changed = cases.signed(tbs, WORLD.middle.key, der)
            case = cases.Case("changed", 0, [changed, WORLD.middle.der], [WORLD.root.der])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                mine, theirs = ours(case), cryptography(case)
            if (mine is None) == (theirs is None):
                found["both refuse" if mine else "both accept"] += 1
                continue
            place = where(elements(contents(der))[0], at)
            assert explained(mine, theirs or "", place), (place, mine, theirs, changed.hex())
            found["explained"] += 1
        return found

    done = search(run, 12)
    assert min(done.values()) > 30


# any bytes


def counted(der):
    """Read a certificate; return how many values were read. Anything but PeerError is an error."""
    count = [0]

    class Counting(der_module.Der):
        def take(self, tag):
            count[0] += 1
            return super().take(tag)

    patch = pytest.MonkeyPatch()
    with patch.context() as here:
        here.setattr("dice.x509.certificate.Der", Counting)
        here.setattr("dice.x509.der.Der", Counting)
        try:
            Certificate(der)
        except PeerError as error:
            assert error.alert in (42, 43, 50)
    return count[0]


def test_arbitrary_bytes_end_in_an_alert_and_each_value_is_read_once():
    def run(seed):
        chance = random.Random(seed)
        base = chance.choice(LEAVES)
        longest = 0
        for _ in range(300):
            der = bytearray(base)
            for _ in range(chance.randrange(1, 6)):
                at = chance.randrange(len(der))
                kind = chance.randrange(4)
                if kind == 0:
                    der[at] = chance.randrange(256)
                elif kind == 1:
                    del der[at : at + chance.randrange(1, 20)]
                elif kind == 2:
                    der[at:at] = chance.randbytes(chance.randrange(1, 8))
                else:
                    other = chance.randrange(len(der))
                    der[at : at + 8] = der[other : other + 8]
                der = der or bytearray(1)
            count = counted(bytes(der))
            assert 2 * count <= len(der) + 40
            longest = max(longest, count)
        return {"certificates": 300, "at most": longest}

    assert search(run, 6)["at most"] > 100


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_are_refused(data):
    with pytest.raises(PeerError):
        Certificate(data)


def test_time_is_linear_in_the_size():
    """Many names, usages, attributes or extensions: each is read once, and extensions have a bound."""
    own = cases.parts_of(WORLD.server.der)
    many = {
        "names": {"extensions": [cases.extension(17, certificates.sequence(*[certificates.tlv(0x82, b"a.b")] * 9000))]},
        "usages": {"extensions": [cases.extension(37, certificates.sequence(*[certificates.tlv(6, b"\x55")] * 9000))]},
        "extensions": {"extensions": [cases.extension(arc, b"") for arc in range(40, 200)]},
        "attributes": {"subject": [certificates.tlv(0x31, certificates.sequence(b"\6\1\x55", b"\x0c\0"))] * 4000},
    }
    for parts in many.values():
        extensions = certificates.tlv(0xA3, certificates.sequence(*parts.get("extensions", [cases.extension(99, b"")])))
        subject = certificates.sequence(*parts["subject"]) if "subject" in parts else own[5]
        der = cases.changed(WORLD.middle, WORLD.server.der, extensions=extensions, subject=subject)
        assert counted(der) <= len(der) // 2


def test_the_tables_say_why_in_sentences():
    tables = (CRYPTOGRAPHY_ACCEPTS, CRYPTOGRAPHY_REFUSES, OPENSSL_ACCEPTS, OPENSSL_REFUSES, CRYPTOGRAPHY_SAYS, WE_SAY)
    assert all(re.search(r"[a-z]+.*\.$", reason) for table in tables for reason in table.values())
