# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A managed node of the demo: firmware/app without a board, which reports to the demo in JSON lines.

Each line on stdin is sent to its group; "counts" is answered with what was counted.
"""

import asyncio
import gc
import json
import sys

import link
from node import Node

from dice import DiceError

gc.threshold(4096)  # collect early: a small heap must not fragment


def report(**what):
    """Write one line for the demo."""
    print(json.dumps(what))


def show(word):
    """Report the status of the application, as its status light does."""
    if word == "joined":
        report(ready=True)


async def talk(group):
    """Execute the commands of stdin. The node ends when stdin ends, which is also when the demo dies."""
    lines = asyncio.StreamReader(sys.stdin)
    while True:
        line = await lines.readline()
        if not line:
            sys.exit()
        if line == b"counts\n":
            gc.collect()
            member = group.group.member
            report(accepted=member.accepted, dropped=member.dropped, used=gc.mem_alloc(), free=gc.mem_free())
        else:
            try:
                await group.group.send(line.strip())
            except (DiceError, OSError) as error:  # this line is lost
                print(error, file=sys.stderr)


async def main():
    """Run the node until it is killed; an exception ends the program."""
    with open("node.json") as file:
        settings = json.load(file)
    with open("app.json") as file:
        options = json.load(file)
    node = Node(settings, options, lambda: b"20.0", light=lambda on: report(on=on), status=show, network=link.up(options))
    await asyncio.gather(talk(node.groups[settings["groups"][0]]), node.run())


asyncio.run(main())
