# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Cookies of HelloVerifyRequests, and hellos that get none."""

from dtls_pair import IDENTITY, KEY, drain
from lossy_network import SeededRandom

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Cookies
from dice.dtls.session import Session
from dice.limits import COOKIE_PERIOD_MS

RANDOM = SeededRandom(3)  # os.urandom of the emulated board always returns the same bytes


def test_a_cookie_outlives_the_next_change_of_secrets():
    cookies = Cookies(RANDOM, COOKIE_PERIOD_MS, 0)
    start = [0, bytes(32), b"", b"", b""]
    start[3] = cookies.make(b"a", start, COOKIE_PERIOD_MS + 1)
    assert cookies.verify(b"a", start, 2 * COOKIE_PERIOD_MS + 1)
    assert not cookies.verify(b"a", start, 3 * COOKIE_PERIOD_MS + 1)


def test_a_later_fragment_of_a_hello_is_ignored():
    server = Listener(PskLookup({}.get), RANDOM, 0, lambda address: address)
    hello = drain(Session(Client(Psk(IDENTITY, KEY), RANDOM), RecordLayer(), 0))[0]
    server.receive(hello[:19] + b"\0\0\1" + hello[22:], b"a", 0)  # not from its beginning
    assert server.transmit() is None and not server.half_open
    server.receive(hello, b"a", 0)
    assert server.transmit()
