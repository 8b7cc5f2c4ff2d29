# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""aiocoap as a client over DTLS: PORT IDENTITY, the key in hex in $DICE_PSK; prints a JSON line of each response."""

import asyncio
import json
import os
import sys

import aiocoap

port, identity = sys.argv[1:]
BASE = f"coaps://127.0.0.1:{port}"


def print_response(response):
    """Print a response."""
    print(json.dumps([str(response.code), len(response.payload), response.payload[:32].decode()]), flush=True)


async def main():
    """Read, write more than fits a datagram, read it back, wait for a late response, observe."""
    context = await aiocoap.Context.create_client_context()
    psk = {"psk": {"hex": os.environ["DICE_PSK"]}, "client-identity": {"ascii": identity}}
    context.client_credentials.load_from_dict({f"{BASE}/*": {"dtls": psk}})

    async def ask(code, path, payload=b""):
        request = aiocoap.Message(code=code, uri=f"{BASE}/{path}", payload=payload)
        print_response(await asyncio.wait_for(context.request(request).response, 300))

    await ask(aiocoap.GET, "time")
    await ask(aiocoap.PUT, "shelf", b"0123456789" * 200)
    await ask(aiocoap.GET, "shelf")
    await ask(aiocoap.GET, "nowhere")
    await ask(aiocoap.GET, "slow")
    await ask(aiocoap.GET, ".well-known/core")
    watching = context.request(aiocoap.Message(code=aiocoap.GET, uri=f"{BASE}/ticker", observe=0))
    print_response(await asyncio.wait_for(watching.response, 300))
    async for response in watching.observation:
        print_response(response)
        if response.payload == b"tick 4":
            break
    await context.shutdown()


asyncio.run(main())
