# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl group monitor`: the datagrams that a member has processed, and how they are printed. The member is a double."""

import asyncio
import json
import os
import types

import pytest

from dicectl.errors import CommandError
from dicectl.line_socket import Stream
from dicectl.member import monitor, observed, resident
from dicectl.member.observed import OwnMessages, described


def test_own_messages_are_known_and_others_are_not():
    own = OwnMessages()
    datagrams = [
        bytes((23, 254, 253)) + bytes((0, 1)) + number.to_bytes(6, "big") + bytes((0, 17)) + bytes(17) for number in range(99)
    ]
    for number, datagram in enumerate(datagrams):
        own.sent(datagram[3:11], {"number": number, "message": "on"})
    member = types.SimpleNamespace(accepted=5, dropped={"own": 1})
    said = described(datagrams[98], ("fe80::1%eth0", 5), member, (5, {}), own)
    assert (said["own"], said["number"], said["from"]) == (True, 98, "[fe80::1%eth0]:5")
    said = described(datagrams[0], ("10.0.0.1", 5), member, (5, {}), own)
    assert (said["dropped"], said["epoch"]) == ("own", 1)
    assert "epoch" not in described(b"nonsense", ("10.0.0.1", 5), member, (5, {"own": 1}), own)


def test_a_transport_whose_observer_raises_goes_on(monkeypatch):
    """The observer is called once for each datagram, also when it raises."""
    seen = []

    def observe(*processed):
        seen.append(processed[0])
        raise OSError(28, os.strerror(28))

    waiting = [b"1", b"2", None]
    monkeypatch.setattr(observed.OnInterface, "receive", lambda self: waiting.pop(0))
    member = types.SimpleNamespace(accepted=0, dropped={})
    transport = observed._Observed.__new__(observed._Observed)
    transport._observed_by, transport._last, transport.source = observed.ObservedNetwork(observe, lambda: member), None, None
    assert transport.receive() == b"1"
    with pytest.raises(OSError):
        transport.receive()
    assert transport.receive() == b"2"
    with pytest.raises(OSError):
        transport.receive()
    assert seen == [b"1", b"2"]


class FakeResident:
    """A double of Resident, whose monitor is given a datagram."""

    def __init__(self, *_, **__):
        pass

    async def run(self, ready):
        ready()
        await asyncio.sleep(3600)

    def do_monitor(self, group, datagrams):
        stream = Stream({"group": group, "waiting": 0, "joined": True, "address": "239.1.2.3", "port": 1, "epoch": 1})
        stream.put({"at": 0, "from": "10.0.0.1:5", "bytes": 3, "dropped": "malformed"})
        stream.put({"lost": 3})
        stream.put({"at": 0, "from": "10.0.0.1:5", "bytes": 3, "epoch": 1, "sender": 2, "number": 3, "message": "on\x1b"})
        return stream


def test_a_monitor_prints_what_a_member_says(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(resident, "Resident", FakeResident)
    monitor.Monitor("lamps", tmp_path, None, False, 2, False).run()
    said = capsys.readouterr()
    assert said.err == "listening to 239.1.2.3 port 1, epoch 1\n"
    first, lost, last = said.out.splitlines()
    assert first.endswith("dropped as malformed") and last.endswith("sender 2, epoch 1, number 3: on\\x1b")
    assert lost == "3 datagrams were not shown: this reader is too slow"
    monitor.Monitor("lamps", tmp_path, None, False, 2, True).run()
    assert [json.loads(line).get("dropped") for line in capsys.readouterr().out.splitlines()] == ["malformed", None, None]


def test_a_monitor_that_cannot_report_ends_audibly(tmp_path, monkeypatch):
    def full(self, value, datagram, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resident, "Resident", FakeResident)
    monkeypatch.setattr(monitor.Monitor, "_write", full)
    with pytest.raises(CommandError, match=r"the monitor ends: .*No space"):
        monitor.Monitor("lamps", tmp_path, None, False, 0, True).run()


def test_a_monitor_ends_with_its_member(tmp_path, monkeypatch):
    async def run(self, ready):
        raise CommandError("the member ends")

    monkeypatch.setattr(resident, "Resident", FakeResident)
    monkeypatch.setattr(FakeResident, "run", run)
    with pytest.raises(CommandError, match="the member ends"):
        monitor.Monitor("lamps", tmp_path, None, False, 0, True).run()
