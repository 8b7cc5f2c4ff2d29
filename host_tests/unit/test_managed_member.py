# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What dice.aio.managed does with what the center brings; the whole, over DTLS, is in host_tests/net/test_managed.py."""

import asyncio
from types import SimpleNamespace

import pytest

from dice.aio.managed import ManagedGroup
from dice.coap.message import BAD_REQUEST, CHANGED
from dice.group import member
from dice.group.gsa import DERIVE_SENDER, K08, Gsa
from dice.group.gsa_encode import encode
from dice.store import replace_file
from dice.suites import PSK_AES_128_CCM_8


def gsa(epoch):
    """Return the bytes of a GSA of device 1."""
    senders = [(1, epoch << 48), (2, epoch << 48)]
    key, begin = bytearray(16), epoch << 48
    fields = {"gid": b"gidx", "address": b"\xef\1\2\3", "port": 9000, "suite": PSK_AES_128_CCM_8, "layout": K08}
    fields.update({"derive": DERIVE_SENDER, "epoch": epoch, "key": key, "own_id": 1, "own_next": begin, "lifetime_s": 0})
    return bytes(encode(Gsa(budget=1000, senders=senders, fresh=True, **fields)))


class Nowhere:
    """A network on which nothing happens."""

    def Multicast(self, address, port):
        return SimpleNamespace(socket=asyncio.Event(), send=lambda _: None, receive=lambda: None, close=lambda: None)


def request(payload):
    return SimpleNamespace(payload=payload)


async def resumed(folder, epoch):
    """Return a ManagedGroup that takes part in an epoch."""
    path = str(folder / "lamps.gsa")
    replace_file(path, gsa(epoch))
    managed = ManagedGroup("lamps", path, Nowhere())
    await managed.resume()
    return managed


def test_an_epoch_for_which_there_was_no_memory_is_installed_when_it_comes_again(tmp_path, monkeypatch):
    """It is kept by then, which must not be taken for being in use."""

    async def main():
        managed = await resumed(tmp_path, 1)

        def full(_):
            raise MemoryError

        with monkeypatch.context() as patch:
            patch.setattr(member, "Context", full)
            with pytest.raises(MemoryError):
                managed._install(request(b"\x3c" + gsa(2)), None)
        assert managed._install(request(b"\x3c" + gsa(2)), None) == (CHANGED, b"")
        assert managed.group.member.held(2)
        assert managed._activate(request(b"\0\2"), None) == (CHANGED, b"")
        assert managed.group.member._context.epoch == 2
        managed.leave()

    asyncio.run(main())


def test_a_late_word_to_activate_does_not_activate_the_next_epoch(tmp_path):
    async def main():
        managed = await resumed(tmp_path, 3)
        assert managed._install(request(b"\x3c" + gsa(4)), None) == (CHANGED, b"")
        assert managed._activate(request(b"\0\3"), None) == (CHANGED, b"")
        assert managed.group.member._context.epoch == 3
        assert managed._activate(request(b"\0\5"), None) == (BAD_REQUEST, b"")
        for _ in range(2):  # asked again, it is as it was
            assert managed._activate(request(b"\0\4"), None) == (CHANGED, b"")
            assert managed.group.member._context.epoch == 4
        managed.leave()

    asyncio.run(main())
