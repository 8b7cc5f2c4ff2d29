# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Memory runs out at any line of what ends a session, and of handshakes: keys are gone, and both sides learn of the end."""

import functools
import sys

import pytest

from dice.errors import CLOSED, PeerError
from dice.reasons import E_FINISHED
from host_tests.portable.dtls_pair import connected, drain, give, pair
from host_tests.seeds import seeds

FILES = ("session.py", "record_layer.py", "handshake.py", "flights.py", "client.py", "server.py", "record.py")
STRIDE = 23


def lacking(call, at):
    """Call, and raise MemoryError at line number `at` of those that it executes; return how many it has executed."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if not frame.f_code.co_filename.endswith(FILES) or "/dice/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            count += 1
            if count == at + 1:
                raise MemoryError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except MemoryError:
        pass
    finally:
        sys.settrace(before)
    return count


def closing(ours, theirs):
    return ours.close


def failing(ours, theirs):
    return lambda: ours._fail(PeerError(51, E_FINISHED))


def abandoning(ours, theirs):
    return ours.abandon


def giving_up(ours, theirs):
    return ours.give_up


def receiving_close_notify(ours, theirs):
    theirs.close()
    datagrams = drain(theirs)
    return lambda: give(ours, datagrams)


@pytest.mark.parametrize("end", (closing, failing, abandoning, giving_up, receiving_close_notify))
def test_an_end_that_is_interrupted_anywhere_is_completed(end):
    """Either nothing has happened yet, or the next timeout() reports CLOSED; the keys are overwritten then."""
    interrupted = 0
    for at in range(10_000):
        ours, theirs = connected()
        keys, master = ours.layer.keys, ours.secrets.master
        executed = lacking(end(ours, theirs), at)
        if ours.connected:
            assert any(keys) and any(master)
            ours.close()
        else:
            assert ours.timeout(0) == CLOSED, f"line {at}"
        assert not any(keys) and not any(master) and not ours.connected, f"line {at}"
        assert len(drain(ours)) <= 2 and ours.deadline() is None
        if executed <= at:
            break
        interrupted += 1
    assert interrupted > 5


def test_a_handshake_that_lacks_memory_anywhere_ends_alike_on_both_sides():
    """A datagram may be lost, or the handshake fails; nobody stays connected alone, and no keys stay behind."""
    failed = 0
    for seed in seeds(2):
        for way in (0, 1):
            at, executed = seed % STRIDE, 1 << 30
            while at < executed:
                ends = pair(client={"cid": None})
                executed, ended = handshake(ends, way, at)
                assert ends[0].connected == ends[1].connected, (seed, way, at)
                for end, secrets in ended:
                    keys = end.layer.keys
                    assert not any(keys or b"") and not any(secrets.master or b"" if secrets else b""), (seed, way, at)
                failed += bool(ended)
                at += STRIDE
    assert failed


def turn(end, arrived, now):
    """Let time pass for one side; append what it sends to `arrived`."""
    end.timeout(now)
    arrived += drain(end)


def arrive(end, arrived, now):
    while arrived:
        give(end, [arrived.pop(0)], now)


def handshake(ends, way, at):
    """Connect two sides, one of which runs out of memory once; return (lines that it executed, [(side, secrets) that ended])."""
    executed = now = 0
    secrets = [None, None]
    while now < 900_000 and not all(end.connected for end in ends):
        for number, (end, other) in enumerate((ends, ends[::-1])):
            secrets[number] = secrets[number] or (end._handshake and end._handshake.secrets) or end.secrets

            arrived = []
            for step, side in ((turn, number), (arrive, 1 - number)):
                call = functools.partial(step, (end, other)[step is arrive], arrived, now)
                if side == way:
                    executed += lacking(call, at - executed)
                else:
                    call()
        now += 1000
        if all(end.deadline() is None and not end.connected for end in ends):
            break
    for end in ends:
        if not end.connected:
            end.timeout(now)
    return executed, [(end, kept) for end, kept in zip(ends, secrets, strict=True) if not end.connected]
