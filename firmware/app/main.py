# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Starts the node. If it failed too often in a row, the board rests for ten minutes before each start; Ctrl-C leads to its prompt.

Copy this folder, and edit sensors.py and node() below. docs/app.md describes the files beside it.
"""

import asyncio
import errno
import json

import link
import safe
import sensors
from node import Node
from status import Led

from dice import read_file


def node():
    """Bring up the network; return the node that node.json and app.json configure."""
    options = {}
    try:
        with open("app.json") as file:
            options = json.load(file)
    except OSError:
        pass
    settings = read_file("node.json", json.loads)  # also after a power cut while it was replaced
    if settings is None:
        raise OSError(errno.ENOENT, "node.json")
    led = Led(options.get("led"))
    sensor = sensors.make(options.get("sensor", "chip"), options)
    network = link.up(options)
    return Node(settings, options, sensor, light=led.light, status=led.show, network=network, ready=lambda: link.ready(options))


async def main():
    """Run the node."""
    await safe.stay_up(node().run())


if __name__ == "__main__":
    while not safe.may_start():
        print("safe mode: the program failed %d times in a row; it starts again in %d s" % (safe.STARTS_MAX, safe.REST_S))
        print("Ctrl-C leads to the prompt: repair it, then call safe.reset()")
        safe.rest()
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        safe.interrupted()
        raise
