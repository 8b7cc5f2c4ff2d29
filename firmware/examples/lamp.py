# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A lamp that obeys its group, and nobody else.

On the board: the folder dice, this file as main.py, boot.py (brings up the network) and lamp.gsa, made by
`dicectl keyring export lamps.group lamp.gsa`.
"""

import asyncio

import dice


async def obey(group, switch_lamp):
    """Switch the lamp as authentic, fresh messages say; all else is dropped and counted before it gets here."""
    async for _sender, message in group:
        if message == b"on":
            switch_lamp(True)
        elif message == b"off":
            switch_lamp(False)


async def main():
    """Join the group and obey it."""
    from machine import Pin

    lamp = Pin("LED", Pin.OUT)
    group = await dice.join("lamp.gsa")
    await obey(group, lamp.value)


if __name__ == "__main__":
    asyncio.run(main())
