# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A lamp of the demo: firmware/examples/lamp.py without a LED, telling the demo what it does, a JSON line at a time."""

import asyncio
import gc
import json
import sys

import lamp

import dice
from dice.errors import UsageError

gc.threshold(4096)  # collect early: a small heap must not fragment


def tell(**what):
    """Write one line for the demo."""
    print(json.dumps(what))


class Asked:
    """A group without the question "lit?", which is answered by a lamp that has an id to answer with."""

    def __init__(self, group):
        self.group = group
        self.on = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        """Return the next command."""
        while True:
            sender, message = await self.group.__anext__()
            if message != b"lit?":
                return sender, message
            try:
                await self.group.answer(b"on" if self.on else b"off")
            except UsageError:
                pass

    def switch(self, on):
        """Be the lamp."""
        self.on = on
        tell(on=on)


async def answer(group):
    """Answer each line on stdin with what was counted; its end, when the demo ends in whatever way, ends the lamp."""
    lines = asyncio.StreamReader(sys.stdin)
    while await lines.readline():
        gc.collect()
        tell(accepted=group.member.accepted, dropped=group.member.dropped, used=gc.mem_alloc())
    sys.exit()


async def main():
    """Join, then obey and answer until killed."""
    group = await dice.join("lamp.gsa", answering=True)
    task = asyncio.create_task(answer(group))
    tell(ready=True)
    asked = Asked(group)
    await lamp.obey(asked, asked.switch)
    task.cancel()


asyncio.run(main())
