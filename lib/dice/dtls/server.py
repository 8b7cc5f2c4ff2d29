# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The server's half of a handshake, once the cookie has come back (RFC 6347, section 4.2; RFC 7925) (row 5)."""

from .._compat import const
from ..codes import (
    ALERT_HANDSHAKE_FAILURE,
    ALERT_ILLEGAL_PARAMETER,
    ALERT_NO_APPLICATION_PROTOCOL,
    ALERT_PROTOCOL_VERSION,
    ALERT_UNEXPECTED_MESSAGE,
    DTLS_1_2,
    EMPTY_RENEGOTIATION_INFO_SCSV,
    EXTENSION_ALPN,
    EXTENSION_CONNECTION_ID,
    EXTENSION_EXTENDED_MASTER_SECRET,
    EXTENSION_MAX_FRAGMENT_LENGTH,
    EXTENSION_RECORD_SIZE_LIMIT,
    EXTENSION_RENEGOTIATION_INFO,
    EXTENSION_SERVER_NAME,
    EXTENSION_SESSION_TICKET,
    HANDSHAKE_CLIENT_HELLO,
    HANDSHAKE_CLIENT_KEY_EXCHANGE,
    HANDSHAKE_FINISHED,
    HANDSHAKE_NEW_SESSION_TICKET,
    HANDSHAKE_SERVER_HELLO,
    HANDSHAKE_SERVER_HELLO_DONE,
)
from ..errors import PeerError
from ..limits import RANDOM_BYTES, RECORD_PLAINTEXT_MAX_BYTES
from ..reasons import E_ILLEGAL, E_NO_PROTOCOL, E_NO_SUITE, E_PEER_VERSION, E_UNEXPECTED
from ..wire import Reader
from .handshake import Handshake
from .keys import Secrets, Transcript
from .server_messages import read_hello, write_hello, write_ticket

_SESSION_ID_BYTES = const(16)  # there are clients that do not offer shorter ones

_EXPECT_CLIENT_HELLO = const(0)
_EXPECT_CLIENT_KEY_EXCHANGE = const(1)
_EXPECT_FINISHED = const(2)
_EXPECT_NOTHING = const(3)


class Server(Handshake):
    """See Handshake."""

    def __init__(self, credentials, random, cid=b"", alpn=(), size_limit=None, tickets=None):
        """Serve with `credentials`, such as kx_psk_server.PskLookup.

        `cid`: what the client is to put into its records where it speaks of connection ids (bytes; b"" for nothing; None not
        to speak of them). `alpn`: protocols (bytes), the preferred first. `size_limit`: longest plaintext for us (RFC 8449),
        told to a client that tells its own. `tickets`: a resumption.Tickets and the time now, or None for a server that does
        not resume.
        """
        super().__init__(credentials, random, cid)
        self._state = _EXPECT_CLIENT_HELLO
        self._alpn = alpn
        self._size_limit = size_limit
        self._tickets = tickets
        self._transcript = Transcript()
        self._session_hash = None
        self._promised = False  # a ticket

    def read(self, kind, body, message):
        """Take the client's next message; see Handshake."""
        state = self._state
        if kind != HANDSHAKE_FINISHED:
            self._transcript.update(message)
        if kind == HANDSHAKE_CLIENT_HELLO and state == _EXPECT_CLIENT_HELLO:
            return self._read_client_hello(body)
        if kind == HANDSHAKE_CLIENT_KEY_EXCHANGE and state == _EXPECT_CLIENT_KEY_EXCHANGE:
            self.identity, premaster = self._credentials.read_key_exchange(body, self._random)
            self._session_hash = self._transcript.digest()
            self.secrets.derive_master(premaster, self._session_hash if self.extended else None)
            self._state = _EXPECT_FINISHED
        elif kind == HANDSHAKE_FINISHED and state == _EXPECT_FINISHED:
            self._read_finished(b"client", self._session_hash or self._transcript.digest(), body, message)
            self._state = _EXPECT_NOTHING
            self.connected = True
            return None if self.resumed else self._finish()
        else:
            raise PeerError(ALERT_UNEXPECTED_MESSAGE, E_UNEXPECTED)
        return None

    def _read_client_hello(self, body):
        version, random, session_id, _, suites, methods, extensions = read_hello(body)
        if version >> 8 != 0xFE or version > DTLS_1_2:
            raise PeerError(ALERT_PROTOCOL_VERSION, E_PEER_VERSION)
        if b"\0" not in methods or extensions.get(EXTENSION_RENEGOTIATION_INFO, b"\0") != b"\0":
            raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)
        reader = Reader(suites)
        offered = []
        while reader.more():
            offered.append(reader.uint(2))
        common = [suite for suite in self._credentials.suites if suite in offered]
        if not common:
            raise PeerError(ALERT_HANDSHAKE_FAILURE, E_NO_SUITE)
        self.suite = common[0]
        self.secrets = Secrets(random, self._random(RANDOM_BYTES))
        answer = self._answer_extensions(extensions)
        if EMPTY_RENEGOTIATION_INFO_SCSV in offered or EXTENSION_RENEGOTIATION_INFO in extensions:
            answer.append((EXTENSION_RENEGOTIATION_INFO, b"\0"))
        self._flight = []
        if self._resume(session_id, extensions.get(EXTENSION_SESSION_TICKET), offered):
            self._put_server_hello(session_id, answer)
            self._put_finished(b"server", self._transcript.digest())
            self._state = _EXPECT_FINISHED
            return self._flight
        if self._tickets and self.extended:
            if EXTENSION_SESSION_TICKET in extensions:
                answer.append((EXTENSION_SESSION_TICKET, b""))
                self._promised = True
            else:
                self.session_id = self._random(_SESSION_ID_BYTES)
        self._put_server_hello(self.session_id, answer)
        self._put(HANDSHAKE_SERVER_HELLO_DONE, b"")
        self._state = _EXPECT_CLIENT_KEY_EXCHANGE
        return self._flight

    def _put_server_hello(self, session_id, extensions):
        self._put(HANDSHAKE_SERVER_HELLO, write_hello(self.secrets.randoms[RANDOM_BYTES:], session_id, self.suite, extensions))

    def _answer_extensions(self, extensions):
        """Return what answers the client's extensions."""
        answer = []
        self.extended = EXTENSION_EXTENDED_MASTER_SECRET in extensions
        if self.extended:
            answer.append((EXTENSION_EXTENDED_MASTER_SECRET, b""))
        limit = extensions.get(EXTENSION_RECORD_SIZE_LIMIT)
        fragment = extensions.get(EXTENSION_MAX_FRAGMENT_LENGTH)
        if limit is not None:  # then the other one does not count (RFC 8449, section 5)
            self._limit_records(limit, False)
            answer.append((EXTENSION_RECORD_SIZE_LIMIT, (self._size_limit or RECORD_PLAINTEXT_MAX_BYTES).to_bytes(2, "big")))
        elif fragment is not None:
            self._limit_records(fragment, True)
            answer.append((EXTENSION_MAX_FRAGMENT_LENGTH, fragment))
        cid = extensions.get(EXTENSION_CONNECTION_ID)
        if cid is None or self.cid is None:
            self.cid = b""
        elif not cid or cid[0] != len(cid) - 1:
            raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)
        else:
            self.peer_cid = cid[1:]
            answer.append((EXTENSION_CONNECTION_ID, bytes((len(self.cid),)) + self.cid))
        if EXTENSION_SERVER_NAME in extensions:
            names = Reader(Reader(extensions[EXTENSION_SERVER_NAME]).vector(2))
            if names.uint(1) == 0:  # host_name (RFC 6066, section 3)
                self.server_name = names.vector(2)
        if EXTENSION_ALPN in extensions and self._alpn:
            self._choose_protocol(Reader(extensions[EXTENSION_ALPN]))
            answer.append((EXTENSION_ALPN, (len(self.alpn) + 1).to_bytes(2, "big") + bytes((len(self.alpn),)) + self.alpn))
        return answer

    def _choose_protocol(self, reader):
        names = Reader(reader.vector(2))
        offered = []
        while names.more():
            offered.append(names.vector(1))
        common = [name for name in self._alpn if name in offered]
        if not common:
            raise PeerError(ALERT_NO_APPLICATION_PROTOCOL, E_NO_PROTOCOL)
        self.alpn = common[0]

    def _resume(self, session_id, ticket, offered):
        """Take up the session that the client shows, if it is one of ours; return whether that was so."""
        if not self._tickets or not self.extended or not session_id:
            return False
        tickets, now = self._tickets
        known = tickets.read(ticket, now) if ticket else tickets.recall(session_id)
        if not known or known[0] not in offered or known[0] not in self._credentials.suites:
            return False
        self.suite, self.secrets.master, self.identity = known
        self.session_id = session_id
        self.resumed = True
        return True

    def _finish(self):
        """Return the last flight of a full handshake."""
        self._flight = []
        if self._tickets:
            tickets, now = self._tickets
            if self._promised:
                ticket = tickets.make(self.suite, self.secrets.master, self.identity, now)
                self._put(HANDSHAKE_NEW_SESSION_TICKET, write_ticket(tickets.lifetime_s, ticket))
            elif self.session_id:
                tickets.remember(self.session_id, self.suite, self.secrets.master, self.identity)
        self._put_finished(b"server", self._transcript.digest())
        return self._flight
