# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A lamp with a push button, over ESP-NOW, between ESP32s, without an access point. Not run on hardware yet.

On the board: the folder dice, this file as main.py, and node.gsa, made by `dicectl keyring add-sender lamps.group hall` and
`dicectl keyring export lamps.group node.gsa --sender hall`. All devices must use the same Wi-Fi channel.
"""

import asyncio

import dice

_LAMP = 2  # numbers of pins; pressing the button connects it to ground
_BUTTON = 0


def air():
    """Return the transport. The WLAN interface is active, but not connected."""
    from espnow import ESPNow
    from network import STA_IF, WLAN

    WLAN(STA_IF).active(True)
    radio = ESPNow()
    radio.active(True)
    return dice.EspNow(radio)


async def obey(group, switch_lamp):
    """Switch the lamp. Only authentic, fresh messages get here: all others are dropped and counted."""
    async for _sender, message in group:
        if message in (b"on", b"off"):
            switch_lamp(message == b"on")


async def main():
    """Join the group, obey it, and send at each press."""
    from machine import Pin

    lamp = Pin(_LAMP, Pin.OUT)
    button = Pin(_BUTTON, Pin.IN, Pin.PULL_UP)
    group = await dice.join("node.gsa", transport=air())
    obeying = asyncio.create_task(obey(group, lamp.value))
    pressed = False
    while not obeying.done():
        if pressed != (button.value() == 0):
            pressed = not pressed
            if pressed:
                lamp.value(not lamp.value())
                await group.send(b"on" if lamp.value() else b"off")
        await asyncio.sleep(0.03)  # a button bounces


if __name__ == "__main__":
    asyncio.run(main())
