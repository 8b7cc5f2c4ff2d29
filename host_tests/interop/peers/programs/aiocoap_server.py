# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""aiocoap as a server over UDP: PORT. Prints "ready".

`changes/...` begin a new version with each of their first CHANGES blocks, so that blocks of two versions follow each other. `log`
has a body for each query. `shelf` stores what is put there.
"""

import asyncio
import sys

import aiocoap
from aiocoap import resource

CHANGES = {"once": 1, "twice": 3, "always": 1 << 30}


class Changing(resource.Resource):
    """Each block is cut from what the resource is at that moment."""

    def __init__(self, changes):
        super().__init__()
        self.changes = changes
        self.version = 0

    async def needs_blockwise_assembly(self, request):
        """Let render_get see each block."""
        return False

    async def render_get(self, request):
        """Return a block of the current version, and begin the next one."""
        body = b"%d" % (self.version % 10) * 1200
        whole = aiocoap.Message(code=aiocoap.CONTENT, payload=body)
        asked = request.opt.block2
        block = whole._extract_block(asked.block_number if asked else 0, asked.size_exponent if asked else 6, 0)
        block.opt.etag = b"v%d" % self.version
        if self.version < self.changes:
            self.version += 1
        return block


class Log(resource.Resource):
    """A body of its own for each query."""

    async def render_get(self, request):
        """Return it; aiocoap splits it."""
        response = aiocoap.Message(payload=("&".join(request.opt.uri_query).encode() + b";") * 300)
        resource.hashing_etag(request, response)
        return response


class Shelf(resource.Resource):
    """Stores a body."""

    body = b""

    async def render_put(self, request):
        """Store it; aiocoap has joined its blocks."""
        self.body = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)

    async def render_get(self, request):
        """Return it."""
        return aiocoap.Message(payload=self.body)


async def main():
    """Serve until killed."""
    site = resource.Site()
    for name, changes in CHANGES.items():
        site.add_resource(["changes", name], Changing(changes))
    site.add_resource(["log"], Log())
    site.add_resource(["shelf"], Shelf())
    await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", int(sys.argv[1])), transports=["simplesocketserver"])
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run(main())
