# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A manager and its members in virtual time: all of dice as it is, asyncio too, on a clock and a network that are made up.

A VirtualNetwork stands for the network: datagrams take some time, some are lost, and it counts them. What run() runs sees its clock
and its network in place of time and UDP. Only CPython can do this.
"""

import asyncio
import contextlib
import contextvars
import os
import selectors
from types import SimpleNamespace

import dice
from dice import _cpython, store
from dice.aio.coap import Coap
from dice.aio.managed import ManagedGroup
from dice.coap.resource import Router
from dice.dtls.kx_psk import Psk
from dice.errors import DiceError
from dice.transport import udp

LATENCY_S = 0.02
_SERVER = "manager"
_where = contextvars.ContextVar("where", default=_SERVER)  # the name of the node that runs


class Loop(asyncio.SelectorEventLoop):
    """asyncio's event loop, whose clock jumps to what is due next instead of waiting for it."""

    def __init__(self):
        self._now = 0.0
        super().__init__(selectors.SelectSelector())
        self._selector.select = self._skip

    def time(self):
        """Return the seconds of virtual time."""
        return self._now

    def _skip(self, timeout=None):
        if timeout is None:
            raise RuntimeError("nothing will ever happen")
        self._now += timeout
        return []

    def add_reader(self, end, callback, *_):
        """Have `callback` called when a datagram arrives at an VirtualSocket."""
        end.wake = callback
        if end.waiting:
            self.call_soon(callback)

    def remove_reader(self, end):
        """Forget that."""
        end.wake = None


class VirtualSocket:
    """One end of the network: stands for dice.transport.udp.Unicast and for dice.transport.udp.Multicast."""

    _WAITING_MAX = 2048  # as the buffer of a socket

    def __init__(self, network, address, members=None):
        self.network = network
        self.node = _where.get()
        self.address = address
        self.socket = self
        self.source = None
        self.wake = None
        self.waiting = []
        self.closed = False
        self._members = members  # of a multicast group: all VirtualSockets in it

    def send(self, datagram, address=None):
        """Send to the server, to `address`, or to the group."""
        datagram = bytes(datagram)
        if self.closed:
            return
        if self._members is not None:
            self.network.heard.append((self.node, datagram))
            for end in list(self._members):
                self.network.carry(datagram, self, end)
            return
        end = self.network.ends.get(address or _SERVER)
        self.network.count(self.node if end is None or end.node == _SERVER else end.node, datagram)
        if end:
            self.network.carry(datagram, self, end)

    @property
    def of_a_group(self):
        """Whether it takes part in a multicast group."""
        return self._members is not None

    def arrive(self, datagram, source):
        """Take a datagram from the network."""
        if len(self.waiting) < self._WAITING_MAX:
            self.waiting.append((datagram, source))
        if self.wake:
            self.wake()

    def receive(self):
        """Return as dice.transport.udp does."""
        if self._members is not None:
            return self.waiting.pop(0)[0] if self.waiting else None
        return self.waiting.pop(0) if self.waiting else (None, None)

    def close(self):
        """Be gone."""
        self.closed = True
        self.network.ends.pop(self.address, None)
        if self._members is not None and self in self._members:
            self._members.remove(self)


class VirtualNetwork:
    """The network. `chance(n)` returns 0 .. n - 1; `loss` is in per cent.

    `counts` has [datagrams, bytes] of sessions with the manager by node, both ways; `heard` is (node, datagram) of all that was
    sent to groups; `cut` has the names of nodes that nothing gets to or from.
    """

    def __init__(self, chance, loss=0):
        self.loss = loss
        self.counts = {}
        self.heard = []
        self.cut = set()
        self.ends = {}
        self._chance = chance
        self._groups = {}
        self._numbers = 0

    def count(self, node, datagram):
        """Count one of a session's datagrams."""
        counted = self.counts.setdefault(node, [0, 0])
        counted[0] += 1
        counted[1] += len(datagram)

    def carry(self, datagram, source, end):
        """Bring a datagram to an end, or lose it."""
        lost = self._chance(100) < self.loss and source is not end
        if not lost and not self.cut & {source.node, end.node}:
            asyncio.get_running_loop().call_later(LATENCY_S, end.arrive, datagram, source.address)

    def of(self, node):
        """Return all VirtualSockets of a node."""
        ends = [*self.ends.values(), *[end for members in self._groups.values() for end in members]]
        return [end for end in ends if end.node == node]

    def _unicast(self, address, port=None):
        self._numbers += 1
        end = VirtualSocket(self, _SERVER if address is None else f"{_where.get()}:{self._numbers}")
        self.ends[end.address] = end
        return end

    def _multicast(self, address, port, interface=None):
        members = self._groups.setdefault((bytes(address), port), [])
        end = VirtualSocket(self, None, members)
        members.append(end)
        return end

    def run(self, coroutine_function, *arguments):
        """Run `coroutine_function(*arguments)` in the town and return its result."""
        loop = Loop()
        clock = SimpleNamespace(monotonic_ns=lambda: int(loop.time() * 1e9))
        with contextlib.ExitStack() as stack:
            for module, name, other in (
                (_cpython, "time", clock),
                (udp, "Unicast", self._unicast),
                (udp, "Multicast", self._multicast),
                (store, "sync", lambda path: None),  # power fails between two calls here, never inside one
            ):
                stack.callback(setattr, module, name, getattr(module, name))
                setattr(module, name, other)
            try:
                return loop.run_until_complete(coroutine_function(*arguments))
            finally:
                for task in asyncio.all_tasks(loop):
                    task.cancel()
                loop.run_until_complete(asyncio.sleep(0))
                loop.close()


class VirtualNode:
    """A member of one group as an application is one: it connects, joins, listens, and connects again where the session broke.

    `heard` has (virtual seconds, SenderID, message).
    """

    def __init__(self, network, folder, name, group, identity, key, timer_ms=1000):
        self.name = name
        self.identity = identity
        self.heard = []
        self.joined_s = None
        self.managed = None
        self._network = network
        self._folder = folder
        self._group = group
        self._key = key
        self._timer_ms = timer_ms
        self._tasks = []
        self._peer = None

    def power_on(self):
        """Start it."""
        context = contextvars.copy_context()
        context.run(_where.set, self.name)
        os.makedirs(f"{self._folder}/{self.name}", exist_ok=True)
        self.managed = ManagedGroup(self._group, f"{self._folder}/{self.name}/{self._group}.gsa")
        self._tasks = [context.run(asyncio.ensure_future, self._live())]

    def power_off(self):
        """VirtualSocket it at once: what is on its disk stays, nothing else."""
        for task in self._tasks:
            task.cancel()
        for end in self._network.of(self.name):
            end.close()
        if self._peer:
            self._peer.close()
        if self.managed:
            self.managed.leave()
        self.managed = self._peer = None

    @property
    def member(self):
        """The dice.group.member.Member, or None while it is not in the group."""
        return self.managed.group.member if self.managed and self.managed.group else None

    async def send(self, message):
        """Send to the group."""
        await self.managed.group.send(message)

    async def _live(self):
        loop = asyncio.get_running_loop()
        started = loop.time()
        listening = None
        while True:
            try:
                connection = await dice.connect(("", 0), Psk(self.identity, self._key), timer_ms=self._timer_ms, timeout_s=300)
                self._peer = peer = Coap(connection, Router(self.managed.routes))
                group = await self.managed.join(peer)
                if listening is None or listening.done():
                    listening = asyncio.ensure_future(self._listen(group))
                    self._tasks.append(listening)
                if self.joined_s is None:
                    self.joined_s = loop.time() - started
                await self.managed.stay(peer)
            except (DiceError, OSError):
                pass
            if self._peer:
                self._peer.close()
            await asyncio.sleep(5)

    async def _listen(self, group):
        async for sender, message in group:
            self.heard.append((asyncio.get_running_loop().time(), sender, message))
