# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A sensor that reports to a server in a DTLS session of its own.

On the board: the folder dice, this file as main.py, boot.py (brings up the network) and session.json:
{"host": "192.0.2.7", "port": 5684, "identity": "sensor-7", "key": "32 hex digits"}, a different key for each device.
"""

import asyncio
import json
from binascii import unhexlify

import dice

_ANSWER_S = 30


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
    """Report every ten minutes."""
    with open("session.json") as file:
        settings = json.load(file)
    while True:
        try:
            print(await report(settings))
        except (dice.DiceError, OSError, MemoryError, asyncio.TimeoutError) as error:  # the next report may get through
            print(error)
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main())
