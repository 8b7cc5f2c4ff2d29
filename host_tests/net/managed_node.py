# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A node of a managed group: prints a JSON line for each received message, and sends the lines of stdin; IDENTITY KEY."""

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


def report(**what):
    """Write one line."""
    print(json.dumps(what))


async def send_lines(group):
    """Send each line."""
    lines = asyncio.StreamReader(sys.stdin)
    while True:
        line = await lines.readline()
        if not line:
            sys.exit()
        await group.send(line.strip())


async def main():
    """Join, and print received messages."""
    managed = ManagedGroup("lamps", "lamps.gsa")
    connection = await dice.connect(("127.0.0.1", 5684), Psk(identity.encode(), unhexlify(key)), timer_ms=500)
    try:
        group = await managed.join(Coap(connection, Router(managed.routes)))
    except PeerError as error:
        report(error=str(error))
        return
    report(joined=True)
    task = asyncio.create_task(send_lines(group))
    async for sender, message in group:
        report(sender=sender, message=message.decode())
    task.cancel()


asyncio.run(main())
