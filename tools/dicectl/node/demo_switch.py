# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The switch of the demo: sends each line that it reads on stdin to the group."""

import asyncio
import gc
import json
import sys

import dice

gc.threshold(4096)  # collect early: a small heap must not fragment


async def main():
    """Join, then send until stdin ends."""
    group = await dice.join("switch.gsa")
    lines = asyncio.StreamReader(sys.stdin)
    print(json.dumps({"ready": True}))
    while True:
        line = await lines.readline()
        if not line:
            return
        await group.send(line.strip())


asyncio.run(main())
