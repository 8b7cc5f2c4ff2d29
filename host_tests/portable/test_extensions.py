# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Hello extensions: the values that each role accepts, and those that it refuses."""

import os

from support import raises

from dice.codes import (
    EXTENSION_ALPN,
    EXTENSION_CONNECTION_ID,
    EXTENSION_MAX_FRAGMENT_LENGTH,
    EXTENSION_RECORD_SIZE_LIMIT,
    EXTENSION_RENEGOTIATION_INFO,
)
from dice.dtls.client import Client
from dice.dtls.extensions import SERVER_HELLO, read_all, write_all
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.messages import read_extensions
from dice.dtls.server import Server
from dice.errors import FormatError, PeerError
from dice.limits import RECORD_PLAINTEXT_MAX_BYTES
from dice.reasons import E_ILLEGAL, E_REPEATED
from dice.wire import Reader


def server(**options):
    return Server(PskLookup({}.get), os.urandom, b"\7", **options)


def client(**options):
    return Client(Psk(b"node", bytes(16)), os.urandom, **options)


def after(role, extensions):
    """Return a role that has read the extensions, {type: data}."""
    read_all(role, extensions)
    return role


def refuses(make, kind, *wrong):
    for data in wrong:
        raises(PeerError, E_ILLEGAL, read_all, make(), {kind: data})


def test_the_server_accepts_a_max_fragment_length_from_1_to_4():
    for code in (1, 2, 3, 4):
        role = after(server(), {EXTENSION_MAX_FRAGMENT_LENGTH: bytes((code,))})
        assert role.record_max == min(256 << code, RECORD_PLAINTEXT_MAX_BYTES)
        assert (EXTENSION_MAX_FRAGMENT_LENGTH, bytes((code,))) in write_all(role, SERVER_HELLO)
    refuses(server, EXTENSION_MAX_FRAGMENT_LENGTH, b"", b"\0", b"\5", b"\1\1", b"\0\1")


def test_the_client_accepts_only_the_max_fragment_length_that_it_requested():
    assert after(client(fragment_code=1), {EXTENSION_MAX_FRAGMENT_LENGTH: b"\1"}).record_max == 512
    refuses(lambda: client(fragment_code=1), EXTENSION_MAX_FRAGMENT_LENGTH, b"\2", b"\0", b"", b"\1\1", b"\0\1")


def test_a_record_size_limit_has_two_bytes_and_is_at_least_64():
    for make in (server, client):
        assert after(make(), {EXTENSION_RECORD_SIZE_LIMIT: b"\0\x40"}).record_max == 64
        assert after(make(), {EXTENSION_RECORD_SIZE_LIMIT: b"\xff\xff"}).record_max == RECORD_PLAINTEXT_MAX_BYTES
        refuses(make, EXTENSION_RECORD_SIZE_LIMIT, b"", b"\x40", b"\0\x3f", b"\0\0\x40")


def test_a_server_ignores_a_max_fragment_length_beside_a_record_size_limit_and_a_client_refuses_both():
    both = {EXTENSION_MAX_FRAGMENT_LENGTH: b"\1", EXTENSION_RECORD_SIZE_LIMIT: b"\3\0"}
    role = after(server(), both)
    assert role.record_max == 768
    assert [kind for kind, _ in write_all(role, SERVER_HELLO) if kind in both] == [EXTENSION_RECORD_SIZE_LIMIT]
    raises(PeerError, E_ILLEGAL, read_all, client(fragment_code=1), both)


def test_the_length_of_a_connection_id_must_fit():
    for make in (server, client):
        assert after(make(), {EXTENSION_CONNECTION_ID: b"\2ab"}).peer_cid == b"ab"
        assert after(make(), {EXTENSION_CONNECTION_ID: b"\0"}).peer_cid == b""
        refuses(make, EXTENSION_CONNECTION_ID, b"", b"\1", b"\0a", b"\2a", b"\1ab")


def test_without_the_extension_of_the_peer_there_are_no_connection_ids():
    role = after(server(), {})
    assert role.cid is None and not write_all(role, SERVER_HELLO)


def test_the_client_accepts_exactly_one_of_the_protocols_that_it_offered():
    def make():
        return client(alpn=(b"coap", b"mqtt"))

    assert after(make(), {EXTENSION_ALPN: b"\0\5\4mqtt"}).alpn == b"mqtt"
    refuses(make, EXTENSION_ALPN, b"\0\5\4http", b"\0\6\4mqtt", b"\0\5\5mqtt", b"\1\5\4mqtt", b"\0\5\4mqtt\0", b"\0\0", b"")


def test_a_server_confirms_secure_renegotiation_to_a_client_that_asks():
    role = after(server(), {EXTENSION_RENEGOTIATION_INFO: b"\0"})
    assert write_all(role, SERVER_HELLO) == [(EXTENSION_RENEGOTIATION_INFO, b"\0")]


def test_a_repeated_extension_is_refused():
    one = b"\xff\1\0\1\0"
    assert read_extensions(Reader(b"\0\5" + one)) == {EXTENSION_RENEGOTIATION_INFO: b"\0"}
    raises(FormatError, E_REPEATED, read_extensions, Reader(b"\0\12" + one + one))
