# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A building in virtual time, for test_year: the real manager's service, sessions and members, and all that happens to them.

A year takes a minute, since polls are rare while nothing happens: lapse() waits for an event instead. The files of a node are its
flash: its GSA, and its counters in `Node.flash`, survive each cut of its power.
"""

import asyncio
import contextlib
import errno
import functools
import json
import random

from dice.aio import kdc, managed
from dice.aio.coap import Coap
from dice.aio.managed import ManagedGroup
from dice.coap.resource import Router
from dice.dtls import listener, session_index
from dice.errors import DiceError
from dice.group import member, presence
from dice.group.gsa import decode
from dice.store import read_file
from dicectl.manager import authorities, recall, service
from dicectl.manager.election import lease
from dicectl.manager.registry import retention
from dicectl.manager.service import ManagerService
from dicectl.member.node_file import app_managers
from dicectl.net.virtual import MANAGER, VirtualNetwork, VirtualNode
from host_tests.unit.memory_registry import MemoryRegistry

DAY_S = 86_400
REPORT_S = 65_000  # what 16 bits carry; dicectl allows an hour
SLOWER = 4  # the members report, and the manager waits for reports, so many times as long
QUIET_POLL_S = SLOWER * REPORT_S // 2
LIFETIME_S = 60 * DAY_S
REKEY_S = 30 * DAY_S
AGAIN_S, AGAIN_MAX_S, GONE_S = 5, 60, 10 * DAY_S  # before a node connects again; one that was expelled tries ever less often
POLL_S = managed.MANAGED_POLL_S
GROUP = "lamps"


class Flash(dict):
    """A store that survives power cuts."""

    put = dict.__setitem__


class Network(VirtualNetwork):
    """All that can fail in a network, by the names of nodes.

    Those in `no_session` can reach the group, but not the manager, those in `no_names` have no name server, and the interface of
    those in `no_interface` is away: their sockets raise OSError. `tapped` is called with all that is sent to the group.
    """

    def __init__(self, chance):
        super().__init__(chance.randrange)
        self.no_session = set()
        self.no_names = set()
        self.no_interface = set()
        self.recorded = []

    def carry(self, datagram, source, end):
        self._need_interface(source.node)
        if end.node not in self.no_interface and (source.of_a_group or not self.no_session & {source.node, end.node}):
            super().carry(datagram, source, end)

    def _need_interface(self, node):
        if node in self.no_interface:
            raise OSError(errno.ENETUNREACH, "no interface")

    async def look_up(self, node, host):
        """Return the address of a host, as a name server does."""
        if node in self.no_names | self.no_interface:
            raise OSError(errno.EHOSTUNREACH, "no name server")
        return host

    def unicast(self, node, serves):
        self._need_interface(node)
        return super().unicast(node, serves)

    def multicast(self, node, group):
        self._need_interface(node)
        end = super().multicast(node, group)
        send = end.send

        def tapped(datagram):
            self.group_datagrams.clear()  # a year of them
            if len(self.recorded) < 4000:
                self.recorded.append((end, bytes(datagram)))
            send(datagram)

        end.send = tapped
        return end


class Peer(Coap):
    """A session with the manager, whose end one task awaits, however often the node polls meanwhile."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._closed = asyncio.ensure_future(super().closed())
        self._closed.add_done_callback(lambda task: task.cancelled() or task.exception())  # asked for, also if nobody polls

    def closed(self):
        return self._closed


class Node(VirtualNode):
    """A member as firmware/app is one: it takes part in its group with or without the manager, and obeys it.

    Its key and its managers are in its node.json. An expelled one goes on with all that it has.
    """

    def __init__(self, town, name, settings):
        folder = town.folder / "nodes"
        super().__init__(town.network, folder, name, GROUP, settings["identity"].encode(), bytes.fromhex(settings["key"]))
        self.town = town
        self.flash = Flash()
        self.sent = 0
        self._path = folder / self.identity.decode()
        self._path.mkdir(parents=True, exist_ok=True)
        (self._path / "node.json").write_text(json.dumps(settings))

    @property
    def on(self):
        return bool(self._tasks)

    def power_on(self):
        self.managed = ManagedGroup(GROUP, str(self._path / "lamps.gsa"), self._host, self.flash)
        self._tasks = [self._start(self._live())]

    async def sleep(self, back_s):
        """Tell the manager that this node will be back, as a sleeping node does, and stop; return whether the manager knows."""
        is_known = False
        if self._peer:
            with contextlib.suppress(DiceError, OSError):
                await self.managed.report(self._peer, back_s)
                is_known = True
        self.power_off()
        return is_known

    def has_key_of(self, registry):
        """Return whether the registry has one of the keys with which this node connects."""
        stored = json.loads((self._path / "node.json").read_text())
        keys = [stored, stored.get("next", stored)]
        return any(registry.find(key["identity"].encode()) == bytes.fromhex(key["key"]) for key in keys)

    def power_off(self):
        super().power_off()
        self._tasks = []

    @property
    def epoch(self):
        """Return the epoch in which this node sends and receives, or None."""
        context = self.member and self.member.held(0)
        return context.epoch if context else None

    @property
    def key(self):
        """Return the newest key of the group that this node holds, or None."""
        gsa = read_file(str(self._path / "lamps.gsa"), decode)
        return bytes(gsa.key) if gsa else None

    async def say(self):
        """Send a message that says who sent it; return it, or None if that is impossible."""
        if not self.member:
            return None
        self.sent += 1
        message = b"%s %d" % (self.identity, self.sent)
        with contextlib.suppress(DiceError, OSError):
            await self.send(message)
            return message
        return None

    async def _live(self):
        pause_s, managed_group = AGAIN_S, self.managed
        settings = json.loads((self._path / "node.json").read_text())
        look_up = functools.partial(self._network.look_up, self.name)
        managers = app_managers().Managers(settings, str(self._path / "node.json"), look_up)
        while True:
            peer = None
            try:
                self._obey(await managed_group.resume())
                connection = await managers.connect(self._host)
                peer = Peer(connection, Router({**managed_group.routes, **managers.routes}))
                self._peer = peer
                self._obey(await managed_group.join(peer))
                pause_s = AGAIN_S
                await managed_group.stay(peer)
            except (DiceError, OSError):
                pass  # such as a manager that is away, or refuses us
            finally:
                if peer:
                    peer.close()
            await asyncio.sleep(pause_s * self.town.chance.uniform(0.5, 1))
            pause_s = min(2 * pause_s, GONE_S if self.identity in self.town.gone else AGAIN_MAX_S)

    def _obey(self, group):
        if group and (len(self._tasks) < 2 or self._tasks[1].done()):
            self._tasks[1:] = [self._start(self._listen(group))]

    async def _listen(self, group):
        with contextlib.suppress(DiceError):  # the end of the keys' lifetime
            async for _, message in group:
                self.town.obeyed(self, bytes(message))


class Town:
    """The building. `gone` has {identity: when it was expelled, or its key was deleted}."""

    def __init__(self, seed, folder, lamps, switches):
        self.chance = random.Random(seed)
        self.folder = folder
        self.network = Network(self.chance)
        self.offset_s = 1_800_000_000.0  # of the manager's wall clock
        self.stored = None
        self.service = None
        self.nodes = {}  # by name: those that are to be members
        self.gone = {}
        self.gone_nodes = []
        self.wiped = set()
        self.busy = asyncio.Event()
        self.reachable_s = {}  # since when a node has reached the manager and its group without a break, by identity
        self.heard = {}  # messages by identity
        self.log = []
        self._names = [f"switch-{n}" for n in range(switches)] + [f"lamp-{n}" for n in range(lamps)]

    # Time.

    def now_s(self):
        return asyncio.get_running_loop().time()

    def note(self, what):
        self.log.append((round(self.now_s() / DAY_S, 3), what))

    async def lapse(self, seconds):
        """Let time pass in which nothing happens: the members look for news rarely."""
        self.busy.clear()
        await asyncio.sleep(seconds)
        self.busy.set()
        await asyncio.sleep(2 * POLL_S)

    async def poll(self, ended, _):
        """Stand in for the wait of ManagedGroup.stay() for the end of its session; it adds MANAGED_POLL_S to what it has waited.

        `ended` is what Peer.closed() has returned.
        """
        start_s = self.now_s()
        waiting = [ended]
        if not self.busy.is_set():
            waiting.append(asyncio.ensure_future(self.busy.wait()))
        try:
            await asyncio.wait(waiting, timeout=QUIET_POLL_S if waiting[1:] else POLL_S, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                ended.result()
        finally:
            for task in waiting[1:]:
                task.cancel()
            managed.MANAGED_POLL_S = max(POLL_S, self.now_s() - start_s)

    # The manager.

    async def start(self):
        """Start the manager with what its registry has."""
        registry = MemoryRegistry(lambda: self.offset_s + self.now_s())
        if self.stored is not None:
            registry.load(self.stored)
        self.service = ManagerService(registry, self.folder / "house.db", report_s=REPORT_S)
        await self.service.start(5684, MANAGER, 1000, self.network.host().Unicast(None, 5684))

    def stop(self):
        """Kill the manager: nothing more is sent."""
        self.stored = self.service.registry.saved()
        for end in self.network.of(MANAGER):
            end.close()
        self.service.close()
        self.service = None

    def do(self, **request):
        return self.service.do(request)

    async def build(self):
        await self.start()
        self.do(do="new", group=GROUP, rekey_s=REKEY_S, lifetime_s=LIFETIME_S)
        for name in self._names:
            self.enrol(name)
        self.busy.set()
        await asyncio.sleep(600)

    def role(self, name):
        return "sender" if name.startswith("switch") else "listener"

    def enrol(self, name):
        self.nodes[name] = node = Node(self, name, self.do(do="provision", name=name, groups={GROUP: self.role(name)}))
        node.power_on()
        self.mended(node)

    # Messages.

    def mended(self, *nodes):
        """Note that nodes may reach the manager from now on."""
        for node in nodes:
            self.reachable_s[node.identity] = self.now_s()

    def obeyed(self, node, message):
        """Check a message that a node has obeyed."""
        heard = self.heard.setdefault(node.identity, set())
        assert message not in heard, f"{node.name} obeys {message} twice"
        heard.add(message)
        if node.identity in self.gone:
            return  # what it does is nobody's concern
        sender = message.split()[0]
        if sender in self.gone:
            late_s = self.now_s() - max(self.gone[sender], self.reachable_s[node.identity])
            assert late_s <= self.bound_s(), f"{node.name} obeys {message} {late_s:.0f} s after its sender was expelled"

    def bound_s(self):
        """Return when a member that can reach the manager obeys an expelled one no more (see host_tests/bounds.py)."""
        from host_tests import bounds

        return bounds.without_session_s(len(self.nodes) + 4) - bounds.REPORT_MAX_S + SLOWER * REPORT_S + QUIET_POLL_S

    def expel(self, name):
        """Note that a device is expelled, or has another key."""
        node = self.nodes.pop(name)
        self.gone[node.identity] = self.now_s()
        self.gone_nodes.append(node)

    # The end.

    def truth(self):
        """Return what is wrong with the building, or with what the manager says of it, when all has been well for long enough."""
        wrong = []
        shown = self.do(do="show", group=GROUP)
        said = {row["identity"].encode(): row for row in self.do(do="members", group=GROUP)}
        if shown["missing"] or shown["away"] or not shown["in_use"] or not shown["settled"]:
            wrong.append(f"the manager says {shown}")
        if set(said) != {node.identity for node in self.nodes.values()}:
            wrong.append("the manager has other members than we")
        keys = {node.key for node in self.nodes.values()}
        if len(keys) != 1:
            wrong.append(f"the members have {len(keys)} keys")
        for node in self.nodes.values():
            row = said.get(node.identity, {})
            if node.epoch != shown["epoch"]:
                wrong.append(f"{node.name} is in epoch {node.epoch} instead of {shown['epoch']}")
            if row.get("epoch") != shown["epoch"] or row.get("state") != "connected":
                wrong.append(f"the manager says of {node.name}: {row}")
        for node in self.gone_nodes:
            if node.key in keys:
                wrong.append(f"{node.name}, which was expelled, has the key of epoch {shown['epoch']}")
        return wrong

    def away(self, nodes):
        """Check that the manager knows that nodes are without power, once they have missed a report."""
        states = {row["device"]: row["state"] for row in self.do(do="members", group=GROUP)}
        for node in nodes:
            state = states.get(node.name)
            is_known = state in ("silent", "left", "never seen") or node.identity in self.gone
            assert is_known, f"{node.name} has no power, but is said to be {state}"


@contextlib.contextmanager
def time_lapse(town, monkeypatch):
    """Make polls rare in lapse(), and the periods of the manager and of lifetimes longer."""
    with monkeypatch.context() as patch:
        patch.setattr(managed, "wait_for", town.poll)
        patch.setattr(managed, "MANAGED_POLL_S", POLL_S)
        patch.setattr(member, "LIFETIME_UNIT_MAX_S", DAY_S)
        for module in (listener, session_index):
            patch.setattr(module, "CREDENTIAL_CHECK_MS", 12 * 3_600_000)
        patch.setattr(session_index, "_CHECK_TOGETHER_MS", 600_000)
        patch.setattr(kdc, "_WATCH_S", 600)
        patch.setattr(recall, "_REFRESH_S", 3600)
        silent_s, report = presence.silent_s, ManagedGroup.report
        patch.setattr(presence, "silent_s", lambda period_s: SLOWER * silent_s(period_s))

        async def report_slowly(group, *arguments):
            answer = await report(group, *arguments)
            group._period_s *= SLOWER
            return answer

        patch.setattr(ManagedGroup, "report", report_slowly)
        for period in ("_EACH_S", "_CHECKPOINT_S"):
            patch.setattr(retention, period, DAY_S)
        patch.setattr(listener, "COOKIE_PERIOD_MS", 3_600_000)
        patch.setattr(service, "_REKEY_POLL_S", 600)
        patch.setattr(authorities, "POLL_S", 3600)  # nobody here has a certificate
        patch.setattr(lease, "LOOP_S", 3600)
        patch.setattr(kdc, "REPORT_PERIOD_MAX_S", REPORT_S)
        yield
