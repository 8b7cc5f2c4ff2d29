# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A lamp that obeys the senders of its group, and nobody else.

Files on the board: the folder dice, this file as main.py, boot.py (connects to the network) and lamp.gsa, made by
`dicectl keyring export lamps.group lamp.gsa`.
"""

import asyncio
import json

import dice

_AGAIN_S = 2


def pin(name, usual, *mode):
    """Return the pin that pins.json names, by default the usual one, a Pico's; `dicectl deploy` writes pins.json."""
    from machine import Pin

    try:
        return Pin((dice.read_file("pins.json", json.loads) or {}).get(name, usual), *mode)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError('%s: pins.json must name a pin of this board, such as {"%s": 4}' % (error, name))


async def obey(group, lamp):
    """Obey the group. Forged and replayed messages are dropped and counted before they get here."""
    async for _sender, message in group:
        if message in (b"on", b"off"):
            lamp.value(message == b"on")


async def main(lamp=None):
    """Join the group and obey it; without a network, try again until there is one."""
    if lamp is None:
        from machine import Pin

        lamp = pin("LED", "LED", Pin.OUT)
    while True:
        group = None
        try:
            group = await dice.join("lamp.gsa")
            await obey(group, lamp)
        except (dice.DiceError, OSError, MemoryError) as error:
            print(error)
        if group:
            group.close()
        await asyncio.sleep(_AGAIN_S)


if __name__ == "__main__":
    asyncio.run(main())
