# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A lamp with a push button, on a serial bus: RS-485, with transceivers that change direction by themselves.

On the board: the folder dice, this file as main.py, and node.gsa, made by `dicectl keyring add-sender lamps.group hall` and
`dicectl keyring export lamps.group node.gsa --sender hall`. No network is needed: on a Pico GP0 sends and GP1 receives,
on other boards the pins of docs/boards.md.

A lamp writes to its flash before it obeys a command. An RP2040 receives nothing during that write, about 50 ms: leave at least
0.1 s between two messages.
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


def line():
    """Return the transport: a UART, with a buffer for a whole datagram that arrives while the board is busy."""
    from machine import UART

    pins = dice.read_file("pins.json", json.loads) or {}
    if "UART" not in pins and sys.platform == "esp32":
        raise ValueError('UART 0 is the console here: pins.json must name another, such as {"UART": 1, "TX": 26, "RX": 27}')
    wires = {name.lower(): pin(name, None) for name in ("TX", "RX") if name in pins}
    return dice.Serial(UART(pins.get("UART", 0), 115200, rxbuf=2500, **wires))


async def obey(group, switch_lamp):
    """Switch the lamp. Only authentic, fresh messages get here: all others are dropped and counted."""
    async for _sender, message in group:
        if message in (b"on", b"off"):
            switch_lamp(message == b"on")


async def watch(group, lamp, button):
    """Switch the lamp and send at each press."""
    pressed = False
    while True:
        if pressed != (button.value() == 0):
            pressed = not pressed
            if pressed:
                lamp.value(not lamp.value())
                try:
                    await group.send(b"on" if lamp.value() else b"off")
                except (dice.DiceError, OSError, MemoryError) as error:  # this message is lost
                    print(error)
        await asyncio.sleep(0.03)  # a button bounces


def report(error, before):
    """Print an error, and how to have it explained, unless `before` is the same; return what was printed."""
    text = "%s: dicectl doctor %s" % (error, error) if isinstance(error, dice.DiceError) else str(error) or repr(error)
    if text != before:
        print(text)
    return text


async def main():
    """Join the group, obey it, and send at each press; after a failure, begin again."""
    from machine import Pin

    lamp = pin("LED", "LED", Pin.OUT)
    button = pin("BUTTON", _BUTTON, Pin.IN, Pin.PULL_UP)
    said = None
    while True:
        group, tasks = None, []
        try:
            group = await dice.join("node.gsa", transport=line())
            said = None
            tasks = [asyncio.create_task(work) for work in (obey(group, lamp.value), watch(group, lamp, button))]
            await asyncio.gather(*tasks)
        except (dice.DiceError, OSError, MemoryError) as error:
            said = report(error, said)
        for task in tasks:
            task.cancel()
        if group:
            group.close()
        await asyncio.sleep(_AGAIN_S)


if __name__ == "__main__":
    asyncio.run(main())
