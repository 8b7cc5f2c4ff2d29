# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""firmware/app on MicroPython in a real network that is not there yet, flickers, and has no manager (D6, D8).

host_tests/properties/test_power_up.py tries random orders in virtual time.
"""

import asyncio
import json
import random
import subprocess

import dice
from dicectl import resources
from dicectl.firmware import unix_port
from dicectl.manager import group_file
from host_tests.net.test_examples_outage import network_down_and_up, route
from host_tests.patience import until
from host_tests.seeds import seeds

FLICKERS = 6
EVENTS = ("route", "interface", "power", "damage")


class Node:
    """A lamp with the files of its group, whose manager does not answer, by a name that nobody knows."""

    def __init__(self, folder):
        self._folder = folder
        said = {"identity": "lamp-1", "key": "00" * 16, "groups": ["lamps"], "manager": {"host": "manager.invalid", "port": 5684}}
        (folder / "node.json").write_text(json.dumps(said))
        (folder / "app.json").write_text('{"sensor": "simulated", "publish_s": 0}')
        self.power_on()

    def power_on(self):
        environment = unix_port.environment(f"{resources.APP}:{resources.LIB}")
        argv = [unix_port.find(), "-X", "heapsize=1m", str(resources.APP / "main.py")]
        with open(self._folder / "log", "a") as log:
            self._process = subprocess.Popen(argv, cwd=self._folder, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def power_off(self):
        self._process.kill()
        self._process.wait()

    def log(self):
        return (self._folder / "log").read_text()

    def check(self):
        assert self._process.poll() is None and "safe mode" not in self.log(), self.log()


async def _obeys(node, path):
    """Send "on" and "off" until the lamp obeys each."""
    group = await dice.join(str(path))
    try:
        for word, light in ((b"on", "light True"), (b"off", "light False")):
            count = node.log().count(light)
            for _ in range(200):
                await group.send(word)
                await asyncio.sleep(0.1)
                if node.log().count(light) > count:
                    break
                node.check()
            else:
                raise AssertionError(node.log())
    finally:
        group.close()


def _live(folder, seed):
    chance = random.Random(seed)
    group = group_file.new("lamps")
    group_file.add_sender(group, "switch")
    group_file.create(folder / "lamps.group", group)
    (folder / "node").mkdir()
    group_file.export(folder / "lamps.group", folder / "node" / "lamps.gsa")
    group_file.export(folder / "lamps.group", folder / "switch.gsa", "switch")
    route(False)
    node = Node(folder / "node")
    try:
        until(lambda: "ENODEV" in node.log(), "a node without a network")
        route(True)
        asyncio.run(_obeys(node, folder / "switch.gsa"))
        for event in chance.sample(EVENTS, len(EVENTS)):
            if event == "route":
                route(False)
                route(True)
            elif event == "interface":
                network_down_and_up()
            elif event == "power":
                for _ in range(FLICKERS):
                    node.power_off()
                    node.power_on()
            else:
                node.power_off()
                (folder / "node" / chance.choice(["node.json", "app.json"])).write_text('{"ident')
                node.power_on()
            asyncio.run(_obeys(node, folder / "switch.gsa"))
    finally:
        node.power_off()


def test_a_node_obeys_its_group_after_each_outage_without_its_manager(in_network, tmp_path):
    for seed in seeds(2):
        (tmp_path / str(seed)).mkdir()
        in_network(_live, tmp_path / str(seed), seed)
