# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A device's first contact with its manager (`dicectl provision contact`): see dice.dtls.contact and docs/protocol.md, section 17.

settings = await contact(("10.0.0.1", 5685), confirm)       async def confirm(code): show it, and return what the button says
"""

import asyncio
import json
import os

from .._compat import const
from .._typing import TYPING
from ..coap.codes import CHANGED, CONTENT, POST, SERVICE_UNAVAILABLE
from ..coap.resource import Router
from ..dtls.contact import CONTACT_NONCE_BYTES, FirstContact
from ..errors import PeerError
from ..reasons import E_NO_ANSWER, E_REFUSED
from ..store import replace_file
from .coap import Coap
from .session import connect

if TYPING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from ..types import Address, Network

_TRIES_MAX = const(300)  # 1 s apart, while the other side has not confirmed


async def _ask(manager: Coap, path: str, payload: bytes, wanted: int) -> "Any":
    response: Any = await manager.request(POST, "contact/" + path, payload)
    tries = 1
    while response is not None and response.code == SERVICE_UNAVAILABLE and tries < _TRIES_MAX:
        await asyncio.sleep(1)
        response = await manager.request(POST, "contact/" + path, payload)
        tries += 1
    if response is None:
        raise PeerError(None, E_NO_ANSWER)
    if response.code != wanted:
        raise PeerError(None, E_REFUSED)
    return response.payload


async def contact(
    address: "Address",
    confirm: "Callable[[str], Awaitable[bool]]",
    path: str = "node.json",
    *,
    timer_ms: int = 1000,
    timeout_s: float = 60,
    network: "Network | None" = None,
) -> "dict[str, Any] | None":
    """Become a device of a manager that we do not know yet; return what was written to `path`, or None if `confirm` has refused.

    * `address`: (host, port) of the manager, the port that `dicectl provision contact` names.
    * `confirm`: awaited once with a code such as "012 345", which the program shows; it returns whether a person has seen the same
      code at the manager. Return False if nobody answers.

    One call is one attempt, with a new key: call it again only if a person asks for it, because each attempt is a guess of one in a
    million for somebody in between. Nothing is stored before both sides have confirmed.

    Raises PeerError if the manager refuses, or the session fails, StoreError, and what connect() raises.
    """
    ours = FirstContact(os.urandom)
    connection = await connect(address, ours, timeout_s=timeout_s, timer_ms=timer_ms, network=network)
    manager = Coap(connection, Router({}))
    try:
        nonce = await _ask(manager, "commit", ours.commitment(), CHANGED)
        if len(nonce) != CONTACT_NONCE_BYTES:
            raise PeerError(None, E_REFUSED)
        await _ask(manager, "reveal", ours.nonce, CHANGED)
        if not await confirm(ours.code(nonce)):
            await manager.request(POST, "contact/refuse")
            return None
        settings = _file(await _ask(manager, "confirm", b"", CONTENT), ours)
        replace_file(path, json.dumps(settings).encode())
        await _ask(manager, "stored", b"", CHANGED)
        return settings
    finally:
        manager.close()


def _file(payload: bytes, ours: FirstContact) -> "dict[str, Any]":
    """Return the contents of node.json; raises PeerError if this is no configuration."""
    try:
        found = json.loads(payload)
        settings = {name: found[name] for name in ("name", "identity", "manager", "managers", "groups")}
    except (ValueError, KeyError, TypeError):
        raise PeerError(None, E_REFUSED)
    settings["private"] = ours.private.hex()
    settings["servers"] = [ours.server.hex()]
    return settings
