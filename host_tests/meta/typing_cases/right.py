# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Programs as users write them: a type checker finds no mistake in them. Nothing here is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dice
from dice import CHANGED, CONTENT, GET, PUT, Coap, ManagedGroup, PeerError, Psk, PskLookup, Responder, Router

if TYPE_CHECKING:
    from dice.coap.message import Message
    from dice.types import Network, Response

KEYS = {b"sensor-7": bytes(16)}
ADDRESS = ("192.0.2.7", 5684)


async def lamp() -> None:
    group = await dice.join("lamps.gsa", answering=True, reserve_records=256)
    async for sender, message in group:
        print(sender + 1, message.decode())
        await group.answer(b"yes")
    answers: dict[int, bytes] = await group.ask(b"lit?", wait_ms=500)
    print(answers, group.member.dropped)
    group.close()


async def sensor(network: Network | None = None) -> bytes | None:
    try:
        connection = await dice.connect(ADDRESS, Psk(b"sensor-7", bytes(16)), timer_ms=1000, timeout_s=20, network=network)
    except PeerError as error:
        print(error.reason + 1, error.alert)
        return None
    await connection.send(bytearray(b"18.5"))
    answer = await connection.receive()
    connection.close()
    return answer


async def serve_sensors() -> None:
    async def collect(connection: dice.Connection) -> None:
        async for message in connection:
            print(message.hex())

    service = await dice.serve(5684, PskLookup(KEYS.get), collect, sessions_max=64, cid_bytes=4)
    await service.wait_closed()


def light(request: Message, session: object) -> Response:
    if request.code == GET:
        return CONTENT, b"on"
    return CHANGED, b"", [(12, b"")]


ROUTES: dice.types.Routes = {"light": {GET: light, PUT: light}}


async def managed_node(bus: dice.SlipHost) -> None:
    managed = ManagedGroup("lamps", "lamps.gsa", bus, store=dice.FileStore("counters"))
    router = Router({**ROUTES, **managed.routes})
    manager = Coap(await dice.connect(ADDRESS, Psk(b"lamp", bytes(16)), network=bus), router, blockwise=True)
    group = await managed.join(manager)
    if group:
        responder = Responder(group, router, {b"desk": manager})
        async for sender, message in group:
            responder.respond(sender, message)
        found = await dice.request_group(group, GET, "light")
        print([response.payload.decode() for response in found.values()])
    await managed.stay(manager)
    response = await manager.request(PUT, "light", b"on")
    print(response and response.code)


async def center(state: dice.GroupState) -> None:
    kdc = dice.Kdc()
    kdc.add(dice.Manager(state, lambda state, change: None, bytes, dice.now()))
    await dice.serve(5684, PskLookup(KEYS.get), kdc.serve)
    print(kdc.connected[b"lamp"].ended)


async def sleeper(store: dice.FileStore) -> None:
    saved = dice.read_file("saved", bytes)
    if saved:
        connection = dice.attach(dice.restore(saved, store, bytes(16), dice.now()), ADDRESS)
        dice.replace_file("saved", dice.save(connection.session, store, bytes(16), bytes))
