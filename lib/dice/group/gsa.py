# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The group security association: all that a device must be given to take part in a group (row 5).

Its encoding uses the presentation language of RFC 5246, section 4, as the rest of DTLS does, so that a board needs no second
codec; docs/protocol.md is normative and has vectors.

struct {
    uint8 version = 1;
    uint8 flags;                   1: fresh, 2: has_own; others 0
    opaque gid[4];                 group id, random
    uint8 address[4];              IPv4 multicast
    uint16 port;
    CipherSuite suite;             C0A8 or C0A4
    uint8 layout;                  1: k08, 2: d00
    uint8 derive;                  1: sender, 2: shared
    uint16 epoch;                  1..65535
    opaque key<16..20>;            sender: TEK; shared: key | salt
    uint16 own_id;                 own SenderID, or ListenerID where it is not among the senders; 0 for a device without one
    uint64 own_next;               epoch | sequence number of the first record to send; 0 for a device that only listens
    uint32 lifetime_s;             0: unlimited
    uint32 budget;                 records that a sender may seal
    uint8 count;                   1..50
    struct { uint16 id; uint64 next; } senders[count];      next: epoch | lowest fresh sequence number; FF*8: unknown
    opaque check[4];               SHA-256 of all before it, truncated: finds damage, proves nothing
} GSA;
"""

from dice._compat import const
from dice.crypto import sha256
from dice.errors import FormatError
from dice.suites import tag_bytes
from dice.wire import Reader, Writer

_KEY_RECORDS_MAX = const(1 << 23)
_SENDERS_MAX = const(50)

_E_TRUNCATED = const(20)
_E_DAMAGED = const(22)
_E_VERSION = const(23)
_E_VALUE = const(24)
_E_SENDER_ID = const(25)
_E_EPOCH = const(26)
_E_BUDGET = const(27)
_E_ADDRESS = const(28)

# How a group re-splits the 48-bit sequence number of a record. A SenderID of 0 makes it bit-identical to one of unicast DTLS.
K08 = const(1)  # uint8 SenderID, uint40 sequence number: draft-keoh-dice-multicast-security-08, section 4
D00 = const(2)  # uint16 SenderID, uint32 sequence number: draft-keoh-dtls-multicast-security-00, section 3

DERIVE_SENDER = const(1)
DERIVE_SHARED = const(2)
UNKNOWN = (1 << 64) - 1  # of a sender's `next`

_VERSION = const(1)
_FRESH = const(1)
_HAS_OWN = const(2)
_CHECK_BYTES = const(4)


def sender_id_max(layout):
    """Return the highest SenderID of a layout."""
    return 0xFF if layout == K08 else 0xFFFF


def _check(body):
    digest = sha256()
    digest.update(body)
    return digest.digest()[:_CHECK_BYTES]


class Gsa:
    """What the struct above says, with `own_id` None for a listener without an id and `senders` a list of (id, next).

    `fresh`: the sequence numbers in it are news. Once a device has taken them over, they are history, which an attacker
    could have it believe again after a reboot: the device writes the GSA back with `fresh` False and trusts its store.
    """

    def __init__(self, gid, address, port, suite, layout, derive, epoch, key, own_id, own_next, lifetime_s, budget, senders, fresh):
        self.gid = gid
        self.address = address
        self.port = port
        self.suite = suite
        self.layout = layout
        self.derive = derive
        self.epoch = epoch
        self.key = key
        self.own_id = own_id
        self.own_next = own_next
        self.lifetime_s = lifetime_s
        self.budget = budget
        self.senders = senders
        self.fresh = fresh
        self.validate()

    def validate(self):
        """Raise FormatError unless every field is what the struct allows."""
        if len(self.address) != 4 or not 224 <= self.address[0] <= 239 or not 1 <= self.port <= 0xFFFF:
            raise FormatError(_E_ADDRESS)
        if len(self.gid) != 4 or not 0 <= self.lifetime_s < 1 << 32:
            raise FormatError(_E_VALUE)
        if tag_bytes(self.suite) is None or self.layout not in (K08, D00):
            raise FormatError(_E_VALUE)
        if len(self.key) != {DERIVE_SENDER: 16, DERIVE_SHARED: 20}.get(self.derive):
            raise FormatError(_E_VALUE)
        if self.own_id is None and self.own_next:
            raise FormatError(_E_VALUE)
        if not 1 <= self.epoch <= 0xFFFF or self.own_next >> 48 > self.epoch:
            raise FormatError(_E_EPOCH)
        self._validate_senders()
        # Records sealed with one key are summed over all who hold it.
        sharers = len(self.senders) if self.derive == DERIVE_SHARED else 1
        if not 1 <= self.budget * sharers <= _KEY_RECORDS_MAX:
            raise FormatError(_E_BUDGET)

    def _validate_senders(self):
        ids = [sender_id for sender_id, _ in self.senders]
        if (
            not 1 <= len(ids) <= _SENDERS_MAX
            or len(set(ids)) != len(ids)
            or not 0 <= min(ids) <= max(ids) <= sender_id_max(self.layout)
        ):
            raise FormatError(_E_SENDER_ID)
        if (
            self.own_id is not None
            and self.own_id not in ids
            and (self.own_next or not 0 <= self.own_id <= sender_id_max(self.layout))
        ):
            raise FormatError(_E_SENDER_ID)
        for _, following in self.senders:
            if following != UNKNOWN and following >> 48 > self.epoch:
                raise FormatError(_E_EPOCH)

    def encode(self):
        """Return the encoding as a bytearray: it holds the key, so overwrite it after use."""
        writer = Writer()
        writer.uint(_VERSION, 1)
        writer.uint((_FRESH if self.fresh else 0) | (0 if self.own_id is None else _HAS_OWN), 1)
        writer.put(self.gid)
        writer.put(self.address)
        writer.uint(self.port, 2)
        writer.uint(self.suite, 2)
        writer.uint(self.layout, 1)
        writer.uint(self.derive, 1)
        writer.uint(self.epoch, 2)
        writer.vector(self.key, 1)
        writer.uint(self.own_id or 0, 2)
        writer.uint(self.own_next, 8)
        writer.uint(self.lifetime_s, 4)
        writer.uint(self.budget, 4)
        writer.uint(len(self.senders), 1)
        for sender_id, following in self.senders:
            writer.uint(sender_id, 2)
            writer.uint(following, 8)
        writer.put(_check(writer.data))
        return writer.data


def decode(data):
    """Return the Gsa that `data` encodes; raises FormatError."""
    view = memoryview(data)
    if len(view) <= _CHECK_BYTES:
        raise FormatError(_E_TRUNCATED)
    if view[0] != _VERSION:
        raise FormatError(_E_VERSION)
    if view[-_CHECK_BYTES:] != _check(view[:-_CHECK_BYTES]):
        raise FormatError(_E_DAMAGED)
    reader = Reader(view[1:-_CHECK_BYTES])
    flags = reader.uint(1)
    if flags & ~(_FRESH | _HAS_OWN):
        raise FormatError(_E_VALUE)
    gid = reader.take(4)
    address = reader.take(4)
    port = reader.uint(2)
    suite = reader.uint(2)
    layout = reader.uint(1)
    derive = reader.uint(1)
    epoch = reader.uint(2)
    key = bytearray(reader.vector(1))
    own_id = reader.uint(2)
    own_next = reader.uint(8)
    lifetime_s = reader.uint(4)
    budget = reader.uint(4)
    senders = [(reader.uint(2), reader.uint(8)) for _ in range(reader.uint(1))]
    reader.end()
    if not flags & _HAS_OWN:
        if own_id:
            raise FormatError(_E_VALUE)
        own_id = None
    fresh = bool(flags & _FRESH)
    return Gsa(gid, address, port, suite, layout, derive, epoch, key, own_id, own_next, lifetime_s, budget, senders, fresh)
