# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A node on a serial bus, as main.py on an emulated board and under the unix port: firmware/examples/bus.py without a button.

Obeys its group and does what lines on stdin say: "counts" to tell what it has counted, "burst N" to send N numbered messages as
fast as it can, and anything else is sent. Prints JSON lines. On the unix port, its argument is the descriptor of its line.
"""

import asyncio
import json
import sys

import bus

import dice
from dice.transport.slip import Serial


def line():
    """Return the transport."""
    return Serial(open(int(sys.argv[1]), "r+b")) if sys.platform == "linux" else bus.line()


def tell(**what):
    """Print one JSON object."""
    print(json.dumps(what))


async def follow(group):
    """Do what stdin says."""
    lines = asyncio.StreamReader(sys.stdin)
    while True:
        text = await lines.readline()
        if not text:
            sys.exit()
        words = text.split()
        if words == [b"counts"]:
            tell(accepted=group.member.accepted, dropped=group.member.dropped)
        elif words[:1] == [b"burst"]:
            for number in range(int(words[1])):
                await group.send(b"%d" % number)
        elif words:
            await group.send(words[0])
            tell(sent=words[0].decode())


async def main():
    """Join, obey and follow."""
    group = await dice.join("node.gsa", transport=line())
    obeying = asyncio.create_task(bus.obey(group, lambda on: tell(on=on)))
    tell(ready=True)
    await asyncio.gather(follow(group), obeying)


asyncio.run(main())
