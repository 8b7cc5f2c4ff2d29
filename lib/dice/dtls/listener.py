# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One socket of a server and its many sessions, sans-IO: cookies, slots, connection ids (RFC 6347, 4.2.1 and 4.2.8; RFC 9146).

An address costs no memory before its cookie has come back. Then its handshake takes one of `half_open_max` slots. When all are
taken, one is evicted, because its cookie proves only an address: the oldest of those whose tags failed, else the oldest. A slot
younger than HALF_OPEN_SAFE_MS whose tags did not fail is kept (a new handshake from the same address still replaces it); meanwhile
other hellos are ignored. When the handshake is done, and so the client authenticated, the session takes one of `sessions_max`
places. When all are taken, the session that has been silent for longest is evicted, of the identities that have most, with the
newcomer's. So who has many loses one before who has one.

A datagram belongs to the established session that verifies a record of it, found by connection id or by address, and only if none
does to the handshake at its address. So a handshake in the name of a client does not affect its session. A handshake receives from
its own address only, and does not move. When it is done, it replaces the session at its address that has the same identity, or that
has no connection id, since such a session is found by its address alone.
"""

from .._compat import ticks_add, ticks_diff
from ..codes import CONTENT_HANDSHAKE, CONTENT_TLS12_CID, HANDSHAKE_CLIENT_HELLO
from ..errors import CLOSED, CONNECTED, NONE, FormatError, PeerError
from ..limits import (
    COOKIE_PERIOD_MS,
    CREDENTIAL_CHECK_MS,
    DATAGRAM_MAX_BYTES,
    HALF_OPEN_MAX,
    HALF_OPEN_MS,
    HALF_OPEN_SAFE_MS,
    HELLOS_ADDRESSES_MAX,
    HELLOS_MAX,
    HELLOS_PERIOD_MS,
    TIMER_MS,
)
from ..reasons import E_EVICTED, E_REPLACED
from ..wire import Reader
from .record_layer import RecordLayer
from .resumption import Cookies
from .server import Server, read_hello_start, write_verify_request
from .session import Session


class ServerSession:
    """A session, and the address of its client. `moved` counts how often that has changed.

    An address changes with a record that is authentic and newer than all before. Nobody checks that the client can be reached
    there (RFC 9146, section 6, leaves open how): who copies a client's newest record, and is faster, gets the answers until its
    next one. An application to which that matters asks for an answer from the new address before it sends more.
    """

    def __init__(self, session, address, cid, hello, now, role):
        self.session = session
        self.role = role  # its server.Server, until it is connected, else None
        self.credential = None  # what the client has proved then
        self.moved = 0
        self.address = address
        self.cid = cid
        self.hello = hello  # its message_seq, and what read_hello_start() returns
        self.random = hello[1][1]
        self.last_record = now  # while it is half-open, which has a deadline


class Listener:
    """The five calls of Session for many clients, with addresses.

    An address is of any type that can be compared; `encode` makes bytes of it. `refused` counts the hellos for which there was no
    slot, or that came too often from one address.

    Clients are searched one by one, which is the smallest code, and fast for the few sessions of a board. On a computer
    session_index.IndexedListener does the same with any number.
    """

    _session = Session

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
        self._current = ()  # the one that has received the last datagram
        self._hellos = {}  # how many were answered, by the hash of the address
        self._hellos_since = now
        self.refused = 0
        self.sessions = []  # established, those first that have been silent for longest: ticks do not measure days
        self.half_open = []

    def receive(self, datagram, address, now):
        """Receive a datagram; return (event, ServerSession or None). As with Session, call with b"" until the event is NONE."""
        clients = self._current
        if datagram:
            self._check(now)  # also here: whoever floods us keeps timeout() from being called
            start = self._parse_hello(datagram)
            clients = self._answer(start, address, now) if start else self._find(datagram, address)
        self._current = ()
        for client in clients:
            self._current = (client,)
            event = client.session.receive(datagram, now)
            if client.session.newest is not None:
                break
        return self._result(client, event, address) if self._current else (NONE, None)

    def transmit(self):
        """Return (datagram, address) to put on the wire, or None."""
        if self._out:
            return self._out.pop(0)
        for client in self._due():
            datagram = client.session.transmit()
            if datagram:
                return datagram, client.address
        return None

    def deadline(self):
        """Return the ticks at which timeout() wants to be called: at the latest when the secret of the cookies changes."""
        due = self._cookies.due
        for client in self._due():
            for other in (client.session.deadline(), client.role and ticks_add(client.last_record, HALF_OPEN_MS)):
                if other is not None and ticks_diff(other, due) < 0:
                    due = other
        return due

    def timeout(self, now):
        """Do what has become due; return the ServerSessions that ended by it."""
        self._cookies.secrets(now)
        if self._tickets:
            self._tickets.secrets(now)
        self._check(now)
        ended, self._ended = self._ended, []
        for client in self._due():
            late = client.role and ticks_diff(now, client.last_record) >= HALF_OPEN_MS
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

    def _due(self):
        """Return the clients that may have something to do."""
        return self.half_open + self.sessions

    def _check(self, now):
        if ticks_diff(now, self._check_at) >= 0:
            self._check_at = ticks_add(now, CREDENTIAL_CHECK_MS)
            self.check_credentials()

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
        for held in (self.sessions, self.half_open):
            if client in held:
                held.remove(client)
        datagram = client.session.transmit()
        if datagram:
            self._out.append((datagram, client.address))

    def _find(self, datagram, address):
        """Return the ServerSessions that a datagram may belong to, in the order in which they try.

        One that begins in plaintext goes to established ones too: a client that missed our last flight repeats its own, whose last
        record is protected.
        """
        name, value = "address", address
        if datagram[0] == CONTENT_TLS12_CID:
            name, value = "cid", bytes(datagram[11 : 11 + self._cid_bytes])
        return self._with(name, value, self.sessions) + self._with("address", address, self.half_open)

    def _with(self, name, value, sessions):
        """Return those of `sessions` that have this address, cid or random."""
        return [client for client in sessions if getattr(client, name) == value]

    def _result(self, client, event, address):
        session, sessions = client.session, self.sessions
        if session.newest and client in sessions:
            sessions.remove(client)
            if client.address != address:
                client.address = address
                client.moved += 1
            sessions.append(client)
        if event == CONNECTED:
            client.credential, client.role = client.role.credential, None
            try:
                self._make_room(client)
                sessions.append(client)
                self.half_open.remove(client)
            except MemoryError:  # the client learns that it is not served
                session.close()
                event = CLOSED
        if event == CLOSED:
            if self._tickets and session.error and client in sessions:
                self._tickets.forget(session.session_id)
            self._remove(client)
        return event, client

    def _make_room(self, newcomer):
        """End the session that a new handshake replaces, else evict the one that was silent for longest.

        The client of the former has no use for a close_notify under its old keys. In both, `error` says what has happened.
        """
        identity = newcomer.session.identity
        for client in self._with("address", newcomer.address, self.sessions):
            session = client.session
            if session.identity == identity or not session.layer.cid:
                session.error = PeerError(None, E_REPLACED)
                session.abandon()
                self.sessions.remove(client)
        if len(self.sessions) >= self._sessions_max:
            client = self._victim(identity)
            client.session.error = PeerError(None, E_EVICTED)
            self.close(client)

    def _victim(self, identity):
        """Return the session that has been silent for longest, of the identities that have most with a new one of `identity`."""
        held = {identity: 1}  # sessions by identity
        for client in self.sessions:
            other = client.session.identity
            held[other] = held.get(other, 0) + 1
        return max(self.sessions, key=lambda client: held[client.session.identity])  # the first of these

    # Hellos of unknown addresses.

    def _parse_hello(self, datagram):
        """Return (record sequence, message sequence, hello) if a datagram begins with a ClientHello in plaintext, else None."""
        if datagram[0] != CONTENT_HANDSHAKE:
            return None
        reader = Reader(datagram)
        try:
            reader.uint(3)  # type, version
            record_seq = reader.uint(8)  # with the epoch
            kind = reader.uint(3) & 0xFF  # behind the record's length
            message_seq = reader.uint(5) & 0xFFFF  # behind the message's length
            offset = reader.uint(3)
            hello = read_hello_start(Reader(reader.vector(3)))
        except FormatError:
            return None
        # Both sides go on counting from these.
        if kind == HANDSHAKE_CLIENT_HELLO and not (offset or record_seq >> 31 or message_seq >> 15):
            return record_seq, message_seq, hello
        return None

    def _answer(self, start, address, now):
        """Answer a hello statelessly, or give its sender a slot; return [the ServerSession that gets the datagram], or ()."""
        record_seq, message_seq, hello = start
        encoded = self._encode(address)
        verified = self._cookies.verify(encoded, hello, now)
        if verified and self._with("random", hello[1], self.sessions):
            return ()  # a copy
        before = self._with("address", address, self.half_open)
        if verified and before and before[0].hello == (message_seq, hello):
            return before  # a repetition
        # Hellos in the name of a client do not use up its own, since they have no valid cookie.
        if hello[3] and not self._may_answer(hash(encoded) + verified, now):
            return ()
        if not verified:
            if not self._out:
                layer = self._layer(record_seq)
                request = write_verify_request(self._cookies.make(encoded, hello, now), message_seq)
                self._out.append((layer.seal(CONTENT_HANDSHAKE, layer.epoch, request), address))
            return ()
        for client in before:
            client.session.abandon()
            self._remove(client)
        if len(self.half_open) >= self._half_open_max:
            failed = [client for client in self.half_open if client.role.failures]
            oldest = max(failed or self.half_open, key=lambda client: ticks_diff(now, client.last_record))
            if not failed and ticks_diff(now, oldest.last_record) < HALF_OPEN_SAFE_MS:
                self.refused += 1
                return ()
            oldest.session.give_up()
            self._remove(oldest)
        cid = self._new_cid()
        tickets = (self._tickets, now) if self._tickets else None
        role = Server(self._credentials, self._random, cid, self._alpn, self._size_limit, tickets)
        session = self._session(role, self._layer(record_seq), now, self._timer_ms, self._mtu, message_seq)
        client = ServerSession(session, address, cid, (message_seq, hello), now, role)
        self.half_open.append(client)
        return (client,)

    def _may_answer(self, key, now):
        """Return whether a hello that is no repetition may be answered: else two sides that cannot agree could answer endlessly."""
        if not 0 <= ticks_diff(now, self._hellos_since) < HELLOS_PERIOD_MS or len(self._hellos) >= HELLOS_ADDRESSES_MAX:
            self._hellos = {}
            self._hellos_since = now
        key &= 0xFFFF  # a small integer: an address in a dict costs a board 60 bytes
        count = self._hellos.get(key, 0)
        if count >= HELLOS_MAX:
            self.refused += 1
            return False
        self._hellos[key] = count + 1
        return True

    def _new_cid(self):
        """Return a connection id that no session has, or None if they are not used, or none is left."""
        taken = [client.cid for client in self._due()]
        if not self._cid_bytes or len(taken) >> 8 * self._cid_bytes:
            return None
        while True:
            cid = self._random(self._cid_bytes)
            if cid not in taken:
                return cid
