# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Handshakes over networks that lose, double and swap datagrams, in virtual time: they succeed, and never on one side alone.

But for this, which no protocol can help (two generals): the last flight may be lost as often as it is sent. Whose it is, the
server in a full handshake, the client in a resumption, is connected; the other gives up, and says so in a protected close_notify.
Only where that is lost too, one side stays connected alone. It notices when it asks the other something.
"""

from lossy_network import NAME, Network

from dice._compat import MICROPYTHON
from dice.dtls.resumption import Tickets

SEEDS = 1 if MICROPYTHON else 12
MTUS = (1232, 256, 128)
BUDGET_MS = 363_000  # 1 + 2 + ... + 32 + 60 + 60 + 60 + 60 + 60 s of one flight
ID, TICKET = False, True


def full(*arguments):
    return Network(*arguments, server_name=NAME).run()


def with_ids(*arguments):
    network = Network(*arguments, cid=b"\7\7", server_name=NAME).run()
    assert network.client.layer.peer_cid or not network.connected[0]
    return network


def resumption(use_ticket, cid=None):
    """Return a function that resumes a session, by id or by ticket."""

    def run(*arguments):
        tickets = Tickets(lambda count: bytes(range(count)), 1 << 28, 0)
        before = Network(0, 0, server_tickets=tickets, tickets=use_ticket).run()
        network = Network(*arguments, server_tickets=tickets, resume=before.client.resumption(), cid=cid)
        network.run()
        assert network.client.resumed or not network.connected[0]
        return network

    return run


def all_of(way, loss):
    """Yield (what it is, Network at its end) of each handshake with a loss."""
    for mtu in MTUS:
        for reorder in (False, True):
            for duplicate in (False, True):
                for seed in range(SEEDS):
                    what = (seed + 1000 * mtu, loss, reorder, duplicate, mtu)
                    yield what, way(*what)


def ends_well(way):
    """Up to a third is lost: both are connected, in time."""
    for loss in (0, 30) if MICROPYTHON else (0, 10, 20, 30):
        for what, network in all_of(way, loss):
            assert network.connected == [True, True] and network.ended == [False, False], what
            reorder = what[2]  # a server without state drops what does not begin a hello: then it takes a second one
            assert network.ms <= (BUDGET_MS if loss else 1000 + 1000 * reorder), (what, network.ms)


def ends_alike(way, last):
    """Half is lost: most are connected, and where not, nobody is, but for a few of `last`, the side whose flight is the last."""
    failed = alone = 0
    for what, network in all_of(way, 50):
        assert network.ended[0] or network.connected[0], what
        assert not network.server.half_open, what
        assert network.connected[last] or not network.connected[1 - last], what
        alone += network.connected[last] and not network.connected[1 - last]
        failed += not all(network.connected)
    assert failed <= SEEDS and alone <= (SEEDS + 1) // 2, (failed, alone)


def test_full_handshakes():
    ends_well(full)


def test_full_handshakes_where_half_is_lost():
    ends_alike(full, 1)


def test_connection_ids():
    ends_well(with_ids)


def test_connection_ids_where_half_is_lost():
    ends_alike(with_ids, 1)


def test_resumption_by_id():
    ends_well(resumption(ID))


def test_resumption_by_ticket_with_connection_ids():
    ends_well(resumption(TICKET, b"\7\7"))


def test_resumption_where_half_is_lost():
    ends_alike(resumption(ID), 0)
    ends_alike(resumption(TICKET), 0)


def test_the_least_that_it_takes():
    network = Network(1, 0).run()
    assert (network.datagrams, network.ms) == (6, 120)
    assert network.bytes <= 480
    assert resumption(ID)(1, 0).datagrams == 5
    assert [full(1, 0, False, False, mtu).datagrams for mtu in MTUS] == [6, 8, 10], "smaller datagrams are more of them"
