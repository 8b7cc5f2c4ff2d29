# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Sessions that outlive deep sleep and reboots (row 6).

What save() returns can be restored once, and only if nothing was saved or restored after it. So it cannot bring back numbers
that were used since, neither ours, which would repeat a nonce, nor the peer's, which would let records be replayed. The store
keeps for each name what is needed to tell: generation (40 bits) | sequence number up to which may have been sealed (24 bits).
A device that loses power in between connects anew.
"""

from .._compat import const
from ..errors import StoreError, UsageError
from ..limits import MASTER_SECRET_BYTES, RESERVE_RECORDS, WINDOW_BYTES
from ..reasons import E_NOT_CONNECTED, E_STALE
from ..replay import Window
from ..suites import SUITES
from ..wire import Reader, Writer
from .handshake import Handshake
from .keys import Secrets
from .record_layer import RecordLayer
from .resumption import unwrap, wrap
from .session import Session

_FORMAT = const(1)
_RANDOMS_BYTES = const(64)
_MARK_BITS = const(24)


class _Reserving(RecordLayer):
    """Writes ahead to the store how far it may number its records."""

    def reserve(self, store, name, generation, mark):
        """Number from `mark` on; raises StoreError."""
        self._store, self._name, self._generation = store, name, generation
        self.next = self.end = mark
        self._reserve()

    def _reserve(self):
        end = min(self.next + RESERVE_RECORDS, self.suite.records_max)
        self._store.put(self._name, self._generation << _MARK_BITS | end)
        self.end = end

    def seal(self, content_type, epoch, plaintext):
        """See RecordLayer; raises StoreError where it cannot be written ahead."""
        if epoch and self.end <= self.next < self.suite.records_max and self.window:
            self._reserve()
        return super().seal(content_type, epoch, plaintext)


def save(session, store, secret, random, name="dtls"):
    """Return a connected session as bytes, encrypted under `secret` (bytes, of the device); the session itself is at its end.

    `store` (see dice.store) must be there again for restore(); `random(n)` returns n random bytes. Raises UsageError, StoreError.
    """
    return wrap(secret, random, save_in_clear(session, store, name))


def save_in_clear(session, store, name="dtls"):
    """Return what save() returns, with all keys readable, for memory that nobody else can read."""
    if not session.connected:
        raise UsageError(E_NOT_CONNECTED)
    layer = session.layer
    suite, extended, secrets, session_id, ticket = session.agreed()
    kept = store.get(name)
    if kept is None:  # a number of this session's own, since what was saved before the store was lost must not fit again
        kept = int.from_bytes(secrets.export(b"dice sleep", layer.next.to_bytes(3, "big"), 8), "big")
    generation = (kept >> _MARK_BITS) + 1
    store.put(name, generation << _MARK_BITS | layer.next)
    writer = Writer()
    writer.uint(_FORMAT, 1)
    writer.uint(generation, 5)
    writer.uint(session.is_client << 1 | extended, 1)
    writer.uint(suite, 2)
    writer.uint(layer.record_max, 2)
    writer.uint(layer.window.next, 6)
    for part in (layer.keys, secrets.randoms, secrets.master):
        writer.put(part)
    for part in (layer.cid, layer.peer_cid, session_id, ticket, session.identity or b"", session.alpn or b""):
        writer.vector(part, 2)
    session.abandon()
    return bytes(writer.data)


def restore(data, store, secret, now, name="dtls", **options):
    """Return the session that save() made `data` of; `options` are those of Session.

    Raises StoreError where it is damaged, of another secret, or not the last that was saved: then connect anew.
    """
    clear = unwrap(secret, data)
    if clear is None:
        raise StoreError(E_STALE)
    return restore_in_clear(clear, store, now, name, **options)


def restore_in_clear(data, store, now, name="dtls", **options):
    """Return the session that save_in_clear() made `data` of; raises StoreError, and FormatError where it is cut short."""
    reader = Reader(data)
    if reader.uint(1) != _FORMAT:
        raise StoreError(E_STALE)
    generation = reader.uint(5)
    kept = store.get(name)
    if kept is None or kept >> _MARK_BITS != generation:
        raise StoreError(E_STALE)
    flags = reader.uint(1)
    role = Handshake(None, None, b"")
    role.extended = bool(flags & 1)
    role.suite = reader.uint(2)
    suite = SUITES[role.suite]
    layer = _Reserving(b"")
    layer.record_max = reader.uint(2)
    received = reader.uint(6)
    key_block = bytearray(reader.take(2 * suite.keys_bytes))
    randoms = reader.take(_RANDOMS_BYTES)
    role.secrets = Secrets(randoms[:32], randoms[32:], bytearray(reader.take(MASTER_SECRET_BYTES)))
    layer.cid, layer.peer_cid, role.session_id, role.ticket, identity, alpn = [reader.vector(2) for _ in range(6)]
    reader.end()
    role.identity = identity or None
    role.alpn = alpn or None
    layer.set_keys(key_block, bool(flags & 2), suite)
    layer.window = Window(received, bytearray(WINDOW_BYTES))
    layer.reserve(store, name, generation + 1, kept & (1 << _MARK_BITS) - 1)
    session = Session(role, now, **options)
    session.continue_with(layer, bool(flags & 2), now)
    return session
