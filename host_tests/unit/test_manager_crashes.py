# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A manager and its members in virtual time, through hundreds of faults: the manager is killed at any change of its registry,
nodes lose power, the network loses datagrams and is partitioned. The assertions use the datagrams and the nodes' files."""

import asyncio
import os
import random
import secrets

import pytest

import dice
from dice import record
from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import DiceError
from dice.group.context import sender_key
from dice.group.gsa import K08, decode
from dice.group.manager import ANSWERING, LISTENER, SENDER, GroupState, Manager
from dice.suites import PSK_AES_128_CCM_8, SUITES
from dicectl.manager.registry.sqlite import SqliteRegistry
from dicectl.net.virtual import VirtualNetwork, VirtualNode
from host_tests import bounds
from host_tests.seeds import drawn

pytestmark = pytest.mark.long
KILLS = 150  # for each seed
MEMBERS_MAX = 10
DAYS_MAX = 2  # of virtual time
QUIET_S = 400  # the time in which all faults are repaired
SPEAK_S = 40  # between two messages of the expelled meanwhile
AGAIN_MAX_S = 30  # as firmware/app: else of 100 handshakes 97 are those of the expelled


class Killed(Exception):
    """The manager's process was killed."""


class KillableManager:
    """The manager as a process that can be killed; its registry remains."""

    def __init__(self, network, path, chance):
        self.network = network
        self.path = path
        self.chance = chance
        self.deadly = True
        self.alive = False
        self.kills = {"before": 0, "after": 0}

    async def start(self):
        self.registry = SqliteRegistry(self.path)
        states = self.registry.states()
        if not states:
            self.registry.create(GroupState("lamps", b"\1\2\3\4", bytes((239, 1, 2, 3)), 5000, K08), 0)
            states = self.registry.states()
        self.manager = Manager(states[0].state, self._commit, secrets.token_bytes, now())
        self.kdc = Kdc()
        self.kdc.add(self.manager)
        self.service = await dice.serve(
            5684,
            PskLookup(self.registry.find),
            self.kdc.serve,
            timer_ms=1000,
            cid_bytes=4,
            sessions_max=64,
            half_open_max=64,
            network=self.network.host(),
        )
        self.alive = True

    def _commit(self, state, change):
        """Commit a change, or be killed just before or just after it is committed."""
        if not self.alive:
            raise Killed
        fate = self.chance.randrange(12) if self.deadly else 12
        if fate == 0:
            self.kill("before")
        self.registry.commit(state, change)
        if fate == 1:
            self.kill("after")

    def kill(self, when):
        """End at once: no further datagram is sent."""
        self.kills[when] += 1
        self.alive = False
        for end in self.network.of("manager"):
            end.close()
        self.kdc.close()
        self.service.close()
        self.registry.close()
        raise Killed


class Scenario:
    """A sequence of faults that depends only on the seed."""

    def __init__(self, seed, folder):
        self.chance = random.Random(seed)
        self.network = VirtualNetwork(self.chance.randrange, loss=5)
        self.process = KillableManager(self.network, folder / "house.db", self.chance)
        self.folder = folder
        self.nodes = {}  # members, by identity
        self.off = set()
        self.expelled = {}  # (node, first epoch that it must not have), by identity
        self.expelled_at = {}  # by identity
        self.sent = 0
        self.sent_by = {}  # identity, by message
        self.checked = {}  # how many messages of a node are known to be in order, by identity
        self.reached_at = {}  # since when a node has had power, a manager and a network, by identity

    async def run(self):
        while sum(self.process.kills.values()) < KILLS:
            assert asyncio.get_running_loop().time() < DAYS_MAX * 86_400
            await asyncio.sleep(self.chance.expovariate(1 / 4))
            try:
                if not self.process.alive:
                    await self.process.start()
                    self.noticed()
                await self.something()
            except (Killed, DiceError):
                pass
            self.note_reach()
        self.process.deadly = False
        self.network.cut.clear()
        self.network.loss = 0
        if not self.process.alive:
            await self.process.start()
        self.noticed()
        for identity in list(self.off):
            self.nodes[identity].power_on()
        self.off.clear()
        self.note_reach()
        for _ in range(2):  # a member that missed an epoch notices it when others send in it
            await self.quiet()
            await self.send_from_all()
        await self.quiet()
        late = await self.convergence()
        await self.expel_all_senders()
        return late

    async def expel_all_senders(self):
        """Without any fault, expel the first member and every sender: no member obeys one after the bound of those connected."""
        state = self.process.manager.state
        first, *others = state.members
        for identity in [first, *[i for i in others if state.members[i].role == SENDER]]:
            self.process.manager.remove([identity], now())
            self.gone(identity, self.process.manager.state.epoch)
            self.process.kdc.changed("lamps")
            await asyncio.sleep(bounds.connected_s(len(self.nodes)) + 1)
            before = {name: len(node.received) for name, node in self.nodes.items()}
            for _ in range(3):  # the first may be of unknown freshness
                await self.send_from(self.expelled.items())
                await asyncio.sleep(1)
            obeyed = [node.name for name, node in self.nodes.items() if len(node.received) > before[name]]
            assert not obeyed, f"{obeyed} obey somebody who was expelled"

    async def quiet(self):
        """Let only the expelled speak for a while."""
        for _ in range(QUIET_S // SPEAK_S):
            await asyncio.sleep(SPEAK_S)
            await self.send_from(self.expelled.items())
            await asyncio.sleep(1)
            self.check_obedience()

    def note_reach(self):
        """Note since when each node has been able to reach the manager without a break."""
        for identity, node in self.nodes.items():
            if not self.process.alive or identity in self.off or node.name in self.network.cut:
                self.reached_at.pop(identity, None)
            else:
                self.reached_at.setdefault(identity, asyncio.get_running_loop().time())
        self.check_obedience()

    def check_obedience(self):
        """No member that can reach the manager obeys an expelled one later than the bound."""
        for identity, node in self.nodes.items():
            first = self.checked.get(identity, 0)
            self.checked[identity] = len(node.received)
            for at, _, message in node.received[first:]:
                gone = self.sent_by.get(message)
                if gone in self.expelled_at and identity in self.reached_at:
                    since = max(self.expelled_at[gone], self.reached_at[identity])
                    late_s = at - since - bounds.without_session_s(len(self.nodes))
                    assert late_s < 0, f"{node.name} obeys {gone}, {late_s:.0f} s after the bound"

    def noticed(self):
        """Record which interrupted changes were committed, as the registry has them."""
        state = self.process.manager.state
        for identity in self.nodes.keys() - state.members.keys():
            self.gone(identity, state.epoch)

    def gone(self, identity, epoch):
        self.expelled[identity] = (self.nodes.pop(identity), epoch)
        self.expelled_at[identity] = asyncio.get_running_loop().time()
        self.off.discard(identity)

    async def something(self):
        manager, chance = self.process.manager, self.chance
        what = chance.choice(("add", "remove", "rekey", "power", "power", "cut", "send", "send", "send", "send"))
        if what == "add" and len(self.nodes) < MEMBERS_MAX:
            identity, key = self.process.registry.enrol(f"device-{len(self.nodes) + len(self.expelled)}-{secrets.token_hex(2)}")
            node = VirtualNode(self.network, self.folder, identity.decode(), "lamps", identity, key, again_max_s=AGAIN_MAX_S)
            role = SENDER if len(self.nodes) % 3 == 0 else chance.choice((LISTENER, ANSWERING, LISTENER))
            try:
                manager.add([identity], role, now())
            finally:
                if identity in self.stored_members():
                    self.nodes[identity] = node
                    node.power_on()
        elif what == "remove" and len(self.nodes) > 4:
            identity = chance.choice(list(self.nodes))  # also the last sender
            manager.remove([identity], now())
            self.gone(identity, manager.state.epoch)
        elif what == "rekey" and self.nodes:
            manager.rekey(now())
        elif what == "power" and self.nodes:
            identity = chance.choice(list(self.nodes))
            if identity in self.off:
                self.off.discard(identity)
                self.nodes[identity].power_on()
            else:
                self.off.add(identity)
                self.nodes[identity].power_off()
        elif what == "cut" and self.nodes:
            self.network.cut ^= {self.nodes[chance.choice(list(self.nodes))].name}
        elif what == "send":
            await self.send_from_all()
        self.process.kdc.changed("lamps")

    def stored_members(self):
        """Return the members as stored on the disk, whether the manager runs or not."""
        if self.process.alive:
            return self.process.manager.state.members
        again = SqliteRegistry(self.process.path)
        try:
            return again.states()[0].state.members
        finally:
            again.close()

    async def send_from_all(self):
        """Let every node with a SenderID send, including expelled ones."""
        await self.send_from([*[(identity, (node, 0)) for identity, node in self.nodes.items()], *self.expelled.items()])

    async def send_from(self, nodes):
        """Let (identity, (node, epoch)) send, if they can."""
        for identity, (node, _) in nodes:
            if node.member:
                self.sent += 1
                self.sent_by[b"%d" % self.sent] = identity
                try:
                    await node.send(b"%d" % self.sent)
                except DiceError:
                    pass

    async def convergence(self):
        """Return the nodes that, after all faults are repaired, have an old epoch or did not receive from every sender."""
        state = self.process.manager.state
        senders = {member.id for member in state.members.values() if member.role == SENDER}
        for _ in range(2):  # the first record of a sender may be of unknown freshness
            before = {identity: len(node.received) for identity, node in self.nodes.items()}
            await self.send_from_all()
            await asyncio.sleep(2)
        late = []
        for identity, node in self.nodes.items():
            received = {sender for _, sender, _ in node.received[before[identity] :]}
            wanted = senders - {state.members[identity].id}
            held = decode((self.folder / node.name / "lamps.gsa").read_bytes()).epoch
            if not wanted <= received or held != state.epoch:
                late.append((node.name, held, state.epoch, wanted, received))
        return late


def epoch_in(datagram):
    """Return the epoch of a record."""
    return int.from_bytes(datagram[3:5], "big")


def opens(gsa, datagram):
    """Return whether a record opens with the key of a GSA, derived for the epoch and sender that the record names."""
    secret = sender_key(gsa.key, gsa.gid, epoch_in(datagram), datagram[5])
    return record.open(SUITES[PSK_AES_128_CCM_8].cipher, secret[:16], secret[16:], datagram) is not None


@pytest.mark.parametrize("seed", [1, 2])
def test_members_converge_and_no_nonce_repeats_through_hundreds_of_faults(seed, tmp_path):
    scenario = Scenario(seed, tmp_path)
    with drawn(seed):
        late = scenario.network.run(scenario.run)
    assert scenario.process.kills["before"] > KILLS // 4 and scenario.process.kills["after"] > KILLS // 4
    assert late == [], "some live members did not converge"

    genuine = [(name, datagram) for name, datagram in scenario.network.group_datagrams if record.well_formed(datagram)]
    nonces = [bytes(datagram[3:11]) for _, datagram in genuine]
    print(f"{scenario.process.kills} kills, {len(genuine)} messages, {len(scenario.expelled)} expelled")
    assert len(nonces) == len(set(nonces)), "a nonce was used twice"
    assert len(genuine) > 200 and len(scenario.expelled) > 5

    epoch_of = {}
    for name, datagram in genuine:
        epoch_of.setdefault(name, []).append(epoch_in(datagram))
    opened = 0
    for identity, (node, epoch) in scenario.expelled.items():
        path = tmp_path / node.name / "lamps.gsa"
        if os.path.exists(path):
            gsa = decode(path.read_bytes())
            assert gsa.epoch < epoch, "an expelled member has a later key"
            opened += sum(opens(gsa, datagram) for _, datagram in genuine if epoch_in(datagram) == gsa.epoch)
            assert not any(opens(gsa, datagram) for _, datagram in genuine if epoch_in(datagram) >= epoch), (
                "an expelled member opens one"
            )
        assert all(sent < epoch for sent in epoch_of.get(identity.decode(), ())), "an expelled member has sent in a later epoch"
    assert opened > 20, "expelled members must open the records of their own epochs"
