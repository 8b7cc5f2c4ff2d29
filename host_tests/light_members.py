# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Many members in one process, with real sessions over UDP and without multicast: what a manager sees of that many nodes.

python light_members.py FOLDER. Each folder in FOLDER with a node.json is a member: firmware/app's Managers, dice's ManagedGroup. A
line on stdin is answered with one of JSON: {name: [newest epoch held, epoch entered, port of the manager of its session or 0]}.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import dice.transport.udp as udp
from dice.aio.coap import Coap
from dice.aio.managed import ManagedGroup
from dice.coap.resource import Router
from dice.errors import DiceError
from dicectl.member.node_file import managers as managers_of

AGAIN_S, AGAIN_MAX_S = 5, 300  # of firmware/app/node.py
PACE_S = 0.02  # in which they power up
GROUP = "lamps"


class Silence:
    """A multicast transport on which nobody sends."""

    source = None

    def __init__(self):
        self.socket = asyncio.Event()

    def send(self, datagram):
        pass

    def receive(self):
        return None

    def close(self):
        pass


class Network:
    """The `network` of a member."""

    Unicast = udp.Unicast

    def Multicast(self, address, port):
        return Silence()


class Counters:
    """A store that is not durable: these members lose no power."""

    def __init__(self):
        self._values = {}

    def get(self, name):
        return self._values.get(name)

    def put(self, name, value):
        self._values[name] = value


class Light:
    """One member."""

    def __init__(self, folder):
        self.name = folder.name
        self.managers = managers_of(folder, json.loads((folder / "node.json").read_text()))
        self.managed = ManagedGroup(GROUP, str(folder / "lamps.gsa"), Network(), Counters())
        self.port = 0

    async def live(self, delay_s):
        await asyncio.sleep(delay_s)
        again_s = AGAIN_S
        while True:
            coap, pause_s = None, again_s
            try:
                connection = await self.managers.connect()
                coap = Coap(connection, Router({**self.managed.routes, **self.managers.routes}))
                await self.managed.join(coap)
                self.port = self.managers.listed()[0]["port"]
                again_s = AGAIN_S
                await self.managed.stay(coap)
            except (DiceError, OSError):
                pass
            self.port = 0
            if coap:
                recalled = coap.connection.recalled
                if recalled:
                    self.managers.recalled(recalled)
                    pause_s = os.urandom(1)[0] / 256
                coap.close()
            await asyncio.sleep(pause_s)
            again_s = min(2 * again_s, AGAIN_MAX_S)

    def state(self):
        group = self.managed.group
        if group is None or group.ended:
            return [0, 0, self.port]
        current = group.member.held(0)
        return [self.managed._epoch, current.epoch if current else 0, self.port]


async def main(folder):
    """Run until stdin ends."""
    lights = [Light(path.parent) for path in sorted(Path(folder).glob("*/node.json"))]
    tasks = [asyncio.create_task(light.live(number * PACE_S)) for number, light in enumerate(lights)]
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        for task in tasks:
            if task.done():
                task.result()
        print(json.dumps({light.name: light.state() for light in lights}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
