# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""host_tests/nonces.py sees whatever seals, and a test in which a number is used twice fails."""

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import wrap
from dice.dtls.server import Server
from dice.dtls.session import Session
from dice.dtls.sleep import save
from dice.errors import DATA
from dice.group.gsa import DERIVE_SENDER, K08, Gsa
from dice.group.member import Member
from dice.group.response import ReceivedRequest
from dice.record import seal
from dice.suites import PSK_AES_128_CCM_8, SUITES
from host_tests import nonces

ROOT = Path(__file__).resolve().parents[2]
KEY = bytes(range(16))
SWITCH, LAMP = 1, 2


class Store(dict):
    """Counters in memory."""

    put = dict.__setitem__


def member(own_id, store=None):
    """Return a member of a group of two senders."""
    fields = {"gid": b"grp1", "address": b"\xef\1\2\3", "port": 1, "suite": PSK_AES_128_CCM_8, "layout": K08, "budget": 99}
    fields |= {"derive": DERIVE_SENDER, "epoch": 1, "key": bytearray(KEY), "own_id": own_id, "own_next": 0, "lifetime_s": 0}
    return Member(Gsa(senders=[(SWITCH, 0), (LAMP, 0)], fresh=True, **fields), Store() if store is None else store, 0)


def sent(group, message):
    """Return the datagram of a message."""
    group.send(message, 0)
    return group.transmit()


def connected():
    """Return (client, server), connected sessions."""
    client = Session(Client(Psk(b"node", KEY), os.urandom), RecordLayer(), 0)
    ends = client, Session(Server(PskLookup({b"node": KEY}.get), os.urandom), RecordLayer(), 0)
    while not (ends[0].connected and ends[1].connected):
        for near, far in (ends, ends[::-1]):
            while datagram := near.transmit():
                far.receive(bytes(datagram), 0)
    return ends


def group_record(text):
    """A sender whose counter has gone back."""
    group = member(SWITCH)
    sent(group, text)
    return lambda: sent(member(SWITCH), text + b"!")


def answer(text):
    """A listener that answers a question for the second time."""
    datagram = sent(member(SWITCH), b"lit?")

    def answered(data):
        lamp = member(LAMP)
        assert lamp.receive(datagram, 0) == DATA
        ReceivedRequest(lamp).answer(data)

    answered(text)
    return lambda: answered(text + b"!")


def session_record(text):
    """A session whose number has gone back."""
    client, _ = connected()
    epoch = client.layer.epochs[1]
    client.send(text, 0)
    client.transmit()
    epoch.next -= 1
    return lambda: client.send(text + b"!", 0)


def alert(text):
    """A close_notify with the number of a message."""
    client, _ = connected()
    client.send(text, 0)
    client.transmit()
    client.layer.epochs[1].next -= 1
    return client.close


def ticket(text):
    """A server whose tickets had the same 16 bytes."""
    with mock.patch("dice.dtls.resumption.p_sha256", lambda secret, seed, length: bytearray(length)):
        wrap(KEY, os.urandom, text)

    def again():
        with mock.patch("dice.dtls.resumption.p_sha256", lambda secret, seed, length: bytearray(length)):
            wrap(KEY, os.urandom, text + b"!")

    return again


def saved_session(text):
    """A device whose saved sessions had the same 16 bytes."""

    def saved():
        client, _ = connected()
        with mock.patch("dice.dtls.resumption.p_sha256", lambda secret, seed, length: bytearray(length)):
            save(client, Store(), KEY, os.urandom)

    saved()
    return saved


@pytest.fixture
def record():
    """Yield the record of nonces; afterwards it is as it was."""
    yield nonces.RECORD
    nonces.RECORD.begin()


@pytest.mark.parametrize("seal", [group_record, answer, session_record, alert, ticket, saved_session])
def test_a_number_that_is_used_twice_is_seen_wherever_dice_seals(seal, record):
    again = seal(b"one")
    assert record.seals and not record.repeated
    again()
    assert len(record.repeated) == 1
    with pytest.raises(AssertionError, match=r"1 nonces were used twice:\nkey [0-9a-f]{32}, nonce [0-9a-f]{24} sealed"):
        record.check()
    assert not record.repeated, "a repetition is reported twice"


def test_the_same_content_again_is_a_fault_only_in_a_strict_world(record):
    datagram = sent(member(SWITCH), b"on")
    assert sent(member(SWITCH), b"on") == datagram
    assert record.seals == 2 and not record.repeated
    record.new_world(strict=True)
    sent(member(SWITCH), b"on")
    assert not record.repeated
    sent(member(SWITCH), b"on")
    assert len(record.repeated) == 1 and "and the same" in record.repeated[0]


def test_a_new_world_has_other_keys(record):
    sent(member(SWITCH), b"on")
    record.new_world()
    sent(member(SWITCH), b"off")
    assert not record.repeated


def test_another_content_behind_the_same_header_and_another_header_before_the_same_content_are_seen(record):
    """The tag covers both."""
    cipher = SUITES[PSK_AES_128_CCM_8].cipher
    seal(cipher, KEY, b"salt", 23, 1, 7, b"on")
    seal(cipher, KEY, b"salt", 22, 1, 7, b"on")
    seal(cipher, KEY, b"salt", 23, 1, 7, b"of")
    seal(cipher, KEY, b"salt", 23, 1, 8, b"of")
    assert len(record.repeated) == 2


FAILS = """
from dice import record
from dice.suites import SUITES

def twice(text):
    for data in (b"on", text):
        record.seal(SUITES[0xC0A8].cipher, bytes(16), b"salt", 23, 1, 7, data)

def test_one(): twice(b"off")
def test_two(): twice(b"on")
def test_three(): record.seal(SUITES[0xC0A8].cipher, bytes(16), b"salt", 23, 1, 7, b"off")
"""


def test_the_test_fails(tmp_path):
    """Each test begins anew, and names the places that sealed."""
    (tmp_path / "test_it.py").write_text(FAILS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    argv = [sys.executable, "-m", "pytest", "-p", "host_tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*argv, str(tmp_path)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "ERROR test_it.py::test_one - Failed: 1 nonces were used twice" in done.stdout, done.stdout
    assert done.stdout.count("test_it.py:7") >= 2, done.stdout


def test_an_exemption_names_a_test_and_is_needed(monkeypatch, record):
    for name, reason in nonces.EXEMPT.items():
        path, _, test = name.partition("::")
        assert reason and f"def {test}(" in (ROOT / "host_tests" / path).read_text(), name
    monkeypatch.setitem(nonces.EXEMPT, "unit/test_nonces.py::test_it", "a reason")
    assert "repeats no nonce any more" in nonces.verdict("host_tests/unit/test_nonces.py::test_it[1]")
    assert nonces.verdict("host_tests/unit/test_nonces.py::test_other") is None
    record.repeated.append("a nonce")
    assert nonces.verdict("host_tests/unit/test_nonces.py::test_it") is None
    assert "a nonce" in nonces.verdict("host_tests/unit/test_nonces.py::test_other")


CHILD = """
import os, sys
from dice.record import seal
from dice.suites import SUITES
seal(SUITES[0xC0A8].cipher, bytes(16), b"salt", 23, 1, 7, sys.argv[1].encode())
"""


def test_other_processes_are_seen_in_a_test_that_asks_for_it(tmp_path, record, recorded_processes):
    """Also what this process and another one have sealed with one nonce."""
    for text in ("on", "on", "off"):
        subprocess.run([sys.executable, "-c", CHILD, text], check=True)
    seal(SUITES[PSK_AES_128_CCM_8].cipher, bytes(16), b"salt", 23, 1, 7, b"on")
    record.read(recorded_processes)
    assert record.seals == 4 and len(record.repeated) == 1
    recorded_processes.unlink()
