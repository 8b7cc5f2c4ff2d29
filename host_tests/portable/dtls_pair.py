# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A DTLS client and a DTLS server that exchange datagrams through a list, for the portable tests of sessions."""

import os

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.record_layer import RecordLayer
from dice.dtls.server import Server
from dice.dtls.session import Session
from dice.errors import NONE

KEY = bytes(range(16))
IDENTITY = b"node"


def pair(client=None, server=None, key=KEY, mtu=1232, psk=None, lookup=None, randoms=(os.urandom, os.urandom)):
    """Return (client session, server session); neither has sent anything. `client` and `server` are options of the roles.

    `psk` and `lookup` are the credentials of client and server, by default those of IDENTITY with `key` and with KEY.
    `randoms` are the random sources of both.
    """
    ours = Session(Client(psk or Psk(IDENTITY, key), randoms[0], **(client or {})), RecordLayer(), 0, mtu=mtu)
    theirs = Session(Server(lookup or PskLookup({IDENTITY: KEY}.get), randoms[1], **(server or {})), RecordLayer(), 0, mtu=mtu)
    return ours, theirs


def drain(session):
    """Return all datagrams that a session has to transmit."""
    found = []
    datagram = session.transmit()
    while datagram:
        found.append(bytes(datagram))
        datagram = session.transmit()
    return found


def give(session, datagrams, now=0):
    """Pass datagrams to a session; return its events. A DATA event is returned as its data."""
    events = []
    for datagram in datagrams:
        event = session.receive(datagram, now)
        while event != NONE:
            events.append(bytes(session.data) if session.data is not None else event)
            event = session.receive(b"", now)
    return events


def settle(ours, theirs, now=0):
    """Exchange datagrams until neither side has one to transmit; return the events of each side."""
    events = [], []
    for _ in range(20):
        events[1].extend(give(theirs, drain(ours), now))
        back = drain(theirs)
        events[0].extend(give(ours, back, now))
        if not back:
            break
    return events


def connected(**options):
    """Return (client session, server session), both connected."""
    ours, theirs = pair(**options)
    settle(ours, theirs)
    assert ours.connected and theirs.connected
    return ours, theirs
