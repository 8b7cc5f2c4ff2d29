# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A group with its manager and its members in virtual time, for the tests of expulsion."""

import asyncio
import os

import dice
from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import DiceError
from dice.group.gsa import K08
from dice.group.manager import GroupState, Manager
from dice.limits import REPORT_MAX_S
from dicectl.net.virtual import VirtualNetwork, VirtualNode


class House:
    """A manager and its members. start() in virtual time; `roles` is {name: role}, `epoch` the first one.

    `report_s`: how often members report.
    """

    def __init__(self, folder, roles, lifetime_s=0, epoch=1, loss=0, chance=lambda sides: 0, report_s=REPORT_MAX_S):
        self.folder = folder
        self.network = VirtualNetwork(chance, loss)
        self.roles = roles
        self.report_s = report_s
        self.nodes = {}
        self.keys = {}
        self.state = GroupState("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, K08, lifetime_s)
        self.state.epoch = epoch - 1
        self.manager = self.kdc = self._service = None

    def run(self, coroutine_function):
        """Run `coroutine_function(self)` in virtual time, after all members have joined; return its result."""

        async def live():
            await self.start()
            for name, role in self.roles.items():
                self.add(name, role)
            await asyncio.sleep(30)
            assert self.kdc.settled("lamps")
            try:
                return await coroutine_function(self)
            finally:
                self.stop()

        return self.network.run(live)

    async def start(self):
        """Start the manager's process, also after stop()."""
        self.manager = Manager(self.state.copy(), self._commit, os.urandom, now())
        self.manager._ration.rests = False  # it has run for long
        self.kdc = Kdc(self.report_s)
        self.kdc.add(self.manager)
        options = {"timer_ms": 1000, "cid_bytes": 4, "sessions_max": 256, "half_open_max": 64, "network": self.network.host()}
        self._service = await dice.serve(5684, PskLookup(self.keys.get), self.kdc.serve, **options)

    def stop(self):
        """End the manager's process."""
        for end in self.network.of("manager"):
            end.close()
        self.kdc.close()
        self._service.close()

    def _commit(self, state, change):
        self.state.apply(change)

    def node(self, name):
        """Return a new VirtualNode, without power."""
        self.keys[name.encode()] = os.urandom(16)
        return VirtualNode(self.network, self.folder, name, "lamps", name.encode(), self.keys[name.encode()])

    def add(self, name, role, power=True):
        """Add a member; return its node."""
        self.nodes[name] = node = self.node(name)
        self.manager.add([name.encode()], role, now())
        self.kdc.changed("lamps")
        if power:
            node.power_on()
        return node

    def expel(self, name):
        """Expel a member: from now on it is without a manager, but with all that it has."""
        self.manager.remove([name.encode()], now())
        self.kdc.changed("lamps")
        self.cut(name)

    def cut(self, name):
        """Let a node neither reach the manager nor be reached by it."""
        for end in [end for end in self.network.of(name) if not end.of_a_group]:
            end.arrive = end.send = lambda *_: None
        self.nodes[name]._host.Unicast = lambda address, port=None: _Nowhere()

    def mend(self, name):
        """Let a node reach the manager again, with a new session."""
        del self.nodes[name]._host.Unicast
        for end in [end for end in self.network.of(name) if not end.of_a_group]:
            end.close()

    async def say(self, name, message):
        """Send a message, if the node can; wait until it has arrived."""
        try:
            await self.nodes[name].send(message)
        except DiceError:
            pass
        await asyncio.sleep(0.1)

    def presence(self, name):
        """Return the state in which the manager believes a node to be."""
        return self.kdc.presence.find(name.encode(), now()).state

    def heard(self, name):
        """Return the messages that a node has obeyed."""
        return [message for _, _, message in self.nodes[name].received]

    def held(self, name):
        """Return the epochs that a node holds."""
        member = self.nodes[name].member
        return [epoch for epoch in range(1, self.manager.state.epoch + 1) if member and member.held(epoch)]


class _Nowhere:
    """A transport to nobody."""

    def __init__(self):
        self.socket = self
        self.wake = None
        self.waiting = []

    def send(self, datagram, address=None):
        """Lose it."""

    def receive(self):
        """Return nothing."""
        return None, None

    def close(self):
        """Do nothing."""
