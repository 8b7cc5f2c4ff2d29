# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The state that each nonce space rests on is missing, older or held twice, or sealing fails half way.

Here is what no other file has: test_member_replay, test_member_sender_ids and test_response have the counters of a group,
test_sleep those of a saved session, test_store and host_tests/unit/test_store_lock.py the files.
"""

import os

from dtls_pair import KEY, connected, drain, pair, settle
from support import A, B, RamStore, make_gsa, make_member, raises, seal

from dice.dtls.resumption import Tickets, unwrap, wrap
from dice.errors import LimitError, StoreError, UsageError
from dice.group.gsa import K08
from dice.group.manager import SENDER, GroupState, Manager
from dice.reasons import E_COUNTER_LOST, E_OLD_EPOCH, E_SPENT


def number(datagram):
    """Return the sequence number of a record."""
    return int.from_bytes(datagram[5:11], "big")


def test_a_sender_with_an_older_gsa_and_whatever_counters_sends_nothing():
    """It has entered epoch 2 and sent there; then it gets the GSA of epoch 1 back, and may have lost either counter."""
    for lost, error, reason in (
        ("", UsageError, E_OLD_EPOCH),
        ("t", UsageError, E_OLD_EPOCH),
        ("l", LimitError, E_SPENT),
        ("tl", StoreError, E_COUNTER_LOST),
    ):
        store = RamStore()
        sender = make_member(A, store)
        seal(sender, b"1")
        sender.install(make_gsa(own_id=A, epoch=2, key=bytearray(16)), 0)
        sender.activate(0)
        seal(sender, b"2")
        for name in list(store.values):
            if name[8] in lost:
                del store.values[name]
        raises(error, reason, lambda store=store: seal(make_member(A, store, fresh=False), b"3"))


def test_a_counter_of_an_older_epoch_is_a_missing_one():
    store = RamStore()
    seal(make_member(A, store))
    raises(StoreError, E_COUNTER_LOST, lambda: make_member(A, store, epoch=2, key=bytearray(16), fresh=False))
    assert number(seal(make_member(A, store, epoch=2, key=bytearray(16)))) == A << 40


def test_a_fresh_gsa_that_is_put_back_changes_no_counter():
    """Neither our own nor that of what was received: a backup of the file is no backup of the numbers."""
    store = RamStore()
    sender, other = make_member(A, store), make_member(B)
    last = number(seal(sender, b"1"))
    datagram = seal(other)
    sender.receive(datagram, 0)
    again = make_member(A, store)
    assert number(seal(again, b"2")) > last
    again.receive(datagram, 0)
    assert again.dropped == {"replayed": 1}


def test_a_group_manager_that_went_back_gives_other_keys_to_the_same_epoch():
    """Its registry was restored from a backup. Members that hold that epoch refuse it: epochs never go back."""
    manager = Manager(GroupState("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, K08), lambda state, change: None, os.urandom, 0)
    manager.add([b"switch"], SENDER, 0)
    backup = manager.state.copy()
    keys = set()
    for state in (manager.state, backup):
        manager = Manager(state, lambda state, change: None, os.urandom, 0)
        manager.rekey(0)
        gsa = manager.gsa(b"switch")
        assert gsa.epoch == 2
        keys.add(bytes(gsa.key))
    assert len(keys) == 2


def test_a_number_of_a_session_is_gone_whatever_fails():
    """Sealing raises, before or after it has sealed; an alert counts with the data."""
    for late in (False, True):
        client, _ = connected()
        epoch = client.layer.epochs[1]
        crypt = epoch.cipher[0]

        def failing(*arguments, crypt=crypt, late=late):
            if late:
                crypt(*arguments)
            raise MemoryError

        good = epoch.cipher
        epoch.cipher = (failing,) + good[1:]
        first = epoch.next
        for text in (b"one", b"two"):
            raises(MemoryError, None, client.send, text, 0)
        epoch.cipher = good
        client.send(b"three", 0)
        client.close()
        assert [number(datagram) for datagram in drain(client)] == [first + 2, first + 3], late


def test_a_number_of_a_group_is_gone_whatever_fails():
    sender = make_member(A)
    context = sender.held(1)
    good = context.cipher

    def failing(*arguments):
        good[0](*arguments)
        raise MemoryError

    context.cipher = (failing,) + good[1:]
    raises(MemoryError, None, sender.send, b"one", 0)
    assert sender.transmit() is None
    context.cipher = good
    assert number(seal(sender, b"two")) == (A << 40) + 1


def test_a_session_has_keys_of_its_own_if_one_of_two_random_sources_is_good():
    """A board whose random source repeats after each reset; full handshakes, and resumption by id and by ticket."""
    good, bad = os.urandom, lambda size: bytes(size)
    for client_random, server_random in ((good, bad), (bad, good)):
        keys = set()
        tickets = Tickets(os.urandom, 1 << 28, 0)
        for use_ticket in (False, True):
            resume = None
            for _ in range(3):
                client, server = pair(
                    client={"resume": resume, "tickets": use_ticket},
                    server={"tickets": (tickets, 0)},
                    randoms=(client_random, server_random),
                )
                settle(client, server)
                assert client.connected and server.connected
                keys.add(bytes(client.layer.keys))
                resume = client.resumption()
        assert len(keys) == 6


def test_a_wrapped_session_or_ticket_needs_no_good_random_source():
    """If that repeats, the key is that of the data: the same for the same data, and another one for others."""
    made = [bytes(wrap(KEY, bytes, data)) for data in (b"one", b"two", b"one", b"longer")]
    assert made[0] == made[2] and len({data[:16] for data in made}) == 3
    assert [unwrap(KEY, data) for data in made] == [b"one", b"two", b"one", b"longer"]
    assert wrap(KEY, os.urandom, b"one")[:16] != made[0][:16]
