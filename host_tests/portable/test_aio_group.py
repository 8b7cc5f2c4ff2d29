# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dice.join over a transport in memory; host_tests/net has real multicast."""

import asyncio

from memory_transport import Signal, Transport, expect, run, run_hasty, until
from support import A, B, RamStore, exists, forge, keys_of, make_folder, make_gsa, sealed

import dice
from dice.aio import group as aio
from dice.errors import FormatError, LimitError, StoreError, UsageError
from dice.group.gsa import decode
from dice.group.gsa_encode import encode
from dice.limits import MESSAGES_MAX
from dice.reasons import E_ANSWERED, E_CLASH, E_CLOSED, E_DAMAGED, E_EXPIRED, E_OPTION, E_STORE_READ, E_STORE_WRITE
from dice.store import FileStore, folder_of, read_file


def write_gsa(**changes):
    """Write a GSA file into a new folder; return its path."""
    path = make_folder() + "/lamps.gsa"
    with open(path, "wb") as file:
        file.write(encode(make_gsa(**changes)))
    return path


async def joined(own_id=None, *others, **changes):
    """Return a Group and its transport."""
    transport = Transport(*others)
    return await dice.join(write_gsa(own_id=own_id, **changes), RamStore(), transport), transport


def test_two_members_exchange_messages():
    async def main():
        one, to_one = await joined(A)
        two, to_two = await joined(B, to_one)
        to_one.others = (to_one, to_two)
        await one.send(b"on")
        assert await two.__anext__() == (A, b"on")
        await two.send(bytearray(b"done"))
        received = []
        async for sender, message in one:
            received.append((sender, message))
            break
        assert received == [(B, b"done")]
        assert one.member.dropped == {"own": 1}
        one.close()
        two.close()

    run(main)


class Recorder:
    """Records every datagram that is sent."""

    def __init__(self):
        self.datagrams = []

    def feed(self, datagram):
        self.datagrams.append(bytes(datagram))


def test_join_rewrites_the_file_without_fresh_flag_and_reserves_counters():
    async def main():
        path = write_gsa(own_id=A)
        recorder = Recorder()
        for expected in (0, 1, 2):
            group = await dice.join(path, transport=Transport(recorder))
            gsa = read_file(path, decode)
            assert not gsa.fresh
            assert (gsa.own_id, gsa.key, gsa.senders) == (A, bytearray(range(16)), make_gsa().senders)
            await group.send(b"x")
            assert recorder.datagrams[-1][5:11] == b"\1" + expected.to_bytes(5, "big")
            assert FileStore(folder_of(path)).get("01020304t0001") == (1 << 48) + expected + 64
            group.close()
            assert FileStore(folder_of(path)).get("01020304t0001") == (1 << 48) + expected + 1
        assert not exists(path + ".tmp")

    run(main)


def test_a_given_store_is_used_instead_of_files():
    async def main():
        path = write_gsa(own_id=A)
        store = RamStore()
        group = await dice.join(path, store, Transport())
        group.close()
        assert "01020304t0001" in store.values
        assert FileStore(path.rpartition("/")[0]).get("01020304t0001") is None

    run(main)


def test_a_missing_or_damaged_gsa_file_is_refused():
    async def main():
        await expect(StoreError, E_STORE_READ, dice.join(make_folder() + "/lamps.gsa"))
        path = write_gsa()
        with open(path, "wb") as file:
            file.write(forge(encode(make_gsa())))
        await expect(FormatError, E_DAMAGED, dice.join(path))

    run(main)


def test_a_failed_join_closes_its_transport():
    async def main():
        store = RamStore()
        store.broken = True
        path = write_gsa(own_id=A)
        transport = Transport()
        await expect(StoreError, E_STORE_WRITE, dice.join(path, store, transport))
        assert transport.closed
        assert read_file(path, decode).fresh

    run(main)


def run_with_clock(main):
    """Run `main(clock)`; clock[0] is the time."""
    clock = [0]
    saved = aio.now
    aio.now = lambda: clock[0]
    try:
        run(main, clock)
    finally:
        aio.now = saved


def test_expiry_by_the_clock_raises_in_the_iteration():
    async def main(clock):
        group, _ = await joined(lifetime_s=1)
        clock[0] = 999
        task = asyncio.create_task(group.__anext__())
        await asyncio.sleep(0)
        clock[0] = 1000
        await expect(LimitError, E_EXPIRED, task)
        await expect(LimitError, E_EXPIRED, group.__anext__())
        group.close()

    run_with_clock(main)


def test_expiry_detected_by_a_datagram_raises_in_the_iteration():
    async def main(clock):
        group, transport = await joined(A, lifetime_s=60)
        transport.feed(sealed(0, own_id=B))
        assert await group.__anext__() == (B, b"message")
        clock[0] = 60000
        transport.feed(sealed(1, own_id=B))
        await expect(LimitError, E_EXPIRED, group.__anext__())
        await expect(LimitError, E_EXPIRED, group.send(b"x"))
        group.close()

    run_with_clock(main)


def test_expiry_detected_by_send_raises_in_the_iteration_too():
    async def main(clock):
        group, transport = await joined(A, lifetime_s=60)
        await asyncio.sleep(0)
        clock[0] = 60000
        await expect(LimitError, E_EXPIRED, group.send(b"x"))
        transport.feed(sealed(1, own_id=B))
        await expect(LimitError, E_EXPIRED, group.__anext__())
        group.close()

    run_with_clock(main)


def test_a_lifetime_that_ended_before_a_reboot_raises_at_once():
    async def main():
        store = RamStore()
        path = write_gsa(lifetime_s=1)
        (await dice.join(path, store, Transport())).close()
        group = await dice.join(path, store, Transport())
        await expect(LimitError, E_EXPIRED, group.__anext__())
        group.close()

    run(main)


def test_unread_messages_beyond_the_limit_drop_the_oldest():
    async def main():
        group, transport = await joined()
        for sequence in range(MESSAGES_MAX + 3):
            transport.feed(sealed(sequence, bytes((sequence,))))
        await until(lambda: group.member.accepted == MESSAGES_MAX + 3 and group.overrun)
        await until(lambda: group.overrun == 3)
        for sequence in range(3, MESSAGES_MAX + 3):
            assert await group.__anext__() == (A, bytes((sequence,)))
        transport.feed(sealed(100))
        assert await group.__anext__() == (A, b"message")
        assert group.overrun == 3
        group.close()

    run(main)


def test_a_cancelled_iteration_loses_no_message():
    async def main():
        group, transport = await joined(lifetime_s=60)
        task = asyncio.create_task(group.__anext__())
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
            raise AssertionError("was not cancelled")
        except asyncio.CancelledError:
            pass
        transport.feed(sealed(0))
        assert await group.__anext__() == (A, b"message")
        group.close()

    run(main)


def test_close_ends_tasks_and_transport_and_overwrites_keys():
    async def main():
        for lifetime_s in (0, 60):
            group, transport = await joined(A, lifetime_s=lifetime_s)
            keys = keys_of(group.member.held(1))
            task = asyncio.create_task(group.__anext__())
            await asyncio.sleep(0)
            group.close()
            await expect(UsageError, E_CLOSED, task)
            await expect(UsageError, E_CLOSED, group.__anext__())
            await expect(UsageError, E_CLOSED, group.send(b"x"))
            await until(lambda transport=transport: transport.closed)
            assert not any(keys)

    run(main)


def test_an_error_of_the_transport_raises_in_the_iteration():
    async def main():
        group, transport = await joined()
        transport.fail(OSError(5))
        for _ in range(2):
            try:
                await group.__anext__()
                raise AssertionError("no OSError")
            except OSError as error:
                assert error.args[0] == 5
        group.close()

    run_hasty(main)


def test_a_clash_stops_sending_but_not_receiving():
    async def main():
        group, transport = await joined(A)
        transport.feed(sealed(9))
        transport.feed(sealed(0, own_id=B))
        assert await group.__anext__() == (B, b"message")
        await expect(LimitError, E_CLASH, group.send(b"x"))
        group.close()

    run(main)


def test_a_flood_does_not_starve_other_tasks():
    async def main():
        group, transport = await joined()
        for _ in range(50):
            transport.feed(b"noise")
        turns = 0
        while group.member.dropped.get("malformed", 0) < 50:
            await asyncio.sleep(0)
            turns += 1
        assert turns >= 40
        group.close()

    run(main)


def test_a_lack_of_memory_loses_only_that_datagram():
    async def main():
        group, transport = await joined()
        receive = group.member.receive

        def fail(datagram, now):
            group.member.receive = receive
            raise MemoryError

        group.member.receive = fail
        transport.feed(sealed(0))
        transport.feed(sealed(1))
        assert await group.__anext__() == (A, b"message")
        assert group.overrun == 1
        assert group.member.accepted == 1
        group.close()

    run(main)


def test_join_passes_options_to_the_member():
    async def main():
        store = RamStore()
        group = await dice.join(write_gsa(own_id=A), store, Transport(), reserve_records=3)
        await group.send(b"x")
        assert store.values["01020304t0001"] == (1 << 48) + 3
        group.close()
        transport = Transport()
        await expect(UsageError, E_OPTION, dice.join(write_gsa(own_id=A), store, transport, reserve_records=0))
        assert transport.closed

    run(main)


def test_an_idle_member_notices_the_end_of_the_next_epochs_lifetime():
    """The receiving task waits without a deadline. It must wake up for the deadline that comes with the next epoch."""

    async def main():
        group, _ = await joined(A, fresh=True)
        await asyncio.sleep(0)
        group.install(make_gsa(own_id=A, epoch=2, lifetime_s=1))
        group.activate()
        await group.send(b"in the second epoch")
        await expect(LimitError, E_EXPIRED, group.__anext__())
        group.close()

    run(main)


def test_iteration_after_close_raises_a_new_exception_each_time():
    async def main():
        group, _ = await joined(A)
        group.close()
        errors = []
        for _ in range(2):
            try:
                await group.__anext__()
            except UsageError as error:
                errors.append(error)
        assert [error.reason for error in errors] == [E_CLOSED, E_CLOSED]
        assert errors[0] is not errors[1]

    run(main)


class AnswerChannel(Transport):
    """The object that ask() returns: received answers come with an address."""

    def receive(self):
        return super().receive(), None


class AnsweringTransport(Transport):
    """A transport that can carry answers: `source` is the channel to answer on."""

    source = None

    def ask(self, datagram):
        channel = AnswerChannel()
        for other in self.others:
            other.source = channel
        self.send(datagram)
        self.channel = channel
        return channel

    def answer(self, datagram, source):
        source.feed(datagram)


async def join_answering(own_id, *others, answering=False):
    """Return a Group on an AnsweringTransport, and the transport."""
    transport = AnsweringTransport(*others)
    return await dice.join(write_gsa(own_id=own_id), RamStore(), transport, answering=answering), transport


def test_ask_returns_the_answers_of_listeners_and_senders():
    async def main():
        one, to_one = await join_answering(200, answering=True)
        two, to_two = await join_answering(B, answering=True)
        silent, to_silent = await join_answering(None)
        asker, transport = await join_answering(A, to_one, to_two, to_silent)

        async def answer(group, text):
            async for sender, message in group:
                assert (sender, message) == (A, b"lit?")
                await group.answer(text)
                await expect(UsageError, E_ANSWERED, group.answer(text))

        tasks = [asyncio.create_task(answer(one, b"yes")), asyncio.create_task(answer(two, b"no"))]
        assert await asker.ask(b"lit?", 200) == {200: b"yes", B: b"no"}
        assert transport.channel.closed
        assert await silent.__anext__() == (A, b"lit?")
        await expect(UsageError, E_ANSWERED, silent.answer(b"maybe"))
        for task in tasks:
            task.cancel()
        for group in (one, two, silent, asker):
            group.close()

    run(main)


def test_answering_needs_a_transport_that_carries_answers():
    async def main():
        transport = Transport()
        await expect(UsageError, E_OPTION, dice.join(write_gsa(own_id=A), RamStore(), transport, answering=True))
        assert transport.closed

    run(main)


class Renewing(Transport):
    """A transport in memory with memberships: renew() raises `failure`, or else gives it a new socket."""

    failure = None
    renewed = 0

    def renew(self):
        self.renewed += 1
        if self.failure:
            raise self.failure
        ready, self.socket = self.socket, Signal()
        ready.close()


def test_a_membership_is_renewed_while_there_is_nothing_to_receive():
    """A renewal may replace the socket, and one that fails costs nothing."""

    async def main():
        one, to_one = await joined(A)
        for failure in (None, OSError(19)):
            transport = Renewing()
            transport.failure = failure
            to_one.others = (transport,)
            group = await dice.join(write_gsa(own_id=B), RamStore(), transport)
            await asyncio.sleep(0.1)
            assert transport.renewed == 1
            await one.send(b"on")
            assert await asyncio.wait_for(group.__anext__(), 1) == (A, b"on"), "heard by the old socket alone"
            assert group.error is failure and not group.ended and transport.renewed == 1, "again at once"
            group.close()
        one.close()

    run(main)
