# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The listener of a computer: what a datagram costs does not depend on how many sessions there are; never installed on a board.

IndexedListener decides as Listener does, by the same code; only how it finds clients is different. Sessions are found by address,
by connection id and by the client's random in dicts. A session notes itself in `_touched` whenever it is called, so only those
that may have something to send are asked, and only theirs are the deadlines that can have changed. Deadlines are in a heap; one
that is no longer the deadline of its session is skipped. Keys are compared with the credentials of today session by session, each
CREDENTIAL_CHECK_MS after the last time.
"""

import heapq
from collections import OrderedDict, deque

from .._compat import ticks_add, ticks_diff
from ..limits import CREDENTIAL_CHECK_MS, HALF_OPEN_MS
from .listener import Listener
from .session import Session

_CHECK_TOGETHER_MS = 1000  # credentials that are due within this time are checked at once
_RIVALS_MAX = 64  # identities whose oldest sessions are compared with each other; with more, the oldest of all is one of them soon
_STALE_MIN = 1000  # entries of the heap


class _ServedSession(Session):
    """A session that notes each call in a dict."""

    def __init__(self, touched, *arguments):
        self._touched = touched
        self.client = None  # its ServerSession
        super().__init__(*arguments)

    @property
    def interrupted(self):
        """Whether its end was begun, and not completed: timeout() completes it."""
        return not self.connected and not self._handshake

    def receive(self, datagram, now):
        self._touched[self] = True
        return super().receive(datagram, now)

    def send(self, data, now):
        self._touched[self] = True
        super().send(data, now)

    def timeout(self, now):
        self._touched[self] = True
        return super().timeout(now)

    def close(self):
        self._touched[self] = True
        super().close()

    def give_up(self):
        self._touched[self] = True
        return super().give_up()

    def abandon(self):
        self._touched[self] = True
        return super().abandon()


class Clients:
    """ServerSessions in the order of append(), used as the list of a Listener. having() finds them by an attribute.

    The listener moves a client to the end by remove() and append(): so what remove() takes away stays listed until another call.
    """

    def __init__(self, clients=()):
        self._entries = OrderedDict()  # {client: [address, cid, random, identity, when it was appended]}
        self._found = {"address": {}, "cid": {}, "random": {}}  # {value: (client, ...)} by attribute
        self._held = {}  # {identity: {client: None}}
        self._identities = {}  # {number of clients: {identity: None}}
        self._moving = None
        self._count = 0
        for client in clients:
            self.append(client)

    def __len__(self):
        return len(self._settled())

    def __contains__(self, client):
        return client in self._entries and client is not self._moving

    def __iter__(self):
        return iter(self._settled())

    def __getitem__(self, index):
        return list(self._settled())[index]

    def __eq__(self, other):
        return list(self) == list(other)

    __hash__ = None

    def __add__(self, other):
        return list(self) + list(other)

    def append(self, client):
        """Append a client, or move it to the end."""
        self._count += 1
        if client is self._moving:
            self._moving = None
            entry = self._entries[client]
            entry[4] = self._count
            self._entries.move_to_end(client)
            held = self._held[entry[3]]
            if len(held) > 1:
                del held[client]
                held[client] = None
            if entry[0] != client.address:
                self._forget("address", entry[0], client)
                entry[0] = client.address
                self._note("address", client.address, client)
            return
        self._settled()
        identity = client.session.identity
        self._entries[client] = entry = [client.address, client.cid, client.random, identity, self._count]
        for name, value in zip(self._found, entry):
            self._note(name, value, client)
        held = self._held.setdefault(identity, {})
        self._resize(identity, len(held), len(held) + 1)
        held[client] = None

    def remove(self, client):
        """Remove a client; raises KeyError if it is not there."""
        self._settled()
        self._entries[client]
        self._moving = client

    def clear(self):
        """Remove all."""
        self.__init__()

    def having(self, name, value):
        """Return a list of the clients with this "address", "cid" or "random"."""
        self._settled()
        return list(self._found[name].get(value, ()))

    def of(self, identity):
        """Return a list of the clients with this identity."""
        self._settled()
        return list(self._held.get(identity, ()))

    def victim(self, identity):
        """Return the first client of the identities that have most, with a new one of `identity`."""
        self._settled()
        own = len(self._held.get(identity, ())) + 1
        most = max(own, *self._identities)
        rivals = self._identities.get(most, {})
        if own == most > 1:
            rivals = set(rivals) | {identity}
        if len(rivals) <= _RIVALS_MAX:
            oldest = [next(iter(self._held[rival])) for rival in rivals if rival in self._held]
            return min(oldest, key=lambda client: self._entries[client][4])
        return next(client for client, entry in self._entries.items() if entry[3] in rivals)

    def _settled(self):
        """Complete a remove(), and return the entries."""
        client, self._moving = self._moving, None
        if client is not None:
            entry = self._entries.pop(client)
            for name, value in zip(self._found, entry):
                self._forget(name, value, client)
            held = self._held[entry[3]]
            del held[client]
            self._resize(entry[3], len(held) + 1, len(held))
            if not held:
                del self._held[entry[3]]
        return self._entries

    def _note(self, name, value, client):
        found = self._found[name]
        found[value] = found.get(value, ()) + (client,)

    def _forget(self, name, value, client):
        rest = tuple(other for other in self._found[name].pop(value) if other is not client)
        if rest:
            self._found[name][value] = rest

    def _resize(self, identity, before, after):
        if before:
            del self._identities[before][identity]
            if not self._identities[before]:
                del self._identities[before]
        if after:
            self._identities.setdefault(after, {})[identity] = None


class IndexedListener(Listener):
    """A Listener for any number of sessions, with the same calls. Addresses can be hashed as well.

    `established(client)`, if set, is called when a handshake is complete, before the last flight is sent to the client.
    Times are kept in ms since the listener began, because ticks wrap and a heap must not.
    """

    def __init__(self, credentials, random, now, encode, **options):
        """As Listener."""
        self.established = None
        self._now = now
        self._elapsed = 0  # the time in ms at `_now`
        self._touched = {}  # sessions that were called, and not yet asked for datagrams, as keys
        self._heap = []  # (time, a number that breaks ties, session)
        self._dues = {}  # the time of a session that is valid
        self._pushed = 0
        self._checks = deque()  # (time, client)
        self._displaced = []  # for displaced()
        self._suspects = []
        self._half_open_clients = self._session_clients = None
        super().__init__(credentials, random, now, encode, **options)

    @property
    def sessions(self):
        """The Clients that are established."""
        return self._session_clients

    @sessions.setter
    def sessions(self, clients):
        self._session_clients = Clients(clients)

    @property
    def half_open(self):
        """The Clients whose handshake is under way."""
        return self._half_open_clients

    @half_open.setter
    def half_open(self, clients):
        self._half_open_clients = Clients(clients)

    def receive(self, datagram, address, now):
        """As Listener.receive()."""
        self._tick(now)
        return super().receive(datagram, address, now)

    def transmit(self):
        """As Listener.transmit()."""
        if self._out:
            return self._out.pop(0)
        while self._touched:
            session = next(reversed(self._touched))
            if self._is_held(session.client):
                datagram = session.transmit()
                if datagram:
                    return datagram, session.client.address
            self._schedule(session)
            self._touched.pop(session, None)
        return None

    def deadline(self):
        """As Listener.deadline()."""
        heap = self._scheduled()
        while heap and self._dues.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        due = self._elapsed + ticks_diff(self._cookies.due, self._now)
        if heap:
            due = min(due, heap[0][0])
        if self._checks:
            due = min(due, self._checks[0][0])
        return ticks_add(self._now, due - self._elapsed)

    def timeout(self, now):
        """As Listener.timeout()."""
        self._tick(now)
        self._displaced = []
        return super().timeout(now)

    def displaced(self):
        """Return the ServerSessions that had to make room for others since the last call, or since timeout()."""
        displaced, self._displaced = self._displaced, []
        return displaced

    def check_credentials(self, identity=None):
        """As Listener.check_credentials(), of all sessions, or of those of one identity."""
        self._prove(list(self.sessions) if identity is None else self.sessions.of(identity))

    def _session(self, *arguments):
        return _ServedSession(self._touched, *arguments)

    def _tick(self, now):
        self._elapsed += ticks_diff(now, self._now)
        self._now = now

    def _is_held(self, client):
        return client is not None and (client in self.sessions or client in self.half_open)

    def _answer(self, start, address, now):
        clients = super()._answer(start, address, now)
        for client in clients:
            client.session.client = client
        return clients

    def _due(self):
        heap, due = self._scheduled(), []
        while heap and heap[0][0] <= self._elapsed:
            when, _, session = heapq.heappop(heap)
            if self._dues.get(session) == when:
                del self._dues[session]
                due.append(session.client)
                self._touched[session] = True
        return [client for client in due if self._is_held(client)]

    def _scheduled(self):
        """Return the heap, with the deadlines of the sessions that were called."""
        for session in self._touched:
            self._schedule(session)
        if len(self._heap) > 2 * len(self._dues) + _STALE_MIN:
            self._heap = [entry for entry in self._heap if self._dues.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
        return self._heap

    def _schedule(self, session):
        """Note the deadline of a session, if it is another one."""
        client, dues = session.client, []
        if self._is_held(client):
            dues = [session.deadline(), client.role and ticks_add(client.last_record, HALF_OPEN_MS)]
            if session.interrupted:
                dues.append(self._now)
        times = [self._elapsed + ticks_diff(due, self._now) for due in dues if due is not None]
        if not times:
            self._dues.pop(session, None)
        elif self._dues.get(session) != min(times):
            self._dues[session] = min(times)
            self._pushed += 1
            heapq.heappush(self._heap, (min(times), self._pushed, session))

    def _check(self, now):
        checks, clients = self._checks, []
        if checks and checks[0][0] <= self._elapsed:
            while checks and checks[0][0] <= self._elapsed + _CHECK_TOGETHER_MS:
                _, client = checks.popleft()
                if client in self.sessions:
                    clients.append(client)
            self._prove(clients)
            checks.extend([(self._elapsed + CREDENTIAL_CHECK_MS, client) for client in clients])

    def _prove(self, clients):
        """Close those whose credential is no longer that of their identity; see check_credentials()."""
        for client in clients:
            try:
                if self._credentials.current(client.session.identity) != client.credential:
                    self.close(client)
                    self._ended.append(client)
            except Exception:  # as in Listener
                pass

    def _with(self, name, value, sessions):
        return sessions.having(name, value)

    def _make_room(self, newcomer):
        self._suspects = self._with("address", newcomer.address, self.sessions)
        super()._make_room(newcomer)
        self._displaced += [client for client in self._suspects if client not in self.sessions]
        self._checks.append((self._elapsed + CREDENTIAL_CHECK_MS, newcomer))
        if self.established:
            self.established(newcomer)

    def _victim(self, identity):
        victim = self.sessions.victim(identity)
        self._suspects.append(victim)
        return victim

    def _new_cid(self):
        if not self._cid_bytes or len(self.sessions) + len(self.half_open) >> 8 * self._cid_bytes:
            return None
        while True:
            cid = self._random(self._cid_bytes)
            if not self.sessions.having("cid", cid) and not self.half_open.having("cid", cid):
                return cid
