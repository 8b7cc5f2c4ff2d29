# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A client and a server with raw public keys, and what they say to each other, for the portable tests of ECDHE_ECDSA."""

import os

from dtls_pair import drain, give, pair
from lossy_network import SeededRandom
from test_states import message, outcome, plaintext

from dice._compat import MICROPYTHON
from dice.dtls.kx_rpk import RawPublicKey
from dice.dtls.kx_rpk_server import RawPublicKeyServer

OURS = bytes(range(1, 33))  # the private key of the client
THEIRS = bytes(range(101, 133))  # that of the server


def no_one(identity):
    """Know no client."""


def anybody(identity):
    """Know each client."""
    return True


def randoms():
    """Return the random sources of both sides: on MicroPython the same each time."""
    return (SeededRandom(1), SeededRandom(2)) if MICROPYTHON else (os.urandom, os.urandom)


class Ends:
    """Two credentials and the sessions of one handshake, which is the same each time on MicroPython (see remembered_curve)."""

    def __init__(self, asks=True, client=None, server=None, roles=(None, None), private=OURS):
        self.lookup = server or RawPublicKeyServer(THEIRS, anybody if asks else None)
        self.psk = client or RawPublicKey(private, [self.lookup.point])
        options = {"cid": None}
        options.update(roles[0] or {})
        self.client, self.server = pair(client=options, server=roles[1], psk=self.psk, lookup=self.lookup, randoms=randoms())

    def messages(self, role):
        """Return the records of plaintext messages that a role receives in a handshake that succeeds, one message each."""
        to_client, to_server = [], []
        for _ in range(3):
            out = drain(self.client)
            to_server += plaintext(out)
            give(self.server, out)
            out = drain(self.server)
            to_client += plaintext(out)
            give(self.client, out)
        return to_client if role == "client" else to_server


def in_state(role, count, **options):
    """Return a session that has received the first `count` messages, and nothing else; and the session of the other side."""
    ends = Ends(**options)
    session, peer = (ends.client, ends.server) if role == "client" else (ends.server, ends.client)
    left = count
    for _ in range(3):
        for record in plaintext(drain(peer)):
            if left:
                give(session, [record])
                left -= 1
        if not left:
            break
        give(peer, drain(session))
    return session, peer


def alert_of(session, kind, body):
    """Return the alert that a message causes which is due by its number, or None."""
    return outcome(session, message(kind, body, session._reassembly.next))
