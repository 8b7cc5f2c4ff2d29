# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How dice.aio.managed handles the manager's requests; host_tests/net/test_managed.py has the whole, over DTLS."""

import asyncio
from struct import unpack
from types import SimpleNamespace
from unittest import mock

import pytest

from dice.aio.managed import ManagedGroup
from dice.aio.wait import now
from dice.coap.codes import BAD_REQUEST, CHANGED, CONFLICT, CREATED, POST, PUT, SERVICE_UNAVAILABLE
from dice.errors import LimitError, PeerError, StoreError, UsageError
from dice.group import member
from dice.group.context import Context
from dice.group.gsa import DERIVE_SENDER, K08, Gsa, decode
from dice.group.gsa_encode import encode
from dice.reasons import E_COUNTER_LOST
from dice.store import replace_file
from dice.suites import PSK_AES_128_CCM_8

CLASH, ENTERED, CONFLICTS = 1, 2, 4
KEY = bytes(range(16))


def gsa(epoch, fresh=True, gid=b"gidx", lifetime_s=0, key=KEY):
    """Return the GSA of device 1, encoded."""
    senders = [(1, epoch << 48), (2, epoch << 48)]
    begin = epoch << 48
    fields = {"gid": gid, "address": b"\xef\1\2\3", "port": 9000, "suite": PSK_AES_128_CCM_8, "layout": K08}
    fields.update(
        {"derive": DERIVE_SENDER, "epoch": epoch, "key": bytearray(key), "own_id": 1, "own_next": begin, "lifetime_s": lifetime_s}
    )
    return bytes(encode(Gsa(budget=1000, senders=senders, fresh=fresh, **fields)))


class IdleNetwork:
    """A network on which no datagram arrives."""

    def Multicast(self, address, port):
        arrivals = []
        return SimpleNamespace(
            arrivals=arrivals,
            socket=asyncio.Event(),
            send=lambda _: None,
            receive=lambda: arrivals.pop(0) if arrivals else None,
            close=lambda: None,
        )


def request(managed, code, path, payload):
    """Return the response of a route to a request of the manager."""
    return managed.routes[path][code](SimpleNamespace(payload=payload), None)


def install(managed, epoch, grace_s=60, active=0, **options):
    """Return the response to a GSA of this epoch: its code, and what it reports as installed, or None."""
    body = bytes((grace_s, active)) + gsa(epoch, **options)
    return reported(request(managed, PUT, "gsa/lamps", body))


def reported(response):
    """Return (code, (epoch, next, flags, forged) or None)."""
    code, report = response
    return code, unpack(">HQBI", report) if report else None


def activate(managed, epoch):
    """Return the response to the request to activate this epoch."""
    return reported(request(managed, POST, "gsa/lamps/activate", epoch.to_bytes(2, "big")))


def epoch_in_use(managed):
    """Return the epoch in which the member sends."""
    managed.group.member.send(b"", now())
    return int.from_bytes(managed.group.member.transmit()[3:5], "big")


async def resumed(folder, epoch, lifetime_s=0):
    """Return a ManagedGroup that is a member in an epoch."""
    path = str(folder / "lamps.gsa")
    replace_file(path, gsa(epoch, lifetime_s=lifetime_s))
    managed = ManagedGroup("lamps", path, IdleNetwork())
    await managed.resume()
    return managed


def file_of(folder):
    """Return the Gsa in the file."""
    return decode((folder / "lamps.gsa").read_bytes())


def without_memory(monkeypatch, managed, epoch):
    """Deliver a GSA for which there is no memory."""

    def full(_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(member, "Context", full)
        with pytest.raises(MemoryError):
            install(managed, epoch)


def test_an_epoch_that_failed_for_lack_of_memory_is_installed_when_repeated(tmp_path, monkeypatch):
    """F18: it was stored in the first attempt; that must not be mistaken for being installed, nor reported as such.

    The manager takes a report for an acknowledgement, and its next copy is not fresh: without the number to begin with.
    """

    async def main():
        managed = await resumed(tmp_path, 1)
        without_memory(monkeypatch, managed, 2)
        assert file_of(tmp_path).epoch == 2
        assert reported((CHANGED, managed._report())) == (CHANGED, (1, 0, ENTERED, 0))
        assert install(managed, 2, fresh=False) == (CHANGED, (2, 0, 0, 0))
        assert managed.group.member.held(2)
        assert activate(managed, 2) == (CHANGED, (2, 0, ENTERED, 0))
        assert epoch_in_use(managed) == 2
        managed.leave()

    asyncio.run(main())


def test_a_delayed_activation_does_not_activate_the_next_epoch(tmp_path):
    async def main():
        managed = await resumed(tmp_path, 3)
        assert install(managed, 4) == (CHANGED, (4, 0, 0, 0))
        assert activate(managed, 3)[0] == CHANGED
        assert epoch_in_use(managed) == 3
        assert activate(managed, 5) == (BAD_REQUEST, None)
        for sent in range(2):  # a repeated request changes nothing
            assert activate(managed, 4) == (CHANGED, (4, sent, ENTERED, 0))
            assert epoch_in_use(managed) == 4
        managed.leave()

    asyncio.run(main())


def test_an_active_epoch_is_entered_when_it_arrives_and_the_previous_one_is_closed_without_grace(tmp_path):
    """F4: who had missed the expulsion granted the expelled a minute."""

    async def main():
        for grace_s, held in ((0, None), (60, 1)):
            managed = await resumed(tmp_path, 2 * grace_s + 1)
            before = managed.group.member.held(0)
            assert install(managed, 2 * grace_s + 2, grace_s, 1) == (CHANGED, (2 * grace_s + 2, 0, ENTERED, 0))
            managed.group.member.timeout(now())
            assert bool(managed.group.member.held(before.epoch)) is bool(held)
            managed.leave()

    asyncio.run(main())


def test_a_report_tells_what_was_sent_and_what_did_not_verify(tmp_path):
    async def main():
        managed = await resumed(tmp_path, 1)
        for _ in range(3):
            epoch_in_use(managed)
        sealed = record(managed, 2)
        for _ in range(5):
            managed.group.member.receive(sealed[:-1] + bytes((sealed[-1] ^ 1,)), now())
        assert reported((CHANGED, managed._report()))[1] == (1, 3, ENTERED, 5)
        clash = record(managed, 1, 9)
        managed.group.member.receive(clash, now())
        assert reported((CHANGED, managed._report()))[1] == (1, 0, CLASH | ENTERED, 5)
        managed.leave()
        assert reported((CHANGED, managed._report()))[1] == (0, 0, 0, 0)

    asyncio.run(main())


def record(managed, sender_id, sequence=0):
    """Return a record of another device with this SenderID."""
    other = Context(decode(gsa(managed.group.member.held(0).epoch)))
    other.own_id = sender_id
    return bytes(other.seal(sequence, b"x"))


@pytest.mark.parametrize("how", ["activate", "active", "record", "lifetime"])
def test_the_file_is_not_fresh_any_more_once_its_epoch_is_in_use(tmp_path, how):
    """F11: until the next restart it told old numbers as news: once counters were lost, nonces repeated, replays were obeyed."""

    async def main():
        managed = await resumed(tmp_path, 1, 1 if how == "lifetime" else 0)
        install(managed, 2, active=how == "active")
        await asyncio.sleep(0.01)
        assert file_of(tmp_path).fresh is (how != "active"), "needed after a restart"
        if how == "activate":
            activate(managed, 2)
            assert not file_of(tmp_path).fresh, "the application could send before"
        elif how == "record":
            other = Context(decode(gsa(2)))
            other.own_id = 2
            managed.group._transport.arrivals.append(bytes(other.seal(0, b"x")))
            managed.group._transport.socket.set()
        elif how == "lifetime":
            await asyncio.sleep(1.1)
        await asyncio.sleep(0.01)
        assert managed.group.member.held(0).epoch == 2 and not file_of(tmp_path).fresh
        for _ in range(3):
            epoch_in_use(managed)
        managed.leave()
        for counter in tmp_path.glob("*t0001"):
            counter.unlink()
        with pytest.raises(StoreError, match=f"E{E_COUNTER_LOST}"):
            await ManagedGroup("lamps", str(tmp_path / "lamps.gsa"), IdleNetwork()).resume()

    asyncio.run(main())


def test_a_gsa_of_another_group_id_replaces_the_group(tmp_path):
    """It follows epoch 65,535; its counters are others, and a restart at any time finds one of the two."""

    async def main():
        managed = await resumed(tmp_path, 65535)
        first = managed.group
        assert install(managed, 1, gid=b"next") == (CHANGED, (0, 0, 0, 0))
        assert managed.group is None and isinstance(first.ended, UsageError)
        assert file_of(tmp_path).gid == b"next"
        await managed.resume()
        assert epoch_in_use(managed) == 1 and managed.group is not first
        managed.leave()

    asyncio.run(main())


def test_a_group_that_has_ended_is_replaced_by_that_of_the_file(tmp_path):
    """F15: resume() returned the dead group."""

    async def main():
        managed = await resumed(tmp_path, 1, lifetime_s=1)
        first = managed.group
        while first.ended is None:
            await asyncio.sleep(0.1)
        assert isinstance(first.ended, LimitError)
        assert install(managed, 2) == (CHANGED, (0, 0, 0, 0)), "stored, and not installed"
        session = SimpleNamespace(ended=False, closed=asyncio.Event().wait)
        with pytest.raises(UsageError):
            await stay_for_one_look(managed, session)
        assert (await managed.resume()) is not first and epoch_in_use(managed) == 2
        managed.leave()

    asyncio.run(main())


async def stay_for_one_look(managed, session):
    """Call stay() without the time between two looks."""
    with mock.patch("dice.aio.managed.MANAGED_POLL_S", 0):
        await managed.stay(session)


def test_d3_an_older_epoch_is_refused_with_a_report(tmp_path):
    """The manager's registry was restored from a backup. It got 2.04 Changed."""

    async def main():
        managed = await resumed(tmp_path, 4)
        assert install(managed, 2) == (CONFLICT, (4, 0, ENTERED, 0))
        assert file_of(tmp_path).epoch == 4 and epoch_in_use(managed) == 4
        assert managed._report()[10] == ENTERED, "a late request of the right manager looks the same, and is no conflict"
        managed.leave()

    asyncio.run(main())


def test_d3_the_same_epoch_with_another_key_is_refused_and_reported_until_one_comes_that_is_newer(tmp_path):
    """A registry that was restored gave the number anew: its keys are others, and the expelled may have ours."""

    async def main():
        managed = await resumed(tmp_path, 3)
        assert install(managed, 3) == (CHANGED, (3, 0, ENTERED, 0)), "a repetition"
        assert install(managed, 3, active=1, key=bytes(16)) == (CONFLICT, (3, 0, ENTERED | CONFLICTS, 0))
        assert file_of(tmp_path).key == KEY and managed._report()[10] == ENTERED | CONFLICTS
        assert activate(managed, 3) == (CHANGED, (3, 0, ENTERED | CONFLICTS, 0))
        assert install(managed, 4, active=1, key=bytes(16)) == (CHANGED, (4, 0, ENTERED, 0))
        managed.leave()

    asyncio.run(main())


def test_a_damaged_file_is_replaced_by_what_the_manager_has(tmp_path):
    """The node stayed out of service: it refused each GSA, because it could not compare it with the file."""

    async def main():
        managed = await resumed(tmp_path, 1)
        install(managed, 2)
        path = tmp_path / "lamps.gsa"
        path.write_bytes(path.read_bytes()[:40])
        managed.group.activate()
        managed._note_entered()  # it costs no message
        assert install(managed, 3, active=1) == (CHANGED, (3, 0, ENTERED, 0)) and file_of(tmp_path).epoch == 3
        managed.leave()
        path.write_bytes(b"")
        managed = ManagedGroup("lamps", str(path), IdleNetwork())
        assert install(managed, 3, fresh=False)[0] == CHANGED
        await managed.resume()
        assert epoch_in_use(managed) == 3
        managed.leave()

    asyncio.run(main())


@pytest.mark.parametrize("busy", [0, 3, 100])
def test_a_member_asks_again_while_the_manager_waits_for_a_sender(tmp_path, monkeypatch, busy):
    answers = [(SERVICE_UNAVAILABLE, b"")] * busy + [(CREATED, bytes((60, 1)) + gsa(1))]
    asked = []

    async def answer(code, path, payload=b""):
        asked.append(path)
        return (
            SimpleNamespace(code=answers[0][0], payload=answers.pop(0)[1])
            if path == "ace-group/lamps"
            else SimpleNamespace(payload=b"")
        )

    async def main():
        managed = ManagedGroup("lamps", str(tmp_path / "lamps.gsa"), IdleNetwork())
        if busy == 100:
            with pytest.raises(PeerError):
                await managed.join(SimpleNamespace(request=answer))
            assert len(asked) < 20
        else:
            assert await managed.join(SimpleNamespace(request=answer))
            assert len(asked) == busy + 2  # and its report
            managed.leave()

    monkeypatch.setattr(asyncio, "sleep", lambda s, _sleep=asyncio.sleep: _sleep(0) if 1 <= s <= 2 else _sleep(s))
    asyncio.run(main())
