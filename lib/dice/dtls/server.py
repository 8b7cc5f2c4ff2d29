# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The server's half of a handshake, from the ClientHello that returns the cookie on (RFC 6347, section 4.2; RFC 7925).

The messages that only a server reads or writes are here, so that a client does not carry them; see `messages` for their structs.
"""

from .._compat import const
from ..codes import (
    ALERT_HANDSHAKE_FAILURE,
    ALERT_ILLEGAL_PARAMETER,
    ALERT_NO_APPLICATION_PROTOCOL,
    ALERT_PROTOCOL_VERSION,
    ALERT_UNEXPECTED_MESSAGE,
    DTLS_1_0,
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
    HANDSHAKE_FINISHED,
    HANDSHAKE_NEW_SESSION_TICKET,
    HANDSHAKE_SERVER_HELLO,
    HANDSHAKE_SERVER_HELLO_DONE,
)
from ..errors import PeerError
from ..limits import RANDOM_BYTES, RECORD_PLAINTEXT_MAX_BYTES
from ..reasons import E_ILLEGAL, E_NO_PROTOCOL, E_NO_SUITE, E_PEER_VERSION, E_UNEXPECTED
from ..wire import Reader, Writer
from .handshake import Handshake, Secrets, Transcript
from .messages import read_extensions, write_extensions

_SESSION_ID_BYTES = const(16)  # some clients do not offer shorter ones

_EXPECT_CLIENT_HELLO = const(0)
_EXPECT_CLIENT_KEY_EXCHANGE = const(1)  # or another message of the key exchange
_EXPECT_FINISHED = const(2)
_EXPECT_NOTHING = const(3)


def read_hello_start(reader):
    """Return (version, random, session id, cookie, cipher suites): all that a cookie covers; a fragment may be enough."""
    return reader.uint(2), reader.take(RANDOM_BYTES), reader.vector(1), reader.vector(1), reader.vector(2)


def write_verify_request(cookie):
    """Return the body of a HelloVerifyRequest."""
    writer = Writer()
    writer.uint(DTLS_1_0, 2)  # whatever version is negotiated
    writer.vector(cookie, 1)
    return writer.data


class Server(Handshake):
    """See Handshake."""

    def __init__(self, credentials, random, cid=b"", alpn=(), size_limit=None, tickets=None):
        """Serve with `credentials`, a handshake.KeyExchange such as kx_psk_server.PskLookup.

        `cid`: the connection id that the client puts into its records if it offers connection ids (bytes; b"" for none; None not
        to use them). `alpn`: protocols (bytes), the preferred first. `size_limit`: the longest plaintext that we accept (RFC 8449),
        sent to a client that sends its own. `tickets`: (resumption.Tickets, now), or None for a server that does not resume.
        """
        super().__init__(credentials, random, cid)
        self._state = _EXPECT_CLIENT_HELLO
        self._alpn = alpn
        self._size_limit = size_limit
        self._tickets = tickets
        self._transcript = Transcript(credentials.digests)
        self._promised = False  # a ticket

    def read(self, kind, body, message):
        """Take the client's next message; see Handshake."""
        state = self._state
        if kind != HANDSHAKE_FINISHED:
            self._transcript.update(message)
        if kind == HANDSHAKE_CLIENT_HELLO and state == _EXPECT_CLIENT_HELLO:
            return self._read_client_hello(body)
        if kind == HANDSHAKE_FINISHED and state == _EXPECT_FINISHED:
            self._read_finished(b"client", self.session_hash or self._transcript.digest(), body, message)
            self._state = _EXPECT_NOTHING
            return None if self.resumed else self._finish()
        complete = self.credentials.read(self, kind, body) if state == _EXPECT_CLIENT_KEY_EXCHANGE else None
        if complete is None:
            raise PeerError(ALERT_UNEXPECTED_MESSAGE, E_UNEXPECTED)
        if self.premaster:
            self._derive_master()
        else:
            self.session_hash = None  # Finished covers more
        if complete:
            self._state = _EXPECT_FINISHED
        return None

    def _read_client_hello(self, body):
        reader = Reader(body)
        version, random, session_id, _, suites = read_hello_start(reader)
        methods = reader.vector(1)
        extensions = read_extensions(reader)
        if version >> 8 != 0xFE or version > DTLS_1_2:
            raise PeerError(ALERT_PROTOCOL_VERSION, E_PEER_VERSION)
        if b"\0" not in methods or extensions.get(EXTENSION_RENEGOTIATION_INFO, b"\0") != b"\0":
            raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)
        reader = Reader(suites)
        offered = []
        while reader.more():
            offered.append(reader.uint(2))
        common = [suite for suite in self.credentials.suites if suite in offered]
        if not common:
            raise PeerError(ALERT_HANDSHAKE_FAILURE, E_NO_SUITE)
        self.suite = common[0]
        self.secrets = Secrets(random, self.random(RANDOM_BYTES))
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
                self.session_id = self.random(_SESSION_ID_BYTES)
        self._put_server_hello(self.session_id, answer)
        self._put_all(self.credentials.flight(self))
        self._put(HANDSHAKE_SERVER_HELLO_DONE, b"")
        self._state = _EXPECT_CLIENT_KEY_EXCHANGE
        return self._flight

    def _put_server_hello(self, session_id, extensions):
        writer = Writer()
        writer.uint(DTLS_1_2, 2)
        writer.put(self.secrets.randoms[RANDOM_BYTES:])
        writer.vector(session_id, 1)
        writer.uint(self.suite, 2)
        writer.uint(0, 1)  # no compression
        write_extensions(writer, extensions)
        self._put(HANDSHAKE_SERVER_HELLO, writer.data)

    def _answer_extensions(self, extensions):
        """Return what answers the client's extensions."""
        answer = []
        self.extended = EXTENSION_EXTENDED_MASTER_SECRET in extensions
        if self.extended:
            answer.append((EXTENSION_EXTENDED_MASTER_SECRET, b""))
        limit = extensions.get(EXTENSION_RECORD_SIZE_LIMIT)
        fragment = extensions.get(EXTENSION_MAX_FRAGMENT_LENGTH)
        if limit is not None:  # the other one is ignored then (RFC 8449, section 5)
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
        for kind, write, read in self.credentials.extensions:
            if kind in extensions:
                read(self, extensions[kind])
                data = write(self)
                if data is not None:
                    answer.append((kind, data))
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
        """Resume the session that the client shows, if it is one of ours; return whether it is."""
        if not self._tickets or not self.extended or not session_id:
            return False
        tickets, now = self._tickets
        known = tickets.read(ticket, now) if ticket else tickets.recall(session_id)
        if not known:
            return False
        suite, master, identity = known
        if suite not in offered or suite not in self.credentials.suites:
            return False
        self.suite, self.secrets.master, self.identity = suite, master, identity
        self.session_id = session_id
        self.resumed = True
        return True

    def _finish(self):
        """Return the last flight of a full handshake."""
        self._flight = []
        if self._tickets:
            tickets, now = self._tickets
            if self._promised:
                writer = Writer()
                writer.uint(tickets.lifetime_s, 4)
                writer.vector(tickets.make(self.suite, self.secrets.master, self.identity, now), 2)
                self._put(HANDSHAKE_NEW_SESSION_TICKET, writer.data)
            elif self.session_id:
                tickets.remember(self.session_id, self.suite, self.secrets.master, self.identity)
        self._put_finished(b"server", self._transcript.digest())
        return self._flight
