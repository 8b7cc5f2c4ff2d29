# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Runs on MicroPython: sends as fast as possible and writes to its store at every third record, until it is killed."""

import asyncio
import sys

import dice


async def main(start):
    """Join and send."""
    group = await dice.join("switch.gsa", reserve_records=3)
    print("ready")
    number = 0
    while True:
        await group.send(b"%s %d" % (start.encode(), number))  # unique, so a repeated datagram is a repeated nonce
        await asyncio.sleep(0)
        number += 1


asyncio.run(main(sys.argv[1]))
