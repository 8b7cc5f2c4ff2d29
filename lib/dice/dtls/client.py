# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The client's half of a handshake (RFC 6347, section 4.2; RFC 7925)."""

from .._compat import const
from ..codes import (
    ALERT_ILLEGAL_PARAMETER,
    ALERT_PROTOCOL_VERSION,
    ALERT_UNEXPECTED_MESSAGE,
    ALERT_UNSUPPORTED_EXTENSION,
    DTLS_1_2,
    EMPTY_RENEGOTIATION_INFO_SCSV,
    EXTENSION_RENEGOTIATION_INFO,
    HANDSHAKE_CLIENT_HELLO,
    HANDSHAKE_FINISHED,
    HANDSHAKE_HELLO_REQUEST,
    HANDSHAKE_HELLO_VERIFY_REQUEST,
    HANDSHAKE_NEW_SESSION_TICKET,
    HANDSHAKE_SERVER_HELLO,
    HANDSHAKE_SERVER_HELLO_DONE,
)
from ..errors import PeerError, UsageError
from ..limits import CID_MAX_BYTES, HELLO_VERIFY_REQUESTS_MAX, RANDOM_BYTES
from ..reasons import E_EXTENSION, E_ILLEGAL, E_OPTION, E_PEER_VERSION, E_UNEXPECTED
from .extensions import CLIENT_HELLO, read_all, write_all
from .handshake import Handshake, Secrets, Transcript
from .messages import read_hello, read_ticket, read_verify_request, write_hello

_EXPECT_SERVER_HELLO = const(0)
_EXPECT_SERVER_HELLO_DONE = const(1)  # or a message of the key exchange
_EXPECT_NEW_SESSION_TICKET = const(2)
_EXPECT_FINISHED = const(3)
_EXPECT_NOTHING = const(4)

_SHOWN_ID_BYTES = const(8)


class Client(Handshake):
    """See Handshake; start() returns the first flight."""

    def __init__(
        self, credentials, random, cid=b"", server_name=None, alpn=(), fragment_code=2, size_limit=None, tickets=False, resume=None
    ):
        """Connect with `credentials`, a handshake.KeyExchange such as kx_psk.Psk.

        `random(n)` returns n random bytes. `cid`: the connection id that the server puts into its records (bytes, b"" for none,
        None not to offer connection ids). `server_name` and the protocols in `alpn` are bytes. `fragment_code`: 1 to 4 for records
        of at most 512 to 4096 bytes (RFC 6066, section 4), or None; `size_limit`: the same in bytes (RFC 8449), or None.
        `tickets`: also accept a ticket to resume with (RFC 5077). `resume`: a result of Session.resumption(), or None. Raises
        UsageError.
        """
        super().__init__(credentials, random, cid)
        if cid is not None and len(cid) > CID_MAX_BYTES:
            raise UsageError(E_OPTION)
        self.is_client = True
        self.server_name = server_name
        self._state = _EXPECT_SERVER_HELLO
        self._client_random = random(RANDOM_BYTES)
        self.protocols = alpn
        self.fragment_code = fragment_code
        self.size_limit = size_limit
        self._resume = resume
        self._cookie = None
        self._verified = 0  # HelloVerifyRequests answered
        self._offered = ()
        if tickets:
            self.shown_ticket = b""
        if resume:
            self.session_id = resume.session_id
            if resume.ticket:
                # The session id is ours then, and the server repeats it if it accepts the ticket (RFC 5077, section 3.4).
                self.shown_ticket = resume.ticket
                self.session_id = random(_SHOWN_ID_BYTES)

    def start(self):
        """Return the first flight, or the one that answers a HelloVerifyRequest."""
        extensions = write_all(self, CLIENT_HELLO)
        self._offered = [kind for kind, _ in extensions]
        suites = b""
        for suite in self.credentials.suites + (EMPTY_RENEGOTIATION_INFO_SCSV,):
            suites += suite.to_bytes(2, "big")
        self._transcript = Transcript(self.credentials.digests)
        self._flight = []
        hello = write_hello(self._client_random, self.session_id, self._cookie or b"", suites, extensions)
        self._put(HANDSHAKE_CLIENT_HELLO, hello)
        return self._flight

    def read(self, kind, body, message):
        """Process the server's next message; see Handshake."""
        if kind == HANDSHAKE_HELLO_REQUEST:  # it asks for a handshake, which is under way (RFC 5246, section 7.4.1.1)
            return None
        state = self._state
        if kind == HANDSHAKE_HELLO_VERIFY_REQUEST and state == _EXPECT_SERVER_HELLO:
            return self._send_cookie(body)
        if kind != HANDSHAKE_FINISHED:
            self._transcript.update(message)
        if kind == HANDSHAKE_SERVER_HELLO and state == _EXPECT_SERVER_HELLO:
            self._read_server_hello(body)
        elif kind == HANDSHAKE_SERVER_HELLO_DONE and state == _EXPECT_SERVER_HELLO_DONE:
            if body:
                raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)
            return self._answer()
        elif kind == HANDSHAKE_NEW_SESSION_TICKET and state == _EXPECT_NEW_SESSION_TICKET:
            self.ticket = read_ticket(body)
            self._state = _EXPECT_FINISHED
        elif kind == HANDSHAKE_FINISHED and state == _EXPECT_FINISHED:
            self._read_finished(b"server", self._transcript.digest(), body, message)
            self._state = _EXPECT_NOTHING
            if self.resumed:
                self._flight = []
                self._put_finished(b"client", self._transcript.digest())
                return self._flight
        elif state != _EXPECT_SERVER_HELLO_DONE or self.credentials.read(self, kind, body) is None:
            raise PeerError(ALERT_UNEXPECTED_MESSAGE, E_UNEXPECTED)
        return None

    def _send_cookie(self, body):
        cookie = read_verify_request(body)
        if cookie == self._cookie:  # a repetition: our answer is under way
            return None
        self._verified += 1
        if self._verified > HELLO_VERIFY_REQUESTS_MAX:
            raise PeerError(ALERT_UNEXPECTED_MESSAGE, E_UNEXPECTED)
        self._cookie = cookie
        return self.start()

    def _read_server_hello(self, body):
        version, random, session_id, self.suite, compression, extensions = read_hello(body)
        if version != DTLS_1_2:
            raise PeerError(ALERT_PROTOCOL_VERSION, E_PEER_VERSION)
        for kind in extensions:
            if kind not in self._offered and kind != EXTENSION_RENEGOTIATION_INFO:
                raise PeerError(ALERT_UNSUPPORTED_EXTENSION, E_EXTENSION)
        if self.suite not in self.credentials.suites or compression or extensions.get(EXTENSION_RENEGOTIATION_INFO, b"\0") != b"\0":
            raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)
        read_all(self, extensions)
        self._state = _EXPECT_SERVER_HELLO_DONE
        self.secrets = Secrets(self._client_random, random)
        resume = self._resume
        if resume and session_id == self.session_id:  # which has at least one byte
            # The suite is that of the resumed session, and there is an extended master secret, or there is no resumption.
            if self.suite != resume.suite or not self.extended:
                raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)
            self.resumed = True
            self.ticket = resume.ticket
            self.identity = resume.identity
            self.secrets.master = bytearray(resume.master)
            self._state = _EXPECT_NEW_SESSION_TICKET if self.promised else _EXPECT_FINISHED
        self.session_id = session_id

    def _answer(self):
        """Return the flight that ends with our Finished."""
        self._flight = []
        self._put_all(self.credentials.flight(self))
        self._derive_master()
        finished_hash = self.session_hash
        if self.credentials.digests > 2:
            self._put_all(self.credentials.prove(self))
            finished_hash = self._transcript.digest()
        self._put_finished(b"client", finished_hash)
        self._state = _EXPECT_NEW_SESSION_TICKET if self.promised else _EXPECT_FINISHED
        return self._flight
