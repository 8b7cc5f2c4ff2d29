# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A server that takes what sensors report, on a board or on a computer; keys.json has {identity: key in hex} of all of them."""

import asyncio
import json
from binascii import unhexlify

import dice
from dice.dtls.kx_psk_server import PskLookup

_PORT = 5684


async def collect(connection):
    """Take what a sensor tells, for as long as it stays."""
    async for message in connection:
        print(connection.session.identity, message)
        await connection.send(b"thanks")


async def main():
    """Serve all sensors whose keys are known."""
    with open("keys.json") as file:
        keys = {identity.encode(): unhexlify(key) for identity, key in json.load(file).items()}
    service = await dice.serve(_PORT, PskLookup(keys.get), collect, timer_ms=1000)
    await service.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
