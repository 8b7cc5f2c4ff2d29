# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Mistakes that a type checker finds, each in the line that says which kind. Nothing here is run."""

from __future__ import annotations

import dice
from dice import GET, Psk, Router

ADDRESS = ("192.0.2.7", 5684)


async def groups() -> None:
    await dice.join("lamps.gsa", answer=True)  # wrong: call-arg
    await dice.join(b"lamps.gsa")  # wrong: arg-type
    group = await dice.join("lamps.gsa", store={})  # wrong: arg-type
    await group.send("on")  # wrong: arg-type
    async for sender, message in group:
        print(sender.decode(), message)  # wrong: attr-defined
    group.asks(b"lit?")  # wrong: attr-defined
    await dice.join("lamps.gsa", network=object())  # wrong: arg-type


async def sessions() -> None:
    await dice.connect("192.0.2.7", Psk(b"a", bytes(16)))  # wrong: arg-type
    await dice.connect(ADDRESS, "password")  # wrong: arg-type
    await dice.connect(ADDRESS, Psk(b"a", bytes(16)), timer_s=1)  # wrong: call-arg
    connection = await dice.connect(ADDRESS, Psk(b"a", bytes(16)))
    await connection.send(1)  # wrong: arg-type
    message = await connection.receive()
    print(message.hex())  # wrong: union-attr
    await dice.serve(5684, Psk(b"a", bytes(16)), print)  # wrong: arg-type


async def resources(connection: dice.Connection) -> None:
    Router({"light": {GET: lambda request: (69, b"")}})  # wrong: dict-item misc
    peer = dice.Coap(connection, Router({}), block=True)  # wrong: call-arg
    response = await peer.request(GET, "light")
    print(response.payload)  # wrong: union-attr
    print(dice.Nothing)  # wrong: attr-defined
