# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How dice.aio.managed handles the manager's requests; host_tests/net/test_managed.py has the whole, over DTLS."""

import asyncio
from types import SimpleNamespace

import pytest

from dice.aio.managed import ManagedGroup
from dice.aio.wait import now
from dice.coap.message import BAD_REQUEST, CHANGED, POST, PUT
from dice.group import member
from dice.group.gsa import DERIVE_SENDER, K08, Gsa
from dice.group.gsa_encode import encode
from dice.store import replace_file
from dice.suites import PSK_AES_128_CCM_8


def gsa(epoch):
    """Return the GSA of device 1, encoded."""
    senders = [(1, epoch << 48), (2, epoch << 48)]
    key, begin = bytearray(16), epoch << 48
    fields = {"gid": b"gidx", "address": b"\xef\1\2\3", "port": 9000, "suite": PSK_AES_128_CCM_8, "layout": K08}
    fields.update({"derive": DERIVE_SENDER, "epoch": epoch, "key": key, "own_id": 1, "own_next": begin, "lifetime_s": 0})
    return bytes(encode(Gsa(budget=1000, senders=senders, fresh=True, **fields)))


class IdleNetwork:
    """A network on which no datagram arrives."""

    def Multicast(self, address, port):
        return SimpleNamespace(socket=asyncio.Event(), send=lambda _: None, receive=lambda: None, close=lambda: None)


def request(managed, code, path, payload):
    """Return the response of a route to a request of the manager."""
    return managed.routes[path][code](SimpleNamespace(payload=payload), None)


def install(managed, epoch):
    """Return the response to a GSA of this epoch, with a grace period of 60 s."""
    return request(managed, PUT, "gsa/lamps", b"\x3c" + gsa(epoch))


def activate(managed, epoch):
    """Return the response to the request to activate this epoch."""
    return request(managed, POST, "gsa/lamps/activate", epoch.to_bytes(2, "big"))


def epoch_in_use(managed):
    """Return the epoch in which the member sends."""
    managed.group.member.send(b"", now())
    return int.from_bytes(managed.group.member.transmit()[3:5], "big")


async def resumed(folder, epoch):
    """Return a ManagedGroup that is a member in an epoch."""
    path = str(folder / "lamps.gsa")
    replace_file(path, gsa(epoch))
    managed = ManagedGroup("lamps", path, IdleNetwork())
    await managed.resume()
    return managed


def test_an_epoch_that_failed_for_lack_of_memory_is_installed_when_repeated(tmp_path, monkeypatch):
    """It was stored in the first attempt; that must not be mistaken for being installed."""

    async def main():
        managed = await resumed(tmp_path, 1)

        def full(_):
            raise MemoryError

        with monkeypatch.context() as patch:
            patch.setattr(member, "Context", full)
            with pytest.raises(MemoryError):
                install(managed, 2)
        assert install(managed, 2) == (CHANGED, b"")
        assert managed.group.member.held(2)
        assert activate(managed, 2) == (CHANGED, b"")
        assert epoch_in_use(managed) == 2
        managed.leave()

    asyncio.run(main())


def test_a_delayed_activation_does_not_activate_the_next_epoch(tmp_path):
    async def main():
        managed = await resumed(tmp_path, 3)
        assert install(managed, 4) == (CHANGED, b"")
        assert activate(managed, 3) == (CHANGED, b"")
        assert epoch_in_use(managed) == 3
        assert activate(managed, 5) == (BAD_REQUEST, b"")
        for _ in range(2):  # a repeated request changes nothing
            assert activate(managed, 4) == (CHANGED, b"")
            assert epoch_in_use(managed) == 4
        managed.leave()

    asyncio.run(main())
