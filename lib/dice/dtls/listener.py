# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One socket of a server and its many sessions, sans-IO: cookies, slots, connection ids (RFC 6347, 4.2.1 and 4.2.8; RFC 9146).

An address costs no memory before its cookie has come back. Then its handshake takes one of `half_open_max` slots. When all are
taken, the oldest is evicted, because its cookie proves only an address. A slot younger than HALF_OPEN_SAFE_MS is kept (a new
handshake from the same address still replaces it); meanwhile other hellos are ignored. When the handshake is done, and so the
client authenticated, the session takes one of `sessions_max` places. When all are taken, the session that has been silent for
longest is evicted: of those with the same identity, if there are any, else of all.
"""

from .._compat import ticks_add, ticks_diff
from ..codes import CONTENT_HANDSHAKE, CONTENT_TLS12_CID, HANDSHAKE_CLIENT_HELLO, HANDSHAKE_HELLO_VERIFY_REQUEST
from ..errors import CLOSED, CONNECTED, NONE, FormatError
from ..limits import (
    COOKIE_PERIOD_MS,
    CREDENTIAL_CHECK_MS,
    DATAGRAM_MAX_BYTES,
    HALF_OPEN_MAX,
    HALF_OPEN_MS,
    HALF_OPEN_SAFE_MS,
    HANDSHAKE_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    TIMER_MS,
)
from ..wire import Reader, Writer
from .record_layer import RecordLayer
from .resumption import Cookies
from .server import Server, read_hello_start, write_verify_request
from .session import Session


class ServerSession:
    """A session, and the address of its client."""

    def __init__(self, session, address, cid, hello, now, role):
        self.session = session
        self.role = role  # its server.Server, until it is connected
        self.credential = None  # what the client has proved then
        self.address = address
        self.cid = cid
        self.hello = hello  # its message_seq, and what read_hello_start() returns
        self.last_record = now  # when the last authentic record was received


class Listener:
    """The five calls of Session for many clients, with addresses.

    An address is of any type that can be compared; `encode` makes bytes of it. `refused` counts the hellos for which there was no
    slot.
    """

    def __init__(
        self,
        credentials,
        random,
        now,
        encode,
        sessions_max=8,
        cid_bytes=1,
        tickets=None,
        timer_ms=TIMER_MS,
        mtu=DATAGRAM_MAX_BYTES,
        alpn=(),
        size_limit=None,
        half_open_max=HALF_OPEN_MAX,
        layer=RecordLayer,
    ):
        """Serve with `credentials`, a handshake.KeyExchange such as kx_psk_server.PskLookup.

        `random(n)` returns n random bytes. `cid_bytes`: length of the connection ids for clients that offer them, 0 for none.
        `tickets`: a resumption.Tickets, or None not to resume. `half_open_max`: handshakes under way at a time, each of some KB.
        `layer(sequence)` returns a record layer that numbers its records in plaintext from `sequence` on. `timer_ms` and `mtu`
        are as for Session, `alpn` and `size_limit` as for server.Server.
        """
        self._credentials = credentials
        self._random = random
        self._encode = encode
        self._sessions_max = sessions_max
        self._cid_bytes = cid_bytes
        self._half_open_max = half_open_max
        self._layer = layer
        self._tickets = tickets
        self._timer_ms = timer_ms
        self._mtu = mtu
        self._alpn = alpn
        self._size_limit = size_limit
        self._cookies = Cookies(random, COOKIE_PERIOD_MS, now)
        self._check_at = ticks_add(now, CREDENTIAL_CHECK_MS)
        self._out = []
        self._ended = []  # by check_credentials(), not yet returned by timeout()
        self._current = None
        self.refused = 0
        self.sessions = []  # established
        self.half_open = []

    def receive(self, datagram, address, now):
        """Receive a datagram; return (event, ServerSession or None). As with Session, call with b"" until the event is NONE."""
        if not datagram:
            if self._current is None:
                return NONE, None
            return self._result(self._current, self._current.session.receive(b"", now), address, now)
        self._current = client = self._find(datagram, address)
        start = self._parse_hello(datagram)
        if start:
            client = self._answer(start, address, now)
            self._current = client
        if client is None:
            return NONE, None
        return self._result(client, client.session.receive(datagram, now), address, now)

    def transmit(self):
        """Return (datagram, address) to put on the wire, or None."""
        if self._out:
            return self._out.pop(0)
        for client in self.half_open + self.sessions:
            datagram = client.session.transmit()
            if datagram:
                return datagram, client.address
        return None

    def deadline(self):
        """Return the ticks at which timeout() wants to be called: at the latest when the secret of the cookies changes."""
        due = self._cookies.due
        for client in self.half_open + self.sessions:
            others = [client.session.deadline()]
            if client in self.half_open:
                others.append(ticks_add(client.last_record, HALF_OPEN_MS))
            for other in others:
                if other is not None and ticks_diff(other, due) < 0:
                    due = other
        return due

    def timeout(self, now):
        """Do what has become due; return the ServerSessions that ended by it."""
        self._cookies.secrets(now)
        if self._tickets:
            self._tickets.secrets(now)
        if ticks_diff(now, self._check_at) >= 0:
            self._check_at = ticks_add(now, CREDENTIAL_CHECK_MS)
            self.check_credentials()
        ended, self._ended = self._ended, []
        for client in self.half_open + self.sessions:
            late = client in self.half_open and ticks_diff(now, client.last_record) >= HALF_OPEN_MS
            if late:
                client.session.give_up()
            if late or client.session.timeout(now) == CLOSED:
                self._remove(client)
                ended.append(client)
        return ended

    def close(self, client):
        """Close a session; transmit() returns what is left to send."""
        client.session.close()
        self._remove(client)

    def check_credentials(self):
        """Close each session whose client has not proved what it would have to prove now: its key was deleted or changed.

        The listener does so itself every CREDENTIAL_CHECK_MS. The next timeout() returns the sessions that were closed.
        """
        for client in list(self.sessions):
            try:
                if self._credentials.current(client.session.identity) != client.credential:
                    self.close(client)
                    self._ended.append(client)
            except Exception:  # as in Server: what is established stays as long as the look-up fails
                pass

    def _remove(self, client):
        datagram = client.session.transmit()
        if datagram:
            self._out.append((datagram, client.address))
        for held in (self.sessions, self.half_open):
            if client in held:
                held.remove(client)

    def _find(self, datagram, address):
        """Return the ServerSession of a datagram, by connection id, else by address; a half-open one first."""
        if datagram[0] == CONTENT_TLS12_CID and self._cid_bytes:
            cid = bytes(datagram[11 : 11 + self._cid_bytes])
            for client in self.half_open + self.sessions:
                if client.cid == cid:
                    return client
            return None
        for client in self.half_open + self.sessions:
            if client.address == address:
                return client
        return None

    def _result(self, client, event, address, now):
        session = client.session
        if session.newest:
            client.address = address  # a verified record, newer than all before (RFC 9146, section 6)
            client.last_record = now
        if event == CONNECTED:
            client.credential, client.role = client.role.credential, None
            self.half_open.remove(client)
            self._make_room(client)
            self.sessions.append(client)
        elif event == CLOSED:
            if self._tickets and session.error and client in self.sessions:
                self._tickets.forget(session.session_id)
            self._remove(client)
        return event, client

    def _make_room(self, newcomer):
        """Close the session that a new handshake from its address replaces, else evict the one that was silent for longest."""
        replaced = [client for client in self.sessions if client.address == newcomer.address]
        if not replaced and len(self.sessions) >= self._sessions_max:
            same = [client for client in self.sessions if client.session.identity == newcomer.session.identity]
            replaced = [_oldest(same or self.sessions)]
        for client in replaced:
            self.close(client)

    # Hellos of unknown addresses.

    def _parse_hello(self, datagram):
        """Return (record sequence, message sequence, hello) of a datagram that begins with a ClientHello in plaintext, else
        None."""
        if (
            datagram[0] != CONTENT_HANDSHAKE
            or len(datagram) < RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES
            or datagram[3:5] != b"\0\0"
        ):
            return None
        reader = Reader(datagram)
        reader.take(5)
        record_seq = reader.uint(6)
        reader.uint(2)
        if reader.uint(1) != HANDSHAKE_CLIENT_HELLO:
            return None
        reader.uint(3)
        message_seq = reader.uint(2)
        offset = reader.uint(3)
        try:
            body = Reader(reader.vector(3))
            hello = read_hello_start(body)
        except FormatError:
            return None
        # Both sides go on counting from these.
        return None if offset or record_seq >> 31 or message_seq >> 15 else (record_seq, message_seq, hello)

    def _answer(self, start, address, now):
        """Answer a hello statelessly, or give its sender a slot; return the ServerSession that gets the datagram, or None."""
        record_seq, message_seq, hello = start
        encoded = self._encode(address)
        if not self._cookies.verify(encoded, hello, now):
            writer = Writer()
            body = write_verify_request(self._cookies.make(encoded, hello, now))
            writer.uint(HANDSHAKE_HELLO_VERIFY_REQUEST, 1)
            writer.uint(len(body), 3)
            writer.uint(message_seq << 24, 5)
            writer.vector(body, 3)
            if not self._out:
                layer = self._layer(record_seq)
                self._out.append((layer.seal(CONTENT_HANDSHAKE, layer.epoch, writer.data), address))
            return None
        for client in self.half_open:
            if client.address == address:
                if client.hello == (message_seq, hello):
                    return client  # a repetition
                client.session.abandon()
                self.half_open.remove(client)
        if len(self.half_open) >= self._half_open_max:
            oldest = _oldest(self.half_open)
            if ticks_diff(now, oldest.last_record) < HALF_OPEN_SAFE_MS:
                self.refused += 1
                return None
            oldest.session.give_up()
            self._remove(oldest)
        cid = self._new_cid()
        tickets = (self._tickets, now) if self._tickets else None
        role = Server(self._credentials, self._random, cid, self._alpn, self._size_limit, tickets)
        session = Session(role, self._layer(record_seq), now, self._timer_ms, self._mtu, message_seq)
        client = ServerSession(session, address, cid, (message_seq, hello), now, role)
        self.half_open.append(client)
        return client

    def _new_cid(self):
        """Return a connection id that no session has, or None if they are not used, or none is left."""
        taken = [client.cid for client in self.half_open + self.sessions]
        if not self._cid_bytes or len(taken) >> 8 * self._cid_bytes:
            return None
        while True:
            cid = self._random(self._cid_bytes)
            if cid not in taken:
                return cid


def _oldest(sessions):
    """Return the one that has been silent for longest."""
    oldest = sessions[0]
    for client in sessions:
        if ticks_diff(client.last_record, oldest.last_record) < 0:
            oldest = client
    return oldest
