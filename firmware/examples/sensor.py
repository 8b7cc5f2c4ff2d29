# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A sensor that reports to a server in a DTLS session of its own.

On the board: the folder dice, this file as main.py, boot.py (brings up the network) and session.json:
{"host": "192.0.2.7", "port": 5684, "identity": "sensor-7", "key": "32 hex digits"}, a different key for each device.
"""

import asyncio
import errno
import json
import os
from binascii import unhexlify

import dice

_PERIOD_S = 600
_AGAIN_S = 20  # at most; at random, so that a house full of sensors does not call at once after a blackout
_ANSWER_S = 30


def online():
    """Return whether there is a network: without Wi-Fi, MicroPython can look a name up endlessly."""
    try:
        import network

        return network.WLAN(network.STA_IF).isconnected()
    except (ImportError, AttributeError):  # no Wi-Fi
        return True


def measure():
    """Return what to report."""
    return b"18.5"


async def report(settings):
    """Connect, report a measurement, and return the answer of the server."""
    psk = dice.Psk(settings["identity"].encode(), unhexlify(settings["key"]))
    connection = await dice.connect((settings["host"], settings["port"]), psk, timer_ms=1000)
    try:
        await connection.send(measure())
        return await asyncio.wait_for(connection.receive(), _ANSWER_S)
    finally:
        connection.close()


async def main():
    """Report every ten minutes; a report that fails is repeated soon."""
    with open("session.json") as file:
        settings = json.load(file)
    while True:
        pause_s = _PERIOD_S
        try:
            if not online():
                raise OSError(errno.ENODEV)
            print(await report(settings))
        except (dice.DiceError, OSError, MemoryError, asyncio.TimeoutError) as error:  # such as no network, or no server
            print(error)
            pause_s = _AGAIN_S * (1 + os.urandom(1)[0]) / 256
        await asyncio.sleep(pause_s)


if __name__ == "__main__":
    asyncio.run(main())
