# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A year of a building, by seed: 200 nodes, a manager that is restarted, power cuts, expulsions, outages of every kind.

All year nobody obeys an expelled device later than its bound (host_tests/bounds.py), no message is obeyed twice, and no nonce is
used twice (host_tests/nonces.py). At the end, when all is well again, everybody who may be is in, nobody else is, and what the
manager says is true. DICE_SEEDS=0:1000 make properties lives through a thousand years; a seed is always the same year.
"""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from dice.errors import DiceError
from dicectl.errors import CommandError
from dicectl.manager.registry.base import RegistryError
from dicectl.net.virtual import MANAGER
from host_tests.nonces import RECORD
from host_tests.properties.year_town import DAY_S, GROUP, REPORT_S, SLOWER, Node, Town, time_lapse
from host_tests.seeds import drawn, seeds

YEAR_S = 365 * DAY_S
LAMPS, SWITCHES = 196, 4
IN_MEMORY = "/dev/shm"  # where there is one: the nodes replace their files 20,000 times a year
JUMPS_S = (30, 3600, DAY_S, 40 * DAY_S, 400 * DAY_S)


class Year:
    """The events of a year. Each method is a kind of event; `often` says how often a year."""

    def __init__(self, town):
        self.town = town
        self.chance = town.chance
        self.backup = self.town.service.registry.saved()
        self.done = {}
        self.often = {
            self.talk: 15,
            self.flicker: 8,
            self.power_cut: 8,
            self.blackout: 2,
            self.kill_the_manager: 5,
            self.cut_off: 6,
            self.interface_away: 4,
            self.name_server_away: 3,
            self.sleep: 5,
            self.disk_full: 3,
            self.bad_radio: 3,
            self.set_the_clock: 5,
            self.rekey: 3,
            self.rotate: 4,
            self.other_managers: 2,
            self.remove: 3,
            self.wipe: 3,
            self.replace: 3,
            self.add: 4,
            self.replay: 8,
            self.back_up: 6,
            self.restore_the_backup: 3,
        }

    async def live(self):
        """Live through the year, and then through some quiet days."""
        town, events = self.town, list(self.often)
        while town.now_s() < YEAR_S:
            await town.lapse(self.chance.expovariate(sum(self.often.values()) / YEAR_S))
            for _ in range(self.chance.choice((1, 1, 2, 3))):  # disasters do not come alone
                event = self.chance.choices(events, list(self.often.values()))[0]
                self.done[event.__name__] = self.done.get(event.__name__, 0) + 1
                town.note(event.__name__)
                await event()
        await town.lapse(2 * SLOWER * REPORT_S)
        await self.talk()
        await asyncio.sleep(300)

    def some(self, most):
        nodes = sorted(self.town.nodes.values(), key=lambda node: node.name)
        return self.chance.sample(nodes, min(len(nodes) - 1, self.chance.randint(1, most)))

    def lamp(self):
        return self.chance.choice(sorted(name for name in self.town.nodes if name.startswith("lamp")))

    def switches(self):
        return [node for node in self.town.nodes.values() if node.name.startswith("switch") and node.on]

    # Every day.

    async def talk(self):
        """Let each switch, and everybody who was expelled, say something."""
        for node in self.switches() + self.town.gone_nodes:
            await node.say()
            await asyncio.sleep(self.chance.choice((0.1, 0.1, 0.1, 3, 3, 40)))  # 200 nodes poll meanwhile

    async def replay(self):
        """Send what was once recorded."""
        for end, datagram in self.chance.sample(self.town.network.recorded, min(20, len(self.town.network.recorded))):
            for other in list(end._members):
                other.arrive(datagram, ("attacker", 1))
        await asyncio.sleep(1)

    # Power.

    async def flicker(self):
        nodes = self.some(30)
        for _ in range(self.chance.randint(1, 6)):
            for node in nodes:
                node.power_off()
            await asyncio.sleep(self.chance.choice((0.05, 1)))
            for node in nodes:
                node.power_on()
            await asyncio.sleep(self.chance.uniform(0.05, 10))
        self.town.mended(*nodes)

    async def power_cut(self, nodes=None):
        nodes = nodes or self.some(60)
        for node in nodes:
            node.power_off()
        pause_s = self.chance.choice((60, 3600, 7 * DAY_S))
        await self.town.lapse(pause_s)
        if pause_s > 2 * SLOWER * REPORT_S:
            self.town.away(nodes)
        for node in sorted(nodes, key=lambda _: self.chance.random()):
            node.power_on()
            await asyncio.sleep(self.chance.choice((0, 0, 0.5)))
        self.town.mended(*nodes)

    async def sleep(self):
        """Let nodes sleep that say when they will be back: nobody calls them silent."""
        nodes = self.some(20)
        back_s = self.chance.choice((60, 3600, DAY_S))
        told = {node.name for node in nodes if await node.sleep(back_s)}
        await self.town.lapse(0.9 * back_s)
        states = {row["device"]: row["state"] for row in self.town.do(do="members", group=GROUP)}
        assert {states[name] for name in told} <= {"asleep"}, [(name, states[name]) for name in sorted(told)]
        for node in nodes:
            node.power_on()
        self.town.mended(*nodes)

    async def blackout(self):
        """Cut the power of everybody, the manager too; all come back in some order."""
        town = self.town
        nodes = list(town.nodes.values())
        for node in nodes:
            node.power_off()
        town.stop()
        await town.lapse(self.chance.choice((1, 600, DAY_S)))
        late = self.chance.random() < 0.5
        if not late:
            await town.start()
        for node in sorted(nodes, key=lambda _: self.chance.random()):
            node.power_on()
        if late:
            await town.lapse(self.chance.choice((10, 900)))
            await town.start()
        town.mended(*nodes)

    # The manager and the network.

    async def kill_the_manager(self):
        town = self.town
        town.stop()
        await town.lapse(self.chance.choice((0.5, 5, 60, 3600)))
        await town.start()
        town.mended(*town.nodes.values())
        if self.chance.random() < 0.5:
            await asyncio.sleep(self.chance.choice((0, 2)))
            await self.remove()

    async def cut_off(self):
        """Cut nodes off from the manager, or from everything."""
        nodes = self.some(80)
        names = {node.name for node in nodes}
        which = self.chance.choice((self.town.network.no_session, self.town.network.cut))
        which |= names
        await self.town.lapse(self.chance.choice((20, 600, 2 * 3600)))
        which -= names
        self.town.mended(*nodes)

    async def interface_away(self):
        """Take away the interface of the manager, or of nodes, some of which start meanwhile."""
        nodes = self.some(80)
        names = {node.name for node in nodes} if self.chance.random() < 0.7 else {MANAGER}
        await self._away(self.town.network.no_interface, names, nodes)

    async def name_server_away(self):
        nodes = self.some(150)
        await self._away(self.town.network.no_names, {node.name for node in nodes}, nodes)

    async def _away(self, which, names, nodes):
        which |= names
        await self.town.lapse(self.chance.choice((20, 600, 2 * 3600)))
        for node in nodes[:5]:
            node.power_off()
            node.power_on()
        await self.town.lapse(self.chance.choice((1, 300)))
        which -= names
        self.town.mended(*self.town.nodes.values())

    async def disk_full(self):
        """Let nothing be stored: the manager goes on with what it has, and says so."""

        def fail():
            raise RegistryError("no space left on device")

        registry = self.town.service.registry
        registry.before_write = fail
        await self.town.lapse(self.chance.choice((1, 60, 3600)))
        with pytest.raises(CommandError):
            self.town.do(do="rekey", group=GROUP)
        assert self.town.service.problems(), "the manager does not know that its disk is full"
        registry.before_write = None
        self.town.mended(*self.town.nodes.values())

    async def bad_radio(self):
        self.town.network.loss = self.chance.choice((5, 20))
        await self.town.lapse(self.chance.choice((60, 1800)))
        self.town.network.loss = 0
        self.town.mended(*self.town.nodes.values())

    async def set_the_clock(self):
        self.town.offset_s += self.chance.choice((-1, 1)) * self.chance.choice(JUMPS_S)

    # The operator.

    async def rekey(self):
        self.town.do(do="rekey", group=GROUP)
        await asyncio.sleep(self.chance.choice((0, 1, 90)))

    async def rotate(self):
        """Give devices other keys, some of which are away just now."""
        nodes = self.some(20)
        for node in nodes[::3]:
            node.power_off()
        self.town.do(do="rotate", names=[node.name for node in nodes])
        await asyncio.sleep(self.chance.choice((0, 0.1, 1, 30)))
        for node in nodes[::3]:
            node.power_on()
        self.town.mended(*nodes)

    async def other_managers(self):
        """Let devices know another manager, or none but this one."""
        others = self.chance.choice(([], [{"host": "standby", "port": 5684}]))
        self.town.do(do="set_managers", managers=[self.town.service.address, *others])

    async def remove(self):
        """Expel a device from the group; it keeps its key and what it holds."""
        name = self.chance.choice((self.lamp(), self.chance.choice([node.name for node in self.switches()] or [self.lamp()])))
        self.town.do(do="remove", group=GROUP, devices=[name])
        self.town.expel(name)
        self.replacement(name)
        await asyncio.sleep(self.chance.choice((0, 1, 30)))

    def replacement(self, name):
        """Enrol another device, so that the building does not become empty."""
        self.town.enrol(f"{name.split('.')[0]}.{len(self.town.gone)}")

    async def wipe(self):
        name = self.lamp()
        self.town.do(do="wipe", name=name)
        self.town.expel(name)
        self.replacement(name)
        await asyncio.sleep(self.chance.choice((0, 1, 30)))

    async def replace(self):
        """Replace a device by another one with a new key; the old one goes on."""
        town = self.town
        name = self.lamp()
        settings = town.do(do="replace", name=name)
        town.expel(name)
        town.nodes[name] = node = Node(town, name, settings)
        node.power_on()
        town.mended(node)

    async def back_up(self):
        self.backup = self.town.service.registry.saved()

    async def restore_the_backup(self):
        """Put an older registry in place of the one that is lost; then repeat what it does not know, as docs/operating.md says."""
        town = self.town
        town.stop()
        town.stored = self.backup
        await town.start()
        devices = town.service.registry.devices()
        for name, identity in devices.items():
            if identity in town.gone:
                town.do(do="wipe", name=name)
                town.gone[identity] = town.now_s()
        for name, node in list(town.nodes.items()):
            if devices.get(name) != node.identity or not node.has_key_of(town.service.registry):
                if town.service.registry.identity(name):
                    town.do(do="wipe", name=name)
                town.expel(name)
                self.replacement(name)
        if self.chance.random() < 0.5:
            town.do(do="rekey", group=GROUP)
        town.mended(*town.nodes.values())

    async def add(self):
        self.town.enrol(f"lamp-more.{len(self.town.nodes)}.{len(self.town.log)}")
        await asyncio.sleep(self.chance.choice((0, 1, 30)))


def live(seed, monkeypatch, lamps=LAMPS, switches=SWITCHES):
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if os.path.isdir(IN_MEMORY) else None) as folder:
        return live_in(Path(folder), seed, monkeypatch, lamps, switches)


def live_in(folder, seed, monkeypatch, lamps, switches):
    RECORD.new_world(strict=True)
    town = Town(seed, folder, lamps, switches)

    async def run():
        await town.build()
        year = Year(town)
        await year.live()
        wrong = town.truth()
        assert not wrong, wrong[:10]
        town.service.close()
        return year.done

    try:
        with drawn(seed), time_lapse(town, monkeypatch):
            done = town.network.run(run)
        RECORD.check()
        return done
    except (AssertionError, DiceError) as error:
        raise AssertionError(f"seed {seed}: {error}\nthe last events (day, what): {town.log[-12:]}") from error


@pytest.mark.timeout(900)
def test_after_a_year_everybody_who_may_be_is_in_and_nobody_else(monkeypatch):
    for seed in seeds(1):
        live(seed, monkeypatch)


def test_after_a_year_a_small_group_is_in_order_too(monkeypatch):
    for seed in seeds(2):
        live(seed, monkeypatch, lamps=8, switches=2)
