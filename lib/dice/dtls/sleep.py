# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Sessions that outlive deep sleep and reboots.

Only the newest save under a name can be restored, once: an older one would reuse our nonces and reopen the replay window. For that
the store keeps, by name, generation (40 bits) | the sequence number below which records may have been sealed (24 bits). The
generation of a save is derived from its session, from how far that has sent and received, from the name, and from what the store
held under it. So no two different saves have the same one, whatever the store has forgotten or other sessions have written
meanwhile. While a restored session runs, the store holds the next generation, and each reservation of sequence numbers fails if it
does not: then another session was saved or restored under this name, or the store has lost its contents. A device that loses power
before it saves connects anew.
"""

from .._compat import const
from .._typing import TYPING
from ..errors import StoreError, UsageError
from ..limits import DATAGRAM_MAX_BYTES, MASTER_SECRET_BYTES, RESERVE_RECORDS, TIMER_MS, WINDOW_BYTES
from ..reasons import E_NOT_CONNECTED, E_STALE
from ..replay import Window
from ..suites import SUITES
from ..wire import Reader, Writer
from .handshake import Handshake, Secrets
from .record_layer import RecordLayer
from .resumption import unwrap, wrap
from .session import Session

if TYPING:
    from collections.abc import Callable

    from ..types import Store

_FORMAT = const(2)
_RANDOMS_BYTES = const(64)
_MARK_BITS = const(24)


def _mark(store, name, generation):
    """Return the sequence number that the store keeps for a generation; raises StoreError if it holds another one."""
    kept = store.get(name)
    if kept is None or kept >> _MARK_BITS != generation:
        raise StoreError(E_STALE)
    return kept & (1 << _MARK_BITS) - 1


class _Reserving(RecordLayer):
    """Reserves sequence numbers in the store before it uses them."""

    def __init__(self, store, name, generation):
        super().__init__()
        self._store, self._name, self._generation = store, name, generation

    def reserve(self, keys):
        """Reserve the next numbers of an Epoch; raises StoreError."""
        end = min(keys.next + RESERVE_RECORDS, keys.suite.records_max)
        self._store.put(self._name, self._generation << _MARK_BITS | end)
        keys.end = end

    def seal(self, content_type, epoch, plaintext):
        """See RecordLayer; raises StoreError if numbers cannot be reserved, or the store is not this session's any more."""
        keys = self.epochs.get(epoch)
        if keys and keys.suite and keys.end <= keys.next < keys.suite.records_max:
            _mark(self._store, self._name, self._generation)
            self.reserve(keys)
        return super().seal(content_type, epoch, plaintext)


def save(session: Session, store: "Store", secret: bytes, random: "Callable[[int], bytes]", name: str = "dtls") -> bytes:
    """Return a connected session as bytes, encrypted under `secret` (bytes, of the device); the session itself is at its end.

    It is so also if the store fails: then connect anew. `store` (see dice.store) must be there again for restore(), and holds one
    session for each `name`; `random(n)` returns n random bytes. Raises UsageError, StoreError.

    A program that restores a session with another key exchange than a Psk makes its credentials before, so that its cipher suite is
    known.
    """
    return wrap(secret, random, save_in_clear(session, store, name))


def save_in_clear(session, store, name="dtls"):
    """Return the same as save() with readable keys, for memory that nobody else can read."""
    if not session.connected:
        raise UsageError(E_NOT_CONNECTED)
    layer = session.layer
    secrets = session.secrets
    epoch = layer.epochs[layer.epoch]
    received = epoch.window.next.to_bytes(7, "big")  # 2^48 after the last number of all
    kept = (store.get(name) or 0).to_bytes(8, "big")
    generation = secrets.export(b"dice sleep", epoch.next.to_bytes(3, "big") + received + kept + name.encode(), 5)
    number = int.from_bytes(generation, "big") << _MARK_BITS | epoch.next
    writer = Writer()
    writer.uint(_FORMAT, 1)
    writer.uint(session.is_client << 1 | session.extended, 1)
    writer.uint(session.suite, 2)
    writer.uint(layer.record_max, 2)
    for part in (generation, received, layer.keys, secrets.randoms, secrets.master):
        writer.put(part)
    for part in (layer.cid, layer.peer_cid, session.session_id, session.ticket, session.identity or b"", session.alpn or b""):
        writer.vector(part, 2)
    session.abandon()  # first: a write that fails may still reach the store, and with it what this session was earlier
    store.put(name, number)
    return bytes(writer.data)


def restore(
    data: bytes,
    store: "Store",
    secret: bytes,
    now: int,
    name: str = "dtls",
    timer_ms: int = TIMER_MS,
    mtu: int = DATAGRAM_MAX_BYTES,
) -> Session:
    """Return the Session of `data`, a result of save(); `timer_ms` and `mtu` are as for dice.connect.

    Raises StoreError if it is damaged, of another secret, or not the last that was saved: then connect anew.
    """
    clear = unwrap(secret, data)
    if clear is None:
        raise StoreError(E_STALE)
    return restore_in_clear(clear, store, now, name, timer_ms, mtu)


def restore_in_clear(data, store, now, name="dtls", timer_ms=TIMER_MS, mtu=DATAGRAM_MAX_BYTES):
    """Return the Session of `data`, a result of save_in_clear(); raises StoreError, and FormatError if it is truncated."""
    reader = Reader(data)
    if reader.uint(1) != _FORMAT:
        raise StoreError(E_STALE)
    flags = reader.uint(1)
    role = Handshake(None, None, b"")
    role.connected = True
    role.is_client = flags > 1
    role.extended = flags % 2 == 1
    role.suite = reader.uint(2)
    suite = SUITES.get(role.suite) or SUITES.get(-role.suite)
    if not suite:
        raise StoreError(E_STALE)
    record_max = reader.uint(2)
    generation = reader.uint(5)
    next_number = _mark(store, name, generation)
    layer = _Reserving(store, name, generation + 1)
    layer.record_max = record_max
    received = reader.uint(7)
    layer.set_keys(bytearray(reader.take(2 * suite.keys_bytes)), role.is_client, suite)
    randoms = reader.take(_RANDOMS_BYTES)
    role.secrets = Secrets(randoms[:32], randoms[32:], bytearray(reader.take(MASTER_SECRET_BYTES)))
    layer.cid, layer.peer_cid, role.session_id, role.ticket, identity, alpn = [reader.vector(2) for _ in range(6)]
    reader.end()
    role.identity = identity or None
    role.alpn = alpn or None
    epoch = layer.epochs[layer.epoch]
    epoch.window = Window(received, bytearray(WINDOW_BYTES))
    epoch.next = next_number
    layer.reserve(epoch)
    return Session(role, layer, now, timer_ms, mtu)
