# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A node on a serial bus, as main.py on an emulated board and under the unix port: firmware/examples/bus.py without a button.

Obeys its group and the lines on stdin: "counts" reports the counts of records, "burst N" sends N numbered messages as fast as
possible, and any other line is sent as a message. Prints JSON lines. On the unix port, the argument is the descriptor of the line;
without one, the group is on UDP. A board with a file bus.json, as app.json of firmware/app, is a host on a bus.
"""

import asyncio
import json
import sys

import bus

import dice
from dice.transport.slip import Serial


def where():
    """Return the options of dice.join. On a bus, the unix port sends whole records, and boards recode them."""
    if sys.platform == "linux":
        return {"transport": Serial(open(int(sys.argv[1]), "r+b"), recode=False)} if sys.argv[1:] else {}
    try:
        with open("bus.json") as file:
            options = json.load(file)
    except OSError:
        return {"transport": bus.line()}
    import link  # of firmware/app

    return {"network": link.up(options)}


def report(**what):
    """Print one JSON object."""
    print(json.dumps(what))


async def follow(group):
    """Obey the lines on stdin."""
    lines = asyncio.StreamReader(sys.stdin)
    while True:
        text = await lines.readline()
        if not text:
            sys.exit()
        words = text.split()
        if words == [b"counts"]:
            report(accepted=group.member.accepted, dropped=group.member.dropped)
        elif words[:1] == [b"burst"]:
            for number in range(int(words[1])):
                await group.send(b"%d" % number)
        elif words:
            await group.send(words[0])
            report(sent=words[0].decode())


async def main():
    """Join the group, and obey it and stdin."""
    group = await dice.join("node.gsa", **where())
    obeying = asyncio.create_task(bus.obey(group, lambda on: report(on=on)))
    report(ready=True)
    await asyncio.gather(follow(group), obeying)


asyncio.run(main())
