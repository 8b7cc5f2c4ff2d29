# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A virtual network and clock: a manager and its members run in virtual time, with the real library and asyncio.

The library takes the time from the event loop and its transports from a `network`: here from Loop and VirtualHost. Datagrams
arrive after LATENCY_S, some are lost, and all are counted. CPython only.
"""

import asyncio
import heapq
import os
import selectors

import dice
from dice.aio.coap import Coap
from dice.aio.managed import ManagedGroup
from dice.coap.resource import Router
from dice.dtls.kx_psk import Psk
from dice.errors import DiceError

LATENCY_S = 0.02
MANAGER = "manager"  # the name of the server of all sessions
_AGAIN_S = 5  # before a member connects again


class _Call:
    """A call that a Loop is to make: asyncio.Handle and asyncio.TimerHandle, without what they note for debugging."""

    __slots__ = ("_args", "_callback", "_context", "_when")

    def __init__(self, callback, args, context, when=None):
        self._callback = callback
        self._args = args
        self._context = context
        self._when = when

    def cancel(self):
        """Call nothing."""
        self._callback = self._args = None

    def cancelled(self):
        """Return whether cancel() was called."""
        return self._callback is None

    def when(self):
        """Return when it is due, in seconds of virtual time."""
        return self._when


class Loop(asyncio.SelectorEventLoop):
    """asyncio's event loop with a clock that jumps to the next deadline instead of waiting for it.

    A simulated year is two million calls of little work, so they are counted and ordered here in as few steps as possible. Calls
    that are due at the same time are made in the order in which they were requested.
    """

    _RESOLUTION_S = 1e-6  # after half a year, a float has no shorter time
    _TIMERS_MIN = 1000  # fewer are not looked through for cancelled ones

    def __init__(self):
        self._now = 0.0
        self._requested = 0  # calls with a time
        self._timers_max = self._TIMERS_MIN
        super().__init__(selectors.SelectSelector())

    def time(self):
        """Return the seconds of virtual time."""
        return self._now

    def call_soon(self, callback, *args, context=None):
        """As asyncio's event loop."""
        call = _Call(callback, args, context)
        self._ready.append(call)
        return call

    def call_at(self, when, callback, *args, context=None):
        """As asyncio's event loop."""
        call = _Call(callback, args, context, when)
        self._requested += 1
        heapq.heappush(self._scheduled, (when, self._requested, call))
        return call

    def call_later(self, delay, callback, *args, context=None):
        """As asyncio's event loop."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _run_once(self):
        """Make the calls that are due; if there are none, it is the time of the next ones."""
        ready, timers = self._ready, self._scheduled
        if len(timers) > self._timers_max:
            timers[:] = [timer for timer in timers if not timer[2].cancelled()]
            heapq.heapify(timers)
            self._timers_max = 2 * len(timers) + self._TIMERS_MIN
        if not ready and not self._stopping:
            while timers and timers[0][2]._callback is None:
                heapq.heappop(timers)
            if not timers:
                raise RuntimeError("deadlock: there is no timer and no datagram")
            self._now = max(self._now, timers[0][0])
        end = self._now + self._RESOLUTION_S
        while timers and timers[0][0] < end:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            self._make(ready.popleft())

    def _make(self, call):
        callback, context = call._callback, call._context
        if callback is None:
            return
        try:
            if context is None:
                callback(*call._args)
            else:
                context.run(callback, *call._args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.call_exception_handler({"message": f"Exception in callback {callback!r}", "exception": error})

    def add_reader(self, end, callback, *_):
        """Call `callback` whenever a datagram arrives at a VirtualSocket."""
        end.wake = callback
        if end.waiting:
            self.call_soon(callback)

    def remove_reader(self, end):
        """Forget the callback."""
        end.wake = None


class VirtualSocket:
    """A transport, as dice.transport.udp.Unicast or as dice.transport.udp.Multicast: see dice.transport."""

    _WAITING_MAX = 2048  # the limit of a socket's receive buffer

    def __init__(self, network, node, address, members=None):
        self.network = network
        self.node = node
        self.address = address
        self.socket = self
        self.source = None
        self.wake = None
        self.waiting = []
        self.closed = False
        self._members = members  # of a multicast group: all VirtualSockets in it

    def send(self, datagram, address=None):
        """Send to the manager, to `address`, or to the group."""
        datagram = bytes(datagram)
        if self.closed:
            return
        if self._members is not None:
            self.network.group_datagrams.append((self.node, datagram))
            for end in list(self._members):
                self.network.carry(datagram, self, end)
            return
        end = self.network.ends.get(address or MANAGER)
        self.network.count(self.node if end is None or end.node == MANAGER else end.node, datagram)
        if end:
            self.network.carry(datagram, self, end)

    @property
    def of_a_group(self):
        """Return whether the socket is in a multicast group."""
        return self._members is not None

    def arrive(self, datagram, source):
        """Receive a datagram from the network."""
        if len(self.waiting) < self._WAITING_MAX:
            self.waiting.append((datagram, source))
        if self.wake:
            self.wake()

    def receive(self):
        """Return the next datagram or None in a group; otherwise (datagram, address) or (None, None)."""
        if self._members is not None:
            return self.waiting.pop(0)[0] if self.waiting else None
        return self.waiting.pop(0) if self.waiting else (None, None)

    def close(self):
        """Leave the network."""
        self.closed = True
        self.network.ends.pop(self.address, None)
        if self._members is not None and self in self._members:
            self._members.remove(self)


class VirtualHost:
    """The network of one node: the `network` of dice.connect, dice.serve, dice.join and ManagedGroup."""

    def __init__(self, network, name):
        self._network = network
        self._name = name

    def Unicast(self, address, port=None):
        """Return a VirtualSocket to the manager; if `address` is None, that of the manager."""
        return self._network.unicast(self._name, address is None)

    def Multicast(self, address, port):
        """Return a VirtualSocket to the group of an address, 4 or 16 bytes, and a port."""
        return self._network.multicast(self._name, (bytes(address), port))


class VirtualNetwork:
    """The network. `chance(n)` returns 0 .. n - 1; `loss` is in per cent.

    `counts` has [datagrams, bytes] of sessions with the manager by node, both ways; `group_datagrams` lists (node, datagram) of all
    datagrams to groups; `cut` has the names of nodes that can neither send nor receive.
    """

    def __init__(self, chance, loss=0):
        self.loss = loss
        self.counts = {}
        self.group_datagrams = []
        self.cut = set()
        self.failures = []  # of nodes, which run() raises
        self.ends = {}
        self._chance = chance
        self._groups = {}
        self._numbers = 0

    def host(self, name=MANAGER):
        """Return the network of the node `name`."""
        return VirtualHost(self, name)

    def unicast(self, node, serves):
        """Return a new VirtualSocket of a node for sessions; `serves` if clients connect to it."""
        self._numbers += 1
        end = VirtualSocket(self, node, MANAGER if serves else f"{node}:{self._numbers}")
        self.ends[end.address] = end
        return end

    def multicast(self, node, group):
        """Return a new VirtualSocket of a node in a multicast group."""
        members = self._groups.setdefault(group, [])
        end = VirtualSocket(self, node, None, members)
        members.append(end)
        return end

    def count(self, node, datagram):
        """Count a datagram of a session."""
        counted = self.counts.setdefault(node, [0, 0])
        counted[0] += 1
        counted[1] += len(datagram)

    def carry(self, datagram, source, end):
        """Deliver a datagram, or lose it."""
        lost = self._chance(100) < self.loss and source is not end
        if not lost and not self.cut & {source.node, end.node}:
            asyncio.get_running_loop().call_later(LATENCY_S, end.arrive, datagram, source.address)

    def of(self, node):
        """Return all VirtualSockets of a node."""
        ends = [*self.ends.values(), *[end for members in self._groups.values() for end in members]]
        return [end for end in ends if end.node == node]

    def run(self, coroutine_function, *arguments):
        """Run `coroutine_function(*arguments)` in virtual time and return its result."""
        loop = Loop()
        fsync = os.fsync
        os.fsync = lambda descriptor: None  # a virtual power failure does not lose data of the real disk's cache
        try:
            result = loop.run_until_complete(coroutine_function(*arguments))
            for error in self.failures:
                raise error
            return result
        finally:
            os.fsync = fsync
            for task in asyncio.all_tasks(loop):
                task.cancel()
            for _ in range(4):  # a task that waits in wait_for() ends in several steps
                loop.run_until_complete(asyncio.sleep(0))
            loop.close()


class VirtualNode:
    """A member of one group, like an application: it connects, joins, listens, and reconnects when its session ends.

    `received` lists (virtual seconds, SenderID, message). `again_max_s`: the pause before it connects again is doubled up to that
    while it cannot join, up to 30 s in firmware/app.
    """

    def __init__(self, network, folder, name, group, identity, key, timer_ms=1000, connect_s=300, again_max_s=_AGAIN_S):
        self.name = name
        self.identity = identity
        self.received = []
        self.joined_s = None
        self.managed = None
        self._network = network
        self._host = network.host(name)
        self._folder = folder
        self._group = group
        self._key = key
        self._timer_ms = timer_ms
        self._connect_s = connect_s
        self._again_max_s = again_max_s
        self._tasks = []
        self._peer = None

    def power_on(self):
        """Start."""
        os.makedirs(f"{self._folder}/{self.name}", exist_ok=True)
        self.managed = ManagedGroup(self._group, f"{self._folder}/{self.name}/{self._group}.gsa", self._host)
        self._tasks = [self._start(self._live())]

    def power_off(self):
        """Stop at once; only the files remain."""
        for task in self._tasks:
            task.cancel()
        for end in self._network.of(self.name):
            end.close()
        if self._peer:
            self._peer.close()
        if self.member:
            self.member.counters = None  # nothing is written any more, as closing would
        if self.managed:
            self.managed.leave()
        self.managed = self._peer = None

    @property
    def member(self):
        """Return the dice.group.member.Member, or None before it has joined."""
        return self.managed.group.member if self.managed and self.managed.group else None

    async def send(self, message):
        """Send a message to the group."""
        await self.managed.group.send(message)

    def _start(self, program):
        """Return a task; an exception that no node may raise is raised at the end of VirtualNetwork.run()."""

        def ended(task):
            error = None if task.cancelled() else task.exception()
            if error and not isinstance(error, (DiceError, OSError)):
                self._network.failures.append(error)

        task = asyncio.ensure_future(program)
        task.add_done_callback(ended)
        return task

    async def _live(self):
        loop = asyncio.get_running_loop()
        started = loop.time()
        listening = None
        again_s = _AGAIN_S
        while True:
            try:
                psk = Psk(self.identity, self._key)
                connection = await dice.connect(
                    ("", 0), psk, timer_ms=self._timer_ms, timeout_s=self._connect_s, network=self._host
                )
                self._peer = peer = Coap(connection, Router(self.managed.routes))
                group = await self.managed.join(peer)
                again_s = _AGAIN_S
                if listening is None or listening.done():
                    listening = self._start(self._listen(group))
                    self._tasks.append(listening)
                if self.joined_s is None:
                    self.joined_s = loop.time() - started
                await self.managed.stay(peer)
            except (DiceError, OSError):
                pass
            recalled = None
            if self._peer:
                recalled = self._peer.connection.recalled
                self._peer.close()
            await asyncio.sleep(os.urandom(1)[0] / 1024 if recalled else again_s)
            again_s = min(2 * again_s, self._again_max_s)

    async def _listen(self, group):
        async for sender, message in group:
            self.received.append((asyncio.get_running_loop().time(), sender, message))
