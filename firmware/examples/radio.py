# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A lamp with a push button, over ESP-NOW, between ESP32s, without an access point. Not run on hardware yet.

On the board: the folder dice, this file as main.py, and node.gsa, made by `dicectl keyring add-sender lamps.group hall` and
`dicectl keyring export lamps.group node.gsa --sender hall`. All devices must use the same Wi-Fi channel.
"""

import asyncio
import json

import dice

_LAMP = 2  # numbers of pins, if there is no pins.json; pressing the button connects it to ground
_BUTTON = 0
_RECEIVED_BYTES = 2700  # ten frames; by default the radio keeps two
_AGAIN_S = 2


def pin(name, usual, *mode):
    """Return the pin that pins.json names, by default the usual one, an ESP32's; `dicectl deploy` writes pins.json."""
    from machine import Pin

    try:
        pins = dice.read_file("pins.json", json.loads) or {}
        if name not in pins:  # the usual pin may exist, and be another one
            print("pins.json names no %s: %s is used, as on an ESP32" % (name, usual))
        return Pin(pins.get(name, usual), *mode)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError('%s: pins.json must name a pin of this board, such as {"%s": 4}' % (error, name))


def air():
    """Return the transport. The WLAN interface is active, but not connected."""
    from espnow import ESPNow
    from network import STA_IF, WLAN

    WLAN(STA_IF).active(True)
    radio = ESPNow()
    radio.config(rxbuf=_RECEIVED_BYTES)
    radio.active(True)
    return dice.EspNow(radio)


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


async def main():
    """Join the group, obey it, and send at each press; after a failure, begin again."""
    from machine import Pin

    lamp = pin("LED", _LAMP, Pin.OUT)
    button = pin("BUTTON", _BUTTON, Pin.IN, Pin.PULL_UP)
    while True:
        group, tasks = None, []
        try:
            group = await dice.join("node.gsa", transport=air())
            tasks = [asyncio.create_task(work) for work in (obey(group, lamp.value), watch(group, lamp, button))]
            await asyncio.gather(*tasks)
        except (dice.DiceError, OSError, MemoryError) as error:
            print(error)
        for task in tasks:
            task.cancel()
        if group:
            group.close()
        await asyncio.sleep(_AGAIN_S)


if __name__ == "__main__":
    asyncio.run(main())
