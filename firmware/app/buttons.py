# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A push button that switches the groups of a node. app.json has its pin, {"button": "BUTTON"}; pressing connects it to ground."""

import asyncio

import pins

_PICO = 14  # what examples for a Pico call BUTTON
_POLL_S = 0.05  # a button bounces
_TIMES = 3  # a message of a group may be lost, and nobody acknowledges it


def make(name):
    """Return a function that returns whether the button is pressed; it raises ValueError if the board has no such pin."""
    made = []

    def pressed():
        if not made:
            from machine import Pin

            try:
                made.append(Pin(pins.find(name, _PICO if name == "BUTTON" else None), Pin.IN, Pin.PULL_UP))
            except (ValueError, TypeError) as error:
                raise ValueError("%s: app.json or pins.json must name a pin of this board for the button, not %s" % (error, name))
        return made[0].value() == 0

    return pressed


async def watch(pressed, toggle, send):
    """Call `toggle()` at each press, and await `send()` some times after it, until it is pressed again; endlessly."""
    was = pressed()
    left = 0
    while True:
        if was != pressed():
            was = not was
            if was:
                toggle()
                left = _TIMES
        if left:
            left -= 1
            await send()
        await asyncio.sleep(_POLL_S)
