# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The asyncio endpoint of a group: a task between a transport and a sans-IO dice.group.member.Member.

group = await dice.join("lamps.gsa")
async for sender, message in group: ...
await group.send(b"off")
answers = await group.ask(b"lit?")
"""

import asyncio

from .._compat import ticks_add, ticks_diff
from .._typing import TYPING
from ..errors import DATA, EXPIRED, NONE, DiceError, LimitError, StoreError, UsageError
from ..group.gsa import decode, without_fresh_flag
from ..group.member import Member
from ..limits import GRACE_MS, MESSAGES_MAX, RENEW_MS, RESERVE_RECORDS
from ..reasons import E_ANSWERED, E_CLOSED, E_EXPIRED, E_OPTION, E_STORE_READ
from ..store import folder_of, read_file, replace_file
from ..stores import open_store
from ..transport import network_or_udp
from .wait import now, repeat, wait

if TYPING:
    from collections.abc import Callable
    from typing import Any

    from ..group.gsa import Gsa
    from ..types import Bytes, GroupTransport, Network, Store


async def join(
    path: str,
    store: "Store | None" = None,
    transport: "GroupTransport | None" = None,
    network: "Network | None" = None,
    answering: bool = False,
    reserve_records: int = RESERVE_RECORDS,
    remember_records: int = 1,
    grace_ms: int = GRACE_MS,
) -> "Group":
    """Return the Group of a GSA file, which `dicectl keyring export` or a ManagedGroup has written.

    * `store` keeps the counters of the group (see dice.store); by default they are files beside `path`, on an ESP32 in its NVS.
    * `transport` carries the datagrams; by default it is made by `network` for the group's address and port, and `network` is the
      system's UDP (see dice.transport).
    * `answering`: messages can be answered, with Group.answer. The GSA must have an id for this device, and the transport answer().
    * `reserve_records`: sending writes to the store once for so many records, 1 to 2**23; a reboot skips at most as many numbers.
    * `remember_records`: receiving writes to the store once for so many records of a sender, 1 to 2**23; after a reboot, up to one
      less than so many new records of each sender are dropped.
    * `grace_ms`: the time in ms, below 2**29, for which the previous epoch is still received after a re-key.

    The file is written back once, when its sequence numbers have been copied into the store. Raises FormatError for a damaged file,
    StoreError if the file or the store cannot be read or written, UsageError for an option out of bounds and for an epoch older
    than the last one of this device, and OSError if the network is not up.
    """
    found = read_file(path, lambda data: (decode(data), data))
    if found is None:
        raise StoreError(E_STORE_READ)
    gsa, encoded = found
    if transport is None:  # before the member: its lifetime begins with it
        transport = network_or_udp(network).Multicast(gsa.address, gsa.port)
    member = None
    try:
        if store is None:
            store = open_store(folder_of(path))
        member = Member(gsa, store, now(), reserve_records, remember_records, grace_ms)
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
    """A joined group; join() makes it. `async for sender, message in group` gives (SenderID, bytes) of each fresh message.

    * `member`: the dice.group.member.Member, which counts what was dropped.
    * `overrun`: messages that were lost here: evicted because nobody iterated (the newest MESSAGES_MAX are kept, for one task that
      iterates), or because of an exception, such as a lack of memory or a failed interface.
    * `error`: the last one of these exceptions; `ended`: that which has ended the group, or None.
    * `watch`: is called after each datagram, for a ManagedGroup.
    * `asked`: what answer() needs to answer the message that the iteration gave last.

    A task of its own reads the transport, because a device that only sends must also detect a clash of SenderIDs and the end of the
    lifetime. It ends with close(), with the lifetime, and when the transport has failed for 5 s without a break.
    """

    def __init__(self, member: Member, transport: "GroupTransport", answering: bool = False) -> None:
        self.member = member
        self.overrun = 0
        self.error: Exception | None = None
        self.watch: Callable[[], None] | None = None
        self.asked: tuple[Any, ...] = ()
        self._received_request: Any = None
        if answering:
            from ..group.response import ReceivedRequest

            if not hasattr(transport, "answer"):
                raise UsageError(E_OPTION)
            self._received_request = ReceivedRequest
        self._transport: Any = transport
        self._renew: Any = getattr(transport, "renew", None)
        self._renew_at = now()
        self._messages: list[tuple[int, bytes, tuple[Any, ...]]] = []
        self._arrived = asyncio.Event()
        self.ended: Exception | None = None
        self._task = asyncio.create_task(self._run())

    def __aiter__(self) -> "Group":
        return self

    async def __anext__(self) -> "tuple[int, bytes]":
        """Return (SenderID, message) of the next fresh message.

        Raises LimitError when the lifetime is over, UsageError when the group is closed, and OSError when the transport has failed
        for good: join again.
        """
        while not self._messages:
            if isinstance(self.ended, DiceError):
                raise type(self.ended)(self.ended.reason)  # a new one each time: each raise lengthens its traceback
            if self.ended:
                raise self.ended
            self._arrived.clear()
            await self._arrived.wait()
        sender, message, self.asked = self._messages.pop(0)
        return sender, message

    async def send(self, message: "Bytes") -> None:
        """Seal `message`, at most 1,195 bytes, and send it to the group.

        Raises UsageError if this device is not a sender or the message is too long, StoreError if the sequence number cannot be
        stored, LimitError if the key is used up or expired, or another device has our SenderID, and OSError.
        """
        self.member.send(message, now())
        self._transport.send(self.member.transmit())

    async def answer(self, message: "Bytes", asked: "tuple[Any, ...] | None" = None) -> None:
        """Send `message` to one sender alone, as the answer to its message that the iteration gave last.

        To answer an earlier message, pass the value that `asked` had then. Raises UsageError if the message was answered before,
        or if this device did not join with `answering` (docs/protocol.md, section 12).
        """
        asked = self.asked if asked is None else asked
        if not asked:
            raise UsageError(E_ANSWERED)
        request, source = asked
        self._transport.answer(request.answer(message), source)

    async def ask(self, message: "Bytes", wait_ms: int = 2000) -> "dict[int, bytes]":
        """Send `message` to the group, and return {ListenerID: answer} of the members that have answered after `wait_ms` ms.

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

    def install(self, gsa: "Gsa") -> None:
        """Hold the next epoch beside the current one; see Member.install."""
        self.member.install(gsa, now())

    def activate(self) -> None:
        """Go on to the next epoch; see Member.activate."""
        self.member.activate(now())
        self._task.cancel()  # it waits for a deadline that has changed
        self._task = asyncio.create_task(self._run())

    def close(self) -> None:
        """Leave the group: overwrite its keys and close the transport."""
        self._task.cancel()
        self.ended = UsageError(E_CLOSED)
        self._arrived.set()
        self.member.close()
        self._transport.close()

    async def _run(self) -> None:
        end: Exception = LimitError(E_EXPIRED)
        try:
            await repeat(self, self._step)
        except OSError as error:
            end = error
        if self._task is asyncio.current_task():
            self.ended = self.ended or end  # raised where the application waits
            self._arrived.set()

    async def _step(self) -> bool:
        """Receive one datagram, or wait for one; return whether the task has ended."""
        if self._task is not asyncio.current_task():  # CPython before 3.12 can swallow a cancellation
            return True
        datagram = self._transport.receive()
        event = self.member.timeout(now()) if datagram is None else self.member.receive(datagram, now())
        if self.watch:
            self.watch()  # before the application can send in an epoch that was just entered
        if datagram is None:
            if event == NONE:
                end = self._deadline()  # first: it may replace the socket
                await wait(self._transport.socket, end)
            return event == EXPIRED
        if event == DATA:
            if len(self._messages) == MESSAGES_MAX:
                self._messages.pop(0)
                self.overrun += 1
            asked = (self._received_request(self.member), self._transport.source) if self._received_request else ()
            self._messages.append((self.member.sender, self.member.data, asked))
            self._arrived.set()
        return event == EXPIRED

    def _deadline(self) -> "int | None":
        """Return when to go on, in ticks, or None. If it is time, renew the membership, which ends with the interface."""
        end = self.member.deadline()
        if self._renew:
            if ticks_diff(now(), self._renew_at) >= 0:
                self._renew_at = ticks_add(now(), RENEW_MS)
                try:
                    self._renew()
                except OSError as error:  # such as no network: it may come back
                    self.error = error
            if end is None or ticks_diff(end, self._renew_at) > 0:
                end = self._renew_at
        return end
