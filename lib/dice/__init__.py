# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""DTLS In Constrained Environments: DTLS 1.2 sessions, and secured multicast groups on its record layer.

`dice.join`, `dice.connect` and `dice.serve` are all that most programs need; below them everything is sans-IO and can be used on
its own. Nothing is imported before it is called, so `import dice` costs next to no RAM.
"""

__version__ = "0.1.0"


async def join(path, store=None, transport=None, **options):
    """Join the multicast group of a GSA file; see `dice.aio.group.join`."""
    from .aio import group as aio

    return await aio.join(path, store, transport, **options)


async def connect(address, credentials, **options):
    """Connect to a DTLS server; see `dice.aio.session.connect`."""
    from .aio import session as dtls

    return await dtls.connect(address, credentials, **options)


async def serve(port, credentials, handler, **options):
    """Serve DTLS clients; see `dice.aio.session.serve`."""
    from .aio import session as dtls

    return await dtls.serve(port, credentials, handler, **options)
