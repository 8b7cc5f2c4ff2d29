# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A push button that switches all lamps of its group.

On the board: the folder dice, this file as main.py, boot.py (brings up the network) and switch.gsa, made by
`dicectl keyring add-sender lamps.group switch` and `dicectl keyring export lamps.group switch.gsa --sender switch`.
"""

import asyncio

import dice

_BUTTON = 14  # number of the pin; pressing connects it to ground


async def watch(group, button):
    """Send "on" and "off" in turn, one at each press."""
    on = pressed = False
    while True:
        if pressed != (button.value() == 0):
            pressed = not pressed
            if pressed:
                on = not on
                await group.send(b"on" if on else b"off")
        await asyncio.sleep(0.03)  # a button bounces


async def main():
    """Join the group, and watch the button."""
    from machine import Pin

    button = Pin(_BUTTON, Pin.IN, Pin.PULL_UP)
    group = await dice.join("switch.gsa")
    await watch(group, button)


if __name__ == "__main__":
    asyncio.run(main())
