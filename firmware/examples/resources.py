# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A node with two CoAP resources over DTLS, a lamp and a temperature, for any CoAP client that has its key.

On the board: the folder dice, boot.py, this file as main.py, and node.json, such as {"identity": "lamp-1", "key": "..."} with a key
of 16 random bytes in hex, different on each node. From a computer:

    coap-client-openssl -u lamp-1 -k ... coaps://10.0.0.7/temperature
"""

import asyncio
import json
import sys
from binascii import unhexlify

from dice import BAD_REQUEST, CHANGED, CONTENT, GET, PUT, Coap, DiceError, PskLookup, Router, read_file, serve

_RP2040_CHANNEL = 4  # of its thermometer; an RP2350 with 80 pins has another, and firmware before ADC.CORE_TEMP knows no other
_AGAIN_S = 2


def temperature(_request, _peer):
    """Return the chip's temperature in degrees Celsius, on an RP2040, an RP2350 and each ESP32."""
    if sys.platform == "rp2":
        from machine import ADC

        volts = ADC(getattr(ADC, "CORE_TEMP", _RP2040_CHANNEL)).read_u16() * 3.3 / 65535
        return CONTENT, b"%.1f" % (27 - (volts - 0.706) / 0.001721)
    try:
        from esp32 import mcu_temperature
    except ImportError:
        from esp32 import raw_temperature  # of the original ESP32, in degrees Fahrenheit

        return CONTENT, b"%.1f" % ((raw_temperature() - 32) / 1.8)
    return CONTENT, b"%d" % mcu_temperature()


def pin(name, usual, *mode):
    """Return the pin that pins.json names, by default the usual one, a Pico's; `dicectl deploy` writes pins.json."""
    from machine import Pin

    try:
        return Pin((read_file("pins.json", json.loads) or {}).get(name, usual), *mode)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError('%s: pins.json must name a pin of this board, such as {"%s": 4}' % (error, name))


def lamp(request, _peer):
    """Return whether the lamp is on, or switch it."""
    from machine import Pin

    led = pin("LED", "LED", Pin.OUT)
    if request.code == GET:
        return CONTENT, b"on" if led.value() else b"off"
    if request.payload not in (b"on", b"off"):
        return BAD_REQUEST, b"on or off"
    led.value(request.payload == b"on")
    return CHANGED, b""


ROUTES = {"temperature": {GET: temperature}, "lamp": {GET: lamp, PUT: lamp}}


async def answer(connection):
    """Serve one client until its session ends."""
    await Coap(connection, Router(ROUTES)).closed()


async def offer(keys):
    """Serve until the network fails."""
    from machine import Pin

    service = await serve(5684, PskLookup(keys.get), answer, timer_ms=1000)
    try:
        pin("LED", "LED", Pin.OUT)  # if this board has none, the program says so and ends
        await service.wait_closed()
    finally:
        service.close()


async def main():
    """Serve all clients that have the key; without a network, try again until there is one."""
    with open("node.json") as file:
        node = json.load(file)
    keys = {node["identity"].encode(): unhexlify(node["key"])}
    while True:
        try:
            await offer(keys)
        except (DiceError, OSError, MemoryError) as error:
            print(error)
        await asyncio.sleep(_AGAIN_S)


if __name__ == "__main__":
    asyncio.run(main())
