# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A lamp of the demo: firmware/examples/lamp.py without an LED. It reports each change as a line of JSON."""

import asyncio
import gc
import json
import sys

import dice
from dice.errors import UsageError

gc.threshold(4096)  # collect early: a small heap must not fragment


def report(**what):
    """Write one line for the demo."""
    print(json.dumps(what))


async def answer(group):
    """Answer each line of stdin with the counters. The lamp ends when stdin ends, which is also when the demo dies."""
    lines = asyncio.StreamReader(sys.stdin)
    while await lines.readline():
        gc.collect()
        report(accepted=group.member.accepted, dropped=group.member.dropped, used=gc.mem_alloc())
    sys.exit()


async def obey(group):
    """Obey. A lamp with a ListenerID answers the request "lit?"."""
    on = False
    async for _sender, message in group:
        if message in (b"on", b"off"):
            on = message == b"on"
            report(on=on)
        elif message == b"lit?":
            try:
                await group.answer(b"on" if on else b"off")
            except UsageError:
                pass  # this lamp has no id to answer with


async def main():
    """Join and obey until killed; an exception ends the program."""
    group = await dice.join("lamp.gsa", answering=True)
    report(ready=True)
    await asyncio.gather(answer(group), obey(group))


asyncio.run(main())
