# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A lamp of the demo: firmware/examples/lamp.py without a LED, telling the demo what it does, a JSON line at a time."""

import asyncio
import gc
import json
import sys

import lamp

import dice

gc.threshold(4096)  # collect early: a small heap must not fragment


def tell(**what):
    """Write one line for the demo."""
    print(json.dumps(what))


async def answer(group):
    """Answer each line on stdin with what was counted; its end, when the demo ends in whatever way, ends the lamp."""
    lines = asyncio.StreamReader(sys.stdin)
    while await lines.readline():
        gc.collect()
        tell(accepted=group.member.accepted, dropped=group.member.dropped, used=gc.mem_alloc())
    sys.exit()


async def main():
    """Join, then obey and answer until killed."""
    group = await dice.join("lamp.gsa")
    task = asyncio.create_task(answer(group))
    tell(ready=True)
    await lamp.obey(group, lambda on: tell(on=on))
    task.cancel()


asyncio.run(main())
