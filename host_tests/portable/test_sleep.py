# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Sessions that are saved and restored: no nonce is repeated, no replay accepted, no key stored in the clear."""

import os

from support import RamStore, raises

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.record_layer import RecordLayer
from dice.dtls.server import Server
from dice.dtls.session import Session
from dice.dtls.sleep import restore, restore_in_clear, save, save_in_clear
from dice.errors import DATA, StoreError, UsageError
from dice.limits import RESERVE_RECORDS
from dice.reasons import E_NOT_CONNECTED, E_STALE, E_STORE_WRITE

KEY = bytes(range(16))
SECRET = b"of this device only, of any size"


def connected(cid=b"\7", alpn=None):
    """Return (client session, server session), both connected."""
    protocols = (alpn,) if alpn else ()
    client = Session(Client(Psk(b"node", KEY), os.urandom, alpn=protocols), RecordLayer(), 0)
    server = Session(Server(PskLookup({b"node": KEY}.get), os.urandom, cid, protocols), RecordLayer(), 0)
    while not (client.connected and server.connected):
        for sender, receiver in ((client, server), (server, client)):
            datagram = sender.transmit()
            while datagram:
                receiver.receive(datagram, 0)
                datagram = sender.transmit()
    return client, server


def deliver(sender, receiver, data):
    """Send `data`; return (event, the datagram)."""
    sender.send(data, 0)
    datagram = sender.transmit()
    return receiver.receive(datagram, 0), bytes(datagram)


def number(datagram):
    return int.from_bytes(datagram[5:11], "big")


def test_a_restored_session_continues_with_the_next_number():
    client, server = connected()
    store = RamStore()
    numbers = [number(deliver(client, server, b"first")[1])]
    for _ in range(3):
        saved = save(client, store, SECRET, os.urandom)
        assert not client.connected
        client = restore(saved, store, SECRET, 0)
        event, datagram = deliver(client, server, b"woken")
        assert event == DATA and bytes(server.data) == b"woken"
        numbers.append(number(datagram))
        event, _ = deliver(server, client, b"answer")
        assert event == DATA and bytes(client.data) == b"answer"
    assert numbers == [1, 2, 3, 4], "numbers were skipped although nothing failed"


def test_a_saved_session_can_be_restored_only_once():
    client, server = connected()
    store = RamStore()
    saved = save(client, store, SECRET, os.urandom)
    restored = restore(saved, store, SECRET, 0)
    deliver(restored, server, b"on")
    raises(StoreError, E_STALE, restore, saved, store, SECRET, 0)


def test_only_the_last_save_can_be_restored():
    client, _ = connected()
    store = RamStore()
    saves = []
    for _ in range(4):
        saves.append(save(client, store, SECRET, os.urandom))
        for old in saves[:-1]:
            raises(StoreError, E_STALE, restore, old, store, SECRET, 0)
        client = restore(saves[-1], store, SECRET, 0)
    for old in saves:
        raises(StoreError, E_STALE, restore, old, store, SECRET, 0)


def test_saving_a_new_session_makes_the_old_one_stale():
    store = RamStore()
    old = save(connected()[0], store, SECRET, os.urandom)
    save(connected()[0], store, SECRET, os.urandom)
    raises(StoreError, E_STALE, restore, old, store, SECRET, 0)


def test_a_lost_store_makes_the_saved_session_stale():
    saved = save(connected()[0], RamStore(), SECRET, os.urandom)
    raises(StoreError, E_STALE, restore, saved, RamStore(), SECRET, 0)


def test_a_session_saved_before_the_store_was_lost_stays_stale():
    """Even if as many sessions have been saved since: its sequence numbers would belong to another session."""
    client, server = connected()
    used = [number(deliver(client, server, b"")[1]) for _ in range(10)]
    old = save(client, RamStore(), SECRET, os.urandom)
    store = RamStore()
    save(connected()[0], store, SECRET, os.urandom)
    raises(StoreError, E_STALE, restore, old, store, SECRET, 0)
    assert used == list(range(1, 11))


def test_two_live_sessions_under_one_name_do_not_bring_an_old_save_back():
    """One of them reserves numbers while the other one sleeps, and is refused: the store is not its own any more."""
    store = RamStore()
    (ours, theirs), (other, its_server) = connected(), connected()
    ours = restore(save(ours, store, SECRET, os.urandom), store, SECRET, 0)
    used = [number(deliver(other, its_server, b"")[1]) for _ in range(10)]
    saved = save(other, store, SECRET, os.urandom)
    for _ in range(RESERVE_RECORDS):
        deliver(ours, theirs, b"")
    raises(StoreError, E_STALE, ours.send, b"", 0)
    other = restore(saved, store, SECRET, 0)
    assert number(deliver(other, its_server, b"")[1]) == used[-1] + 1
    ours = restore(save(ours, store, SECRET, os.urandom), store, SECRET, 0)
    raises(StoreError, E_STALE, restore, saved, store, SECRET, 0)
    assert deliver(ours, theirs, b"x")[0] == DATA
    for _ in range(RESERVE_RECORDS - 1):
        deliver(other, its_server, b"")
    raises(StoreError, E_STALE, other.send, b"", 0)


def test_a_store_that_was_lost_or_put_back_while_a_session_runs_stops_it():
    for old in (True, False):
        client, server = connected()
        store = RamStore()
        client = restore(save(client, store, SECRET, os.urandom), store, SECRET, 0)
        before = dict(store.values)
        client = restore(save(client, store, SECRET, os.urandom), store, SECRET, 0)
        store.values = before if old else {}
        for _ in range(RESERVE_RECORDS):
            deliver(client, server, b"")
        raises(StoreError, E_STALE, client.send, b"", 0)


def test_a_session_cannot_be_saved_under_two_names():
    client, _ = connected()
    store = RamStore()
    saved = save(client, store, SECRET, os.urandom)
    store.values["s1"] = store.values["dtls"]
    restored = restore(saved, store, SECRET, 0)
    again = save(restored, store, SECRET, os.urandom, "s1")
    raises(StoreError, E_STALE, restore, saved, store, SECRET, 0, "s1")
    raises(StoreError, E_STALE, restore, again, store, SECRET, 0)


def test_a_session_whose_save_fails_is_at_its_end():
    """The write may have reached the store, and be the one that belongs to an older save."""
    client, _ = connected()
    store = RamStore()
    store.broken = True
    raises(StoreError, E_STORE_WRITE, save, client, store, SECRET, os.urandom)
    raises(UsageError, E_NOT_CONNECTED, client.send, b"", 0)


def test_a_peer_that_has_used_its_last_number_can_be_saved():
    for received in (1 << 47, (1 << 48) - 1):
        client, server = connected()
        server.layer.epochs[1].next, server.layer.epochs[1].end = received, 1 << 48
        _, datagram = deliver(server, client, b"last")
        store = RamStore()
        client = restore(save(client, store, SECRET, os.urandom), store, SECRET, 0)
        assert not client.receive(datagram, 0) and client.layer.dropped == {"replayed": 1}


def test_a_record_received_before_sleep_is_a_replay_after_it():
    client, server = connected()
    store = RamStore()
    _, datagram = deliver(server, client, b"open the door")
    client = restore(save(client, store, SECRET, os.urandom), store, SECRET, 0)
    assert not client.receive(datagram, 0)
    assert client.layer.dropped == {"replayed": 1}


def test_numbers_are_reserved_before_they_run_out():
    client, server = connected()
    store = RamStore()
    client = restore(save(client, store, SECRET, os.urandom), store, SECRET, 0)
    writes = store.writes
    for _ in range(RESERVE_RECORDS):
        deliver(client, server, b"")
    assert store.writes == writes
    store.broken = True
    raises(StoreError, E_STORE_WRITE, client.send, b"", 0)
    assert client.transmit() is None
    store.broken = False
    event, datagram = deliver(client, server, b"")
    assert event == DATA and store.writes == writes + 1
    assert number(datagram) < store.values["dtls"] & 0xFFFFFF


def test_a_session_is_not_restored_if_the_store_cannot_be_written():
    store = RamStore()
    saved = save(connected()[0], store, SECRET, os.urandom)
    store.broken = True
    raises(StoreError, E_STORE_WRITE, restore, saved, store, SECRET, 0)


def test_a_saved_session_contains_no_key_in_the_clear():
    client, _ = connected()
    keys = bytes(client.layer.keys)
    master = bytes(client.secrets.master)
    saved = bytes(save(client, RamStore(), SECRET, os.urandom))
    for secret in (keys[:16], keys[16:32], keys[32:36], master[:16], b"node"):
        assert secret not in saved


def test_save_in_clear_round_trips():
    client, server = connected()
    store = RamStore()
    saved = save_in_clear(client, store, "s1")
    for suite in (0, 0xFFFF):  # memory that has lost its contents
        raises(StoreError, E_STALE, restore_in_clear, saved[:2] + suite.to_bytes(2, "big") + saved[4:], store, 0, "s1")
    client = restore_in_clear(saved, store, 0, "s1")
    assert deliver(client, server, b"x")[0] == DATA


def test_a_damaged_save_or_another_secret_is_refused():
    store = RamStore()
    saved = save(connected()[0], store, SECRET, os.urandom)
    for at in (0, 15, 16, 40, len(saved) - 1):
        damaged = bytearray(saved)
        damaged[at] ^= 1
        raises(StoreError, E_STALE, restore, damaged, store, SECRET, 0)
    for size in (0, 16, 31, len(saved) - 1):
        raises(StoreError, E_STALE, restore, saved[:size], store, SECRET, 0)
    raises(StoreError, E_STALE, restore, saved, store, b"another", 0)
    restore(saved, store, SECRET, 0)


def test_only_a_connected_session_can_be_saved():
    client = Session(Client(Psk(b"node", KEY), os.urandom), RecordLayer(), 0)
    raises(UsageError, E_NOT_CONNECTED, save, client, RamStore(), SECRET, os.urandom)


def test_keys_are_overwritten_when_the_session_is_saved():
    client, _ = connected()
    block = client.layer.keys
    save(client, RamStore(), SECRET, os.urandom)
    assert bytes(block) == bytes(40)


def test_the_negotiated_protocol_is_restored():
    for alpn in (b"coap", None):
        client, _ = connected(alpn=alpn)
        assert client.alpn == alpn
        store = RamStore()
        assert restore(save(client, store, SECRET, os.urandom), store, SECRET, 0).alpn == alpn


def test_a_server_session_can_be_restored_too():
    client, server = connected()
    store = RamStore()
    server = restore(save(server, store, SECRET, os.urandom), store, SECRET, 0)
    assert server.identity == b"node"
    assert deliver(client, server, b"up")[0] == DATA
    assert deliver(server, client, b"down")[0] == DATA
