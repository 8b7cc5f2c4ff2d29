# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A second cipher suite plugs in from one file: authentication alone, without an explicit nonce, for a session and a group.

The suites that key exchanges add are for sessions only.
"""

from hmac import compare_digest

import pytest

from dice.crypto.hmac import Hmac
from dice.dtls.kx_ecdhe_psk import EcdhePsk
from dice.dtls.kx_ecdsa import Ecdsa
from dice.dtls.kx_psk_server import Psk, PskLookup
from dice.errors import FormatError
from dice.group.gsa_encode import decode, encode
from dice.group.member import DATA, Member
from dice.limits import KEY_RECORDS_MAX
from dice.suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8, SUITES
from host_tests.portable.dtls_pair import connected, drain, give
from host_tests.portable.support import A, RamStore, make_gsa, seal

CODE = 0x00B0  # PSK_WITH_NULL_SHA256 (RFC 5487), with a shorter tag


def crypt(start, salt, tag_bytes, number, at, key, data, aad, plaintext):
    end = len(data) - tag_bytes
    if aad is None:
        aad = bytes(data[3:11]) + bytes(data[:3]) + max(0, end - start).to_bytes(2, "big")
    text = bytes(data[start:end] if plaintext is None else plaintext)
    tag = Hmac(key).digest(aad, text)[:tag_bytes]
    if plaintext is not None:
        data[start:] = text + tag
    return text if compare_digest(tag, bytes(data[end:])) else None


class NullSha256:
    key_bytes, keys_bytes, overhead, records_max = 32, 32, 13 + 16, KEY_RECORDS_MAX
    cipher = crypt, 13, 3, 16, 0, 32


@pytest.fixture(autouse=True)
def plugged(monkeypatch):
    monkeypatch.setitem(SUITES, CODE, NullSha256)
    for credentials in (Psk, PskLookup):
        monkeypatch.setattr(credentials, "suites", (CODE,))


@pytest.mark.parametrize("cid", [b"", b"id"])
def test_a_session_uses_a_suite_defined_here(cid):
    ours, theirs = connected(client={"cid": cid}, server={"cid": cid})
    ours.send(b"up", 0)
    datagram = drain(ours)[0]
    assert b"up" in datagram and len(datagram) == 13 + 2 + 16 + (3 if cid else 0)
    assert give(theirs, [datagram[:-1] + bytes((datagram[-1] ^ 1,)), datagram]) == [b"up"]
    assert theirs.suite == CODE and theirs.layer.dropped == {"forged": 1}


def test_a_group_uses_a_suite_defined_here():
    sender, listener = (Member(decode(encode(make_gsa(own_id=i, suite=CODE))), RamStore(), 0) for i in (A, None))
    datagram = seal(sender, b"on")
    assert b"on" in datagram and len(datagram) == 13 + 2 + 16
    assert listener.receive(datagram, 0) == DATA and listener.data == b"on"


@pytest.mark.parametrize("code", Ecdsa.suites + EcdhePsk.suites, ids=hex)
def test_a_group_uses_no_suite_of_a_key_exchange(code):
    """A GSA names a cipher alone: what it may name does not depend on which modules are loaded."""
    assert SUITES[-code] in (SUITES[PSK_AES_128_CCM], SUITES[PSK_AES_128_CCM_8])
    with pytest.raises(FormatError):
        decode(encode(make_gsa(own_id=A, suite=code)))
