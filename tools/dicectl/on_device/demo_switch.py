# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The switch of the demo: sends each line that it reads on stdin to the group, and serves the state of lamps over DTLS.

keys.json has who may ask it, {identity: key in hex}.
"""

import asyncio
import gc
import json
import sys
from binascii import unhexlify

import dice
from dice.dtls.kx_psk_server import PskLookup

gc.threshold(4096)  # collect early: a small heap must not fragment


async def main():
    """Join and serve, then send until stdin ends."""
    group = await dice.join("switch.gsa")

    async def report(connection):
        async for _ in connection:
            answers = await group.ask(b"lit?", 300)
            await connection.send(b", ".join(answers.values()) + b"\n")

    with open("keys.json") as file:
        keys = {identity.encode(): unhexlify(key) for identity, key in json.load(file).items()}
    service = await dice.serve(5684, PskLookup(keys.get), report, timer_ms=1000)
    lines = asyncio.StreamReader(sys.stdin)
    print(json.dumps({"ready": True}))

    async def send():
        while True:
            line = await lines.readline()
            if not line:
                sys.exit()
            await group.send(line.strip())

    await asyncio.gather(send(), service.wait_closed())  # an exception ends the program


asyncio.run(main())
