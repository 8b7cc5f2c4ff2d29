# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A push button that switches all lamps of its group.

On the board: the folder dice, this file as main.py, boot.py (brings up the network) and switch.gsa, made by
`dicectl keyring add-sender lamps.group switch` and `dicectl keyring export lamps.group switch.gsa --sender switch`.
"""

import asyncio
import json
import sys

import dice

_BUTTON = 14  # number of the pin; pressing connects it to ground
_AGAIN_S = 2


def pin(name, usual, *mode):
    """Return the pin that pins.json names, by default the usual one, a Pico's; `dicectl deploy` writes pins.json."""
    from machine import Pin

    try:
        pins = dice.read_file("pins.json", json.loads) or {}
        if name not in pins and sys.platform != "rp2":  # the usual pin may exist, and be another one
            print("pins.json names no %s: %s is used, as on a Pico" % (name, usual))
        return Pin(pins.get(name, usual), *mode)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError('%s: pins.json must name a pin of this board, such as {"%s": 4}' % (error, name))


async def watch(group, button):
    """Send "on" and "off" in turn, one at each press, until the group ends."""
    on = pressed = False
    while not group.ended:
        if pressed != (button.value() == 0):
            pressed = not pressed
            if pressed:
                on = not on
                try:
                    await group.send(b"on" if on else b"off")
                except (dice.DiceError, OSError, MemoryError) as error:  # such as no network: this message is lost
                    print(error)
        await asyncio.sleep(0.03)  # a button bounces


async def main():
    """Join the group, and watch the button; without a network, try again until there is one."""
    from machine import Pin

    button = pin("BUTTON", _BUTTON, Pin.IN, Pin.PULL_UP)
    while True:
        try:
            group = await dice.join("switch.gsa")
            await watch(group, button)
            print(group.ended)
            group.close()
        except (dice.DiceError, OSError, MemoryError) as error:
            print(error)
        await asyncio.sleep(_AGAIN_S)


if __name__ == "__main__":
    asyncio.run(main())
