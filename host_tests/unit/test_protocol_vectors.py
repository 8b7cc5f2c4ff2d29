# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The code computes the vectors of docs/protocol.md."""

import hashlib
import ipaddress
import re
import struct
from pathlib import Path

from dice import record
from dice.group.context import Context, sender_key
from dice.group.gsa import UNKNOWN, Gsa, decode
from dice.group.gsa_encode import encode, mul_id_of, traffic_key
from dice.suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8, SUITES
from dice.transport.recode import recode, restore
from dice.transport.slip_ip import packet, parse

ROOT = Path(__file__).resolve().parents[2]
KEY = bytes(range(16))
SALT = bytes.fromhex("a0a1a2a3")
GID = bytes.fromhex("01020304")
MUL_ID = bytes.fromhex("ff150000000000000000000000000abc")
TEK = traffic_key(KEY, MUL_ID, bytes.fromhex("00000001"), bytes(range(16, 32)))
COMMON = {"gid": GID, "address": bytes((239, 1, 2, 3)), "port": 5684}


def _listed():
    text = (ROOT / "docs" / "protocol.md").read_text().split("## 9. Vectors")[1]
    return dict(re.findall(r"^(\S.*?) {2,}([0-9a-f]{20,})$", text, re.MULTILINE))


def _records():
    numbers = {"unicast": 5, "d00 002a": 0x2A << 32 | 5, "k08 2a": 0x2A << 40 | 5}
    return {
        name: record.seal(SUITES[PSK_AES_128_CCM_8].cipher, KEY, SALT, 23, 1, number, b"123456").hex()
        for name, number in numbers.items()
    }


def _sender_gsa(**changes):
    base = 1 << 48
    return Gsa(
        suite=0xC0A8, layout=1, derive=1, epoch=1, key=TEK, own_id=0x2A, own_next=base, lifetime_s=86400, budget=1 << 23,
        senders=[(0x2A, base), (1, base + 1000), (2, UNKNOWN)], fresh=True, **{**COMMON, **changes},
    )  # fmt: skip


def _listener_gsa():
    return Gsa(
        suite=0xC0A4, layout=2, derive=2, epoch=0xFFFF, key=TEK + SALT, own_id=None, own_next=0, lifetime_s=0, budget=1000,
        senders=[(0xFFFF, 0)], fresh=False, **COMMON,
    )  # fmt: skip


def test_the_code_computes_every_vector_of_the_protocol():
    """Neither the page nor the code can change alone."""
    context = Context(_sender_gsa())
    computed = {
        **_records(),
        "tek": TEK.hex(),
        "sender key 01": sender_key(TEK, GID, 1, 1).hex(),
        "sender key 2a": sender_key(TEK, GID, 1, 0x2A).hex(),
        "record 2a": context.seal(5, b"123456").hex(),
        "gsa sender": encode(_sender_gsa()).hex(),
        "gsa ipv6 sender": encode(_sender_gsa(address=MUL_ID)).hex(),
        "gsa listener": encode(_listener_gsa()).hex(),
        **{name: ours.hex() for name, ours, _, _ in _recoded_vectors()},
    }
    assert _listed() == computed


def _recoded(name):
    """Return a record of section 9 recoded as section 16 says it."""
    whole = bytes.fromhex(name if len(name) > 20 else _listed()[name])
    marked_number = (1 << 23) + int.from_bytes(whole[6:11], "big")
    return marked_number.to_bytes(3, "big") + whole[3:6] + whole[21:]


def _long_tagged(sequence):
    """Return an empty record of sender ff in epoch ffff, with a tag of 16 bytes."""
    return record.seal(SUITES[PSK_AES_128_CCM].cipher, KEY, SALT, 23, 0xFFFF, 0xFF << 40 | sequence, b"").hex()


def _recoded_packet(name):
    """Return the RecodedPacket of section 16."""
    source, target = bytes((10, 77, 0, 1)), bytes((239, 1, 2, 3))
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(_listed()[name]) // 2, 0, 0x4000, 64, 17, 0, source, target)
    total = sum(struct.unpack(">10H", header))
    checksum = 0xFFFF - (total % 0xFFFF)
    return struct.pack(">BH4sH4sH", 1, checksum, source, 5600, target, 5684) + _recoded(name)


def _recoded_vectors():
    """Yield (name, frame by these lines, frame by the library, the datagram)."""
    for name, text in (
        ("recoded k08 2a", _listed()["k08 2a"]),
        ("recoded 2a", _listed()["record 2a"]),
        ("recoded first", _long_tagged(0)),
        ("recoded last", _long_tagged((1 << 23) - 1)),
    ):
        datagram = bytes.fromhex(text)
        yield name, _recoded(text), recode(datagram), datagram
    datagram = bytes.fromhex(_listed()["k08 2a"])
    ends = bytes((10, 77, 0, 1)) + (5600).to_bytes(2, "big"), bytes((239, 1, 2, 3)) + (5684).to_bytes(2, "big")
    yield "recoded packet", _recoded_packet("k08 2a"), packet(*ends, datagram, True), datagram


def test_the_recoded_vectors_are_those_of_the_library_and_restore_to_their_records():
    for name, ours, theirs, datagram in _recoded_vectors():
        assert ours.hex() == bytes(theirs).hex() == _listed()[name], name
        assert (parse(ours)[2] if name == "recoded packet" else restore(ours)) == datagram


def test_the_gsas_of_the_protocol_decode_to_their_fields():
    """Those of a sender, at an IPv4 and at an IPv6 address, and that of a listener."""
    listed = _listed()
    ipv6 = _sender_gsa(address=MUL_ID)
    for name, gsa in (("gsa sender", _sender_gsa()), ("gsa ipv6 sender", ipv6), ("gsa listener", _listener_gsa())):
        assert vars(decode(bytes.fromhex(listed[name]))) == vars(gsa)


def test_struct_and_hashlib_alone_make_the_gsa_of_the_ipv6_group():
    """Version 2 of the format, written down a second time, without the code under test."""
    base = 1 << 48
    body = struct.pack(">BB4s16sHHBBHB16s", 2, 3, GID, MUL_ID, 5684, 0xC0A8, 1, 1, 1, 16, bytes.fromhex(_listed()["tek"]))
    body += struct.pack(">HQIIBHQHQHQ", 0x2A, base, 86400, 1 << 23, 3, 0x2A, base, 1, base + 1000, 2, 2**64 - 1)
    assert (body + hashlib.sha256(body).digest()[:4]).hex() == _listed()["gsa ipv6 sender"]


def test_the_mul_id_of_an_ipv6_group_is_its_address_and_that_of_an_ipv4_group_is_mapped():
    """Section 3; version 1 of the GSA derived its keys in the same way."""
    assert mul_id_of(MUL_ID) == MUL_ID
    assert mul_id_of(bytes((239, 1, 2, 3))) == ipaddress.IPv6Address("::ffff:239.1.2.3").packed


def test_every_trap_of_the_protocol_has_tests_with_its_number():
    """No listed trap lacks a test, and no test has a number that is not listed."""
    listed = set(re.findall(r"^(\d+)\. ", (ROOT / "docs" / "protocol.md").read_text().split("## 10. Traps")[1], re.MULTILINE))
    sources = "".join(path.read_text() for path in (ROOT / "host_tests" / "portable").glob("test_member_*.py"))
    tested = {str(int(number)) for number in re.findall(r"def test_trap_(\d\d)_", sources)}
    assert listed == tested
