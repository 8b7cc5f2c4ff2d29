# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Runs on MicroPython: a sender that sends as fast as it can, and writes to its store every third record, until it is killed."""

import asyncio
import sys

import dice


async def main(start):
    """Join and send."""
    group = await dice.join("switch.gsa", reserve_records=3)
    print("ready")
    number = 0
    while True:
        await group.send(b"%s %d" % (start.encode(), number))  # never the same: what repeats would be the nonce alone
        await asyncio.sleep(0)
        number += 1


asyncio.run(main(sys.argv[1]))
