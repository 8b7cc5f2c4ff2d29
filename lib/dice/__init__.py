# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""DTLS In Constrained Environments: secured multicast groups on the DTLS 1.2 record layer.

`dice.join` is all that most programs need; everything below it is sans-IO and can be used on its own.
Nothing is imported before it is called, so `import dice` costs next to no RAM.
"""

__version__ = "0.1.0"


async def join(path, store=None, transport=None, **options):
    """Join the multicast group of a GSA file; see `dice.aio.join`."""
    from dice import aio

    return await aio.join(path, store, transport, **options)
