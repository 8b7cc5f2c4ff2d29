# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A server for the reports of sensors, on a board or on a computer; keys.json has {identity: key in hex} of all sensors."""

import asyncio
import json
from binascii import unhexlify

import dice

_PORT = 5684
_AGAIN_S = 2


async def collect(connection):
    """Print and acknowledge what a sensor reports, until its session ends."""
    async for message in connection:
        print(connection.session.identity, message)
        await connection.send(b"thanks")


async def serve(keys):
    """Serve until the network fails."""
    service = await dice.serve(_PORT, dice.PskLookup(keys.get), collect, timer_ms=1000)
    try:
        await service.wait_closed()
    finally:
        service.close()


async def main():
    """Serve all sensors that have a key in keys.json; without a network, try again until there is one."""
    with open("keys.json") as file:
        keys = {identity.encode(): unhexlify(key) for identity, key in json.load(file).items()}
    while True:
        try:
            await serve(keys)
        except (dice.DiceError, OSError, MemoryError) as error:
            print(error)
        await asyncio.sleep(_AGAIN_S)


if __name__ == "__main__":
    asyncio.run(main())
