# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""aiocoap as a member of a managed group: PORT IDENTITY, the key in hex in $DICE_PSK. Prints a JSON line for each response."""

import asyncio
import json
import os
import sys

import aiocoap

port, identity = sys.argv[1:]
BASE = f"coaps://127.0.0.1:{port}"


async def main():
    """Read the number of a group and join it; then try a group without membership, and an unknown one."""
    context = await aiocoap.Context.create_client_context()
    psk = {"psk": {"hex": os.environ["DICE_PSK"]}, "client-identity": {"ascii": identity}}
    context.client_credentials.load_from_dict({f"{BASE}/*": {"dtls": psk}})
    for code, path in ((aiocoap.GET, "lamps/num"), (aiocoap.POST, "lamps"), (aiocoap.POST, "fans"), (aiocoap.GET, "cellar/num")):
        request = aiocoap.Message(code=code, uri=f"{BASE}/ace-group/{path}")
        response = await asyncio.wait_for(context.request(request).response, 300)
        print(json.dumps([str(response.code), response.payload.hex()]), flush=True)
    await context.shutdown()


asyncio.run(main())
