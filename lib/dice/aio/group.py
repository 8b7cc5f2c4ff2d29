# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The asyncio endpoint of a group (row 6): a task between a transport and a sans-IO member, on MicroPython and on CPython.

group = await dice.join("lamps.gsa")
async for sender, message in group: ...
await group.send(b"off")
answers = await group.ask(b"lit?")
"""

import asyncio

from .._compat import ticks_add, ticks_diff
from ..errors import DATA, EXPIRED, NONE, DiceError, LimitError, StoreError, UsageError
from ..group.gsa import decode, without_fresh_flag
from ..group.member import Member
from ..limits import MESSAGES_MAX
from ..reasons import E_ANSWERED, E_CLOSED, E_EXPIRED, E_OPTION, E_STORE_READ
from ..store import FileStore, folder_of, read_file, replace_file
from .wait import now, wait


async def join(path, store=None, transport=None, answering=False, network=None, **options):
    """Return a Group.

    `path` is a GSA file made by `dicectl keyring export`. Its counters are kept beside it, unless `store` says where; the file is
    written back once, when its sequence numbers have been taken over. The transport is `transport`, or one of `network` to the
    group's address, or the system's UDP multicast (see dice.transport). A device that is `answering` may call Group.answer;
    `options` are those of Member. Raises FormatError, StoreError, UsageError, and OSError if the network is not up.
    """
    found = read_file(path, lambda data: (decode(data), data))
    if found is None:
        raise StoreError(E_STORE_READ)
    gsa, encoded = found
    if transport is None:  # before the member: its lifetime begins with it
        if network is None:
            from ..transport import udp as network
        transport = network.Multicast(gsa.address, gsa.port)
    member = None
    try:
        if store is None:
            store = FileStore(folder_of(path))
        member = Member(gsa, store, now(), **options)
        if gsa.fresh:
            encoded = without_fresh_flag(encoded)
            replace_file(path, encoded)
            encoded[:] = bytes(len(encoded))
        return Group(member, transport, answering)
    except Exception:
        if member:
            member.close()
        transport.close()
        raise
    finally:
        gsa.key[:] = bytes(len(gsa.key))


class Group:
    """A joined group: `async for sender, message in group` and `await group.send(message)`; `join` makes it.

    A task of its own reads the transport, since also a device that only sends has to notice a clash of SenderIDs and the end of
    a lifetime. It keeps the last few messages for the one task that iterates, and lets go of the oldest beyond that. `member`
    has the counts; `overrun` counts what was let go of for want of room, `asked` is for answer().
    """

    def __init__(self, member, transport, answering=False):
        self.member = member
        self.overrun = 0
        self.asked = ()
        self._received_request = None
        if answering:
            from ..group.response import ReceivedRequest

            if not hasattr(transport, "answer"):
                raise UsageError(E_OPTION)
            self._received_request = ReceivedRequest
        self._transport = transport
        self._messages = []
        self._arrived = asyncio.Event()
        self._error = None
        self._task = asyncio.create_task(self._pump())

    def __aiter__(self):
        return self

    async def __anext__(self):
        """Return (SenderID, message) of the next fresh message; raises LimitError at the lifetime's end."""
        while not self._messages:
            if isinstance(self._error, DiceError):
                raise type(self._error)(self._error.reason)  # a new one each time: each raise lengthens its traceback
            if self._error:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()
        sender, message, self.asked = self._messages.pop(0)
        return sender, message

    async def send(self, message):
        """Seal `message` (bytes-like) and send it to the group; raises UsageError, StoreError, LimitError, OSError."""
        self.member.send(message, now())
        self._transport.send(self.member.transmit())

    async def answer(self, message, asked=None):
        """Answer, to its sender alone, the message that came out of the iteration last (bytes); see dice.group.response.

        Or an earlier one: `asked` is what the attribute `asked` was when that came out. Raises UsageError where that was done, or
        the device did not join as an answering one.
        """
        asked = self.asked if asked is None else asked
        if not asked:
            raise UsageError(E_ANSWERED)
        question, source = asked
        self._transport.answer(question.answer(message), source)

    async def ask(self, message, wait_ms=2000):
        """Send `message` to the group; return {ListenerID: answer} of those that have answered after `wait_ms`.

        Raises what send() raises.
        """
        from ..group.response import PendingRequest

        self.member.send(message, now())
        datagram = self.member.transmit()
        pending = PendingRequest(self.member, datagram)
        end = ticks_add(now(), wait_ms)
        channel = self._transport.ask(datagram)
        try:
            while ticks_diff(end, now()) > 0:
                answer, _ = channel.receive()
                if answer is None:
                    await wait(channel.socket, end)
                else:
                    pending.receive(answer)
                    await asyncio.sleep(0)  # a flood must not starve the other tasks
        finally:
            channel.close()
        return pending.answers

    def install(self, gsa):
        """Hold the next epoch beside the present one; see Member.install."""
        self.member.install(gsa, now())

    def activate(self):
        """Go on to the next epoch; see Member.activate."""
        self.member.activate(now())
        self._task.cancel()  # it waits for a deadline that has changed
        self._task = asyncio.create_task(self._pump())

    def close(self):
        """Leave the group: overwrite its keys, close the transport."""
        self._task.cancel()
        self._error = UsageError(E_CLOSED)
        self._arrived.set()
        self.member.close()
        self._transport.close()

    async def _pump(self):
        try:
            while self._task is asyncio.current_task():  # a cancelled one may have come through (CPython before 3.12)
                try:
                    event = await self._step()
                except MemoryError:  # a datagram is lost, as on a bad link; the next may find room
                    self.overrun += 1
                    event = NONE
                    await asyncio.sleep(0.1)
                if event == EXPIRED:
                    raise LimitError(E_EXPIRED)
                await asyncio.sleep(0)  # a flood must not starve the other tasks
        except Exception as error:  # raised again where the application waits
            self._error = self._error or error
            self._arrived.set()

    async def _step(self):
        """Take in one datagram, or wait for one; return the event."""
        datagram = self._transport.receive()
        if datagram is None:
            event = self.member.timeout(now())
            if event == NONE:
                await wait(self._transport.socket, self.member.deadline())
            return event
        event = self.member.receive(datagram, now())
        if event == DATA:
            if len(self._messages) == MESSAGES_MAX:
                self._messages.pop(0)
                self.overrun += 1
            asked = (self._received_request(self.member), self._transport.source) if self._received_request else ()
            self._messages.append((self.member.sender, self.member.data, asked))
            self._arrived.set()
        return event
