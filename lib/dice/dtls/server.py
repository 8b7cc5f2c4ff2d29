# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The server's half of a handshake, from the ClientHello that returns the cookie on (RFC 6347, section 4.2; RFC 7925).

The messages that only a server reads or writes are here, so that a client does not carry them; see `messages` for their structs.
"""

from .._compat import const, ticks_diff
from ..codes import (
    ALERT_DECRYPT_ERROR,
    ALERT_HANDSHAKE_FAILURE,
    ALERT_ILLEGAL_PARAMETER,
    ALERT_NO_APPLICATION_PROTOCOL,
    ALERT_PROTOCOL_VERSION,
    ALERT_UNEXPECTED_MESSAGE,
    DTLS_1_0,
    DTLS_1_2,
    EMPTY_RENEGOTIATION_INFO_SCSV,
    EXTENSION_RECORD_SIZE_LIMIT,
    EXTENSION_RENEGOTIATION_INFO,
    EXTENSION_SESSION_TICKET,
    HANDSHAKE_CLIENT_HELLO,
    HANDSHAKE_FINISHED,
    HANDSHAKE_HELLO_VERIFY_REQUEST,
    HANDSHAKE_NEW_SESSION_TICKET,
    HANDSHAKE_SERVER_HELLO,
    HANDSHAKE_SERVER_HELLO_DONE,
)
from ..errors import PeerError
from ..limits import RANDOM_BYTES, RECORD_SIZE_LIMIT_BYTES, REPEAT_MIN_MS, REPEATS_MAX
from ..reasons import E_FINISHED, E_ILLEGAL, E_NO_PROTOCOL, E_NO_SUITE, E_PEER_VERSION, E_UNEXPECTED
from ..wire import Reader, Writer
from .extensions import SERVER_HELLO, read_all, write_all
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


def write_verify_request(cookie, message_seq):
    """Return a HelloVerifyRequest with its header."""
    body = DTLS_1_0.to_bytes(2, "big") + bytes((len(cookie),)) + cookie  # whatever version is negotiated
    length = len(body).to_bytes(3, "big")
    return bytes((HANDSHAKE_HELLO_VERIFY_REQUEST,)) + length + message_seq.to_bytes(2, "big") + bytes(3) + length + body


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
        self.protocols = alpn
        self.size_limit = size_limit or RECORD_SIZE_LIMIT_BYTES
        self._tickets = tickets
        self.suites = ()  # that both sides know, the preferred first
        self.credential = None  # what the client proves by its Finished, as its key exchange says
        self._transcript = Transcript(credentials.digests)
        self.failures = 0  # of tags, that count
        self._failed_at = 0  # the last of them

    def doubts(self, now):
        """The tag of a record has failed: return whether to tell the client that its key is not ours (RFC 7925, section 4.2).

        Not for the first one, which may be damaged or spoofed: all clients give up when they hear this alert. A client with
        another key retransmits. Never where our ChangeCipherSpec is out: the alert would be protected, and believed.
        """
        if self.epoch or (self.failures and ticks_diff(now, self._failed_at) < REPEAT_MIN_MS):
            return False
        self._failed_at = now
        self.failures += 1
        return 1 < self.failures <= REPEATS_MAX

    def read(self, kind, body, message):
        """Process the client's next message; see Handshake."""
        state = self._state
        if kind != HANDSHAKE_FINISHED:
            self._transcript.update(message)
        if kind == HANDSHAKE_CLIENT_HELLO and state == _EXPECT_CLIENT_HELLO:
            return self._read_client_hello(body)
        if kind == HANDSHAKE_FINISHED and state == _EXPECT_FINISHED:
            self._read_finished(b"client", self.session_hash or self._transcript.digest(), body, message)
            self._state = _EXPECT_NOTHING
            if self.current(self.identity) != self.credential:  # deleted or changed during the handshake
                raise PeerError(ALERT_DECRYPT_ERROR, E_FINISHED)
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
        self.suites = [suite for suite in self.credentials.suites if suite in offered]
        if not self.suites:
            raise PeerError(ALERT_HANDSHAKE_FAILURE, E_NO_SUITE)
        self.suite = self.suites[0]
        self.secrets = Secrets(random, self.random(RANDOM_BYTES))
        if EMPTY_RENEGOTIATION_INFO_SCSV in offered:  # it means the same (RFC 5746, section 3.3)
            extensions[EXTENSION_RENEGOTIATION_INFO] = b"\0"
        read_all(self, extensions)
        if EXTENSION_RECORD_SIZE_LIMIT in extensions:  # one limit for both directions: what can be received can be echoed
            self.size_limit = self.record_max = min(self.record_max, self.size_limit)
        self._flight = []
        if self._resume(session_id, extensions.get(EXTENSION_SESSION_TICKET)):
            self._put_server_hello(session_id)
            self._put_finished(b"server", self._transcript.digest())
            self._state = _EXPECT_FINISHED
            return self._flight
        if self._tickets and self.extended:
            if self.promised:
                self.shown_ticket = b""
            else:
                self.session_id = self.random(_SESSION_ID_BYTES)
        self._put_server_hello(self.session_id)
        self._put_all(self.credentials.flight(self))
        self._put(HANDSHAKE_SERVER_HELLO_DONE, b"")
        self._state = _EXPECT_CLIENT_KEY_EXCHANGE
        return self._flight

    def _put_server_hello(self, session_id):
        writer = Writer()
        writer.uint(DTLS_1_2, 2)
        writer.put(self.secrets.randoms[RANDOM_BYTES:])
        writer.vector(session_id, 1)
        writer.uint(self.suite, 2)
        writer.uint(0, 1)  # no compression
        write_extensions(writer, write_all(self, SERVER_HELLO))
        self._put(HANDSHAKE_SERVER_HELLO, writer.data)

    def read_server_name(self, data):
        """Read the name by which the client knows us."""
        names = Reader(Reader(data).vector(2))
        if names.uint(1) == 0:  # host_name (RFC 6066, section 3)
            self.server_name = names.vector(2)

    def choose_protocol(self, data):
        """Choose one of the protocols that the client offers."""
        names = Reader(Reader(data).vector(2))
        offered = []
        while names.more():
            offered.append(names.vector(1))
        for name in self.protocols:
            if name in offered:
                self.alpn = name
                return
        raise PeerError(ALERT_NO_APPLICATION_PROTOCOL, E_NO_PROTOCOL)

    def _resume(self, session_id, ticket):
        """Resume the session that the client shows, if it is one of ours; return whether it is.

        A client that shows a ticket may show no session id, and gets none (RFC 5077, section 3.4).
        """
        if not self._tickets or not self.extended:
            return False
        tickets, now = self._tickets
        known = tickets.read(ticket or tickets.recall(session_id), now, self.current)
        if not known or known[0] not in self.suites:
            return False
        self.suite, self.secrets.master, self.identity, self.credential = known
        self.session_id = session_id
        self.resumed = True
        return True

    def current(self, identity):
        """Return the credential that an identity has now; None if the key exchange cannot say."""
        try:
            return self.credentials.current(identity)
        except Exception:  # a key exchange without current(), or a look-up of the application that fails
            return None

    def _finish(self):
        """Return the last flight of a full handshake."""
        self._flight = []
        if self._tickets:
            tickets, now = self._tickets
            session = self.suite, self.secrets.master, self.identity, self.credential, now
            if self.shown_ticket is not None:
                writer = Writer()
                writer.uint(tickets.lifetime_s, 4)
                writer.vector(tickets.make(*session), 2)
                self._put(HANDSHAKE_NEW_SESSION_TICKET, writer.data)
            elif self.session_id:
                tickets.remember(self.session_id, *session)
        self._put_finished(b"server", self._transcript.digest())
        return self._flight
