# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A node with two CoAP resources over DTLS, a lamp and a temperature, for any CoAP client that has its key.

On the board: the folder dice, boot.py, this file as main.py, and node.json, such as {"identity": "lamp-1", "key": "..."} with a key
of 16 random bytes in hex, different on each node. From a computer:

    coap-client-openssl -u lamp-1 -k ... coaps://10.0.0.7/temperature
"""

import asyncio
import json
from binascii import unhexlify

from dice import BAD_REQUEST, CHANGED, CONTENT, GET, PUT, Coap, DiceError, PskLookup, Router, serve

_AGAIN_S = 2


def temperature(_request, _peer):
    """Return the chip's temperature in degrees Celsius."""
    from machine import ADC

    volts = ADC(4).read_u16() * 3.3 / 65535  # an RP2040's; on an ESP32 take esp32.mcu_temperature()
    return CONTENT, b"%.1f" % (27 - (volts - 0.706) / 0.001721)


def lamp(request, _peer):
    """Return whether the lamp is on, or switch it."""
    from machine import Pin

    pin = Pin("LED", Pin.OUT)
    if request.code == GET:
        return CONTENT, b"on" if pin.value() else b"off"
    if request.payload not in (b"on", b"off"):
        return BAD_REQUEST, b"on or off"
    pin.value(request.payload == b"on")
    return CHANGED, b""


ROUTES = {"temperature": {GET: temperature}, "lamp": {GET: lamp, PUT: lamp}}


async def answer(connection):
    """Serve one client until its session ends."""
    await Coap(connection, Router(ROUTES)).closed()


async def offer(keys):
    """Serve until the network fails."""
    service = await serve(5684, PskLookup(keys.get), answer, timer_ms=1000)
    try:
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
