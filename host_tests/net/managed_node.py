# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A node whose group is managed: tells what it hears a JSON line at a time, and sends what it reads on stdin; IDENTITY KEY."""

import asyncio
import json
import sys
from binascii import unhexlify

import dice
from dice.aio.coap import Coap
from dice.aio.managed import ManagedGroup
from dice.coap.resource import Router
from dice.dtls.kx_psk import Psk
from dice.errors import PeerError

identity, key = sys.argv[1:]


def tell(**what):
    """Write one line."""
    print(json.dumps(what))


async def talk(group):
    """Send each line."""
    lines = asyncio.StreamReader(sys.stdin)
    while True:
        line = await lines.readline()
        if not line:
            sys.exit()
        await group.send(line.strip())


async def main():
    """Join, and hear."""
    managed = ManagedGroup("lamps", "lamps.gsa")
    connection = await dice.connect(("127.0.0.1", 5684), Psk(identity.encode(), unhexlify(key)), timer_ms=500)
    try:
        group = await managed.join(Coap(connection, Router(managed.routes)))
    except PeerError as error:
        tell(error=str(error))
        return
    tell(joined=True)
    task = asyncio.create_task(talk(group))
    async for sender, message in group:
        tell(sender=sender, message=message.decode())
    task.cancel()


asyncio.run(main())
