# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A DTLS client and a server whose network is a list, for the portable tests of sessions."""

import os

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.server import Server
from dice.dtls.session import Session
from dice.errors import NONE

KEY = bytes(range(16))
IDENTITY = b"node"


def pair(client=None, server=None, key=KEY, mtu=1232):
    """Return a client's session and a server's, neither of which has sent anything; `client`, `server`: options of the roles."""
    ours = Session(Client(Psk(IDENTITY, key), os.urandom, **(client or {})), 0, mtu=mtu)
    theirs = Session(Server(PskLookup({IDENTITY: KEY}.get), os.urandom, **(server or {})), 0, mtu=mtu)
    return ours, theirs


def drain(session):
    """Return all datagrams that a session has to send."""
    found = []
    datagram = session.transmit()
    while datagram:
        found.append(bytes(datagram))
        datagram = session.transmit()
    return found


def give(session, datagrams, now=0):
    """Let a session take datagrams; return [event, ...], and the data in the place of DATA."""
    events = []
    for datagram in datagrams:
        event = session.receive(datagram, now)
        while event != NONE:
            events.append(bytes(session.data) if session.data is not None else event)
            event = session.receive(b"", now)
    return events


def settle(ours, theirs, now=0):
    """Carry datagrams to and fro until there are none; return the events of each."""
    events = [], []
    for _ in range(20):
        events[1].extend(give(theirs, drain(ours), now))
        back = drain(theirs)
        events[0].extend(give(ours, back, now))
        if not back:
            break
    return events


def connected(**options):
    """Return a client's and a server's session, connected."""
    ours, theirs = pair(**options)
    settle(ours, theirs)
    assert ours.connected and theirs.connected
    return ours, theirs
