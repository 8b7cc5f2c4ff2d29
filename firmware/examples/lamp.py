# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A lamp that obeys the senders of its group, and nobody else.

Files on the board: the folder dice, this file as main.py, boot.py (connects to the network) and lamp.gsa, made by
`dicectl keyring export lamps.group lamp.gsa`.
"""

import asyncio

import dice


async def main(lamp):
    """Join the group and obey it. Forged and replayed messages are dropped and counted before they get here."""
    group = await dice.join("lamp.gsa")
    async for _sender, message in group:
        if message in (b"on", b"off"):
            lamp.value(message == b"on")


if __name__ == "__main__":
    from machine import Pin

    asyncio.run(main(Pin("LED", Pin.OUT)))
