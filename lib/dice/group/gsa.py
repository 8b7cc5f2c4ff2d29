# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The group security association (GSA): everything that a device needs to take part in a group.

Its encoding is in the presentation language of RFC 5246, section 4, like the rest of DTLS, so that a board needs no second codec.
docs/protocol.md, section 4, is normative and has vectors. `group.gsa_encode` encodes; no board does.

struct {
    uint8 version;                 1: IPv4, 2: IPv6
    uint8 flags;                   1: fresh, 2: has_own; others 0
    opaque gid[4];                 group id, random
    uint8 address[4 or 16];        multicast
    uint16 port;
    CipherSuite suite;             C0A8 or C0A4
    uint8 layout;                  1: k08, 2: d00
    uint8 derive;                  1: sender, 2: shared
    uint16 epoch;                  1..65535
    opaque key<16..20>;            sender: TEK; shared: key | salt
    uint16 own_id;                 own SenderID, or ListenerID if it is not among the senders; 0 for a device without one
    uint64 own_next;               epoch | sequence number of the first record to send; 0 for a device that only listens
    uint32 lifetime_s;             0: unlimited
    uint32 budget;                 records that a sender may seal
    uint8 count;                   0..50
    struct { uint16 id; uint64 next; } senders[count];      next: epoch | lowest fresh sequence number; FF*8: unknown
    opaque check[4];               SHA-256 of all before it, truncated: finds damage, proves nothing
} GSA;
"""

from struct import unpack_from

from .._compat import const
from ..codes import GSA_FRESH, GSA_HAS_OWN
from ..crypto import sha256
from ..errors import FormatError
from ..limits import SENDERS_MAX
from ..reasons import E_ADDRESS, E_BUDGET, E_DAMAGED, E_EPOCH, E_SENDER_ID, E_TRAILING, E_TRUNCATED, E_VALUE, E_VERSION
from ..suites import SUITES

# How a group re-splits the 48-bit sequence number of a record. A SenderID of 0 makes it bit-identical to one of unicast DTLS.
K08 = const(1)  # uint8 SenderID, uint40 sequence number: draft-keoh-dice-multicast-security-08, section 4
D00 = const(2)  # uint16 SenderID, uint32 sequence number: draft-keoh-dtls-multicast-security-00, section 3

DERIVE_SENDER = const(1)
DERIVE_SHARED = const(2)
UNKNOWN = (1 << 64) - 1  # value of a sender's `next`

_CHECK_BYTES = const(4)
_KEY_AT = const(15)  # after an address of no bytes
_NUMBERS_BYTES = const(19)  # from own_id to count
_SENDER_BYTES = const(10)
_SHORTEST_BYTES = const(305)  # the longest GSA without senders


class Gsa:
    """The fields of the struct above, with `own_id` None for a device without an id, and `senders` a list of (id, next).

    `fresh`: its sequence numbers have not been copied into the store yet. Once they are, they are stale, and restoring the old file
    would roll them back: so the file is rewritten by without_fresh_flag().
    """

    def __init__(self, **fields):
        """Take all fields. decode() checks them; `group.gsa_encode` encodes only what decode() accepts."""
        for name in fields:
            setattr(self, name, fields[name])


def checksum(body, size=_CHECK_BYTES):
    """Return the first `size` bytes of SHA-256 of `body`: for an encoded GSA 4, of all before them."""
    digest = sha256()
    digest.update(body)
    return digest.digest()[:size]


def without_fresh_flag(data):
    """Return an encoded GSA without the flag `fresh`: a bytearray, so that the key in it can be overwritten."""
    data = bytearray(data)
    data[1] &= ~GSA_FRESH
    data[-_CHECK_BYTES:] = checksum(memoryview(data)[:-_CHECK_BYTES])
    return data


def decode(data):
    """Return the Gsa that `data` encodes; raises FormatError."""
    end = len(data) - _CHECK_BYTES
    if end < 1:
        raise FormatError(E_TRUNCATED)
    start = 12 * data[0] - 8  # bytes of the address
    if start not in (4, 16):
        raise FormatError(E_VERSION)
    body = memoryview(data)[:end]
    if data[end:] != checksum(body):
        raise FormatError(E_DAMAGED)
    body = bytes(body) + bytes(_SHORTEST_BYTES)  # truncation is detected below, once
    flags, gid, address, port, suite, layout, derive, epoch, at = unpack_from(">xB4s%dsHHBBHB" % start, body)
    start += _KEY_AT
    at += start
    key = bytearray(body[start:at])
    own_id, own_next, lifetime_s, budget, count = unpack_from(">HQIIB", body, at)
    at += _NUMBERS_BYTES
    size = at + _SENDER_BYTES * count
    if end < size:
        raise FormatError(E_TRUNCATED)
    if end > size:
        raise FormatError(E_TRAILING)
    senders = []
    highest = own_id
    newest = own_next >> 48
    while at < end:
        sender_id, next_number = entry = unpack_from(">HQ", body, at)
        senders.append(entry)
        highest = max(highest, sender_id)
        if next_number != UNKNOWN:
            newest = max(newest, next_number >> 48)
        at += _SENDER_BYTES
    numbers = dict(senders)
    # The records that are sealed with one key are summed over all its holders.
    sharers = (derive == DERIVE_SHARED and count) or 1
    if not port or (address[0] != 0xFF if address[4:] else address[0] >> 4 != 0xE):
        raise FormatError(E_ADDRESS)
    if (
        flags > GSA_FRESH | GSA_HAS_OWN
        or (flags < GSA_HAS_OWN and (own_id or own_next))
        or suite not in SUITES
        or layout not in (K08, D00)
        or derive not in (DERIVE_SENDER, DERIVE_SHARED)
        or len(key) != (16 if derive == DERIVE_SENDER else SUITES[suite].keys_bytes)
    ):
        raise FormatError(E_VALUE)
    if not len(numbers) == count <= SENDERS_MAX or (own_next and own_id not in numbers) or (layout == K08 and highest > 0xFF):
        raise FormatError(E_SENDER_ID)
    if not epoch or epoch < newest:
        raise FormatError(E_EPOCH)
    if not 1 <= budget * sharers <= SUITES[suite].records_max:
        raise FormatError(E_BUDGET)
    return Gsa(
        gid=gid,
        address=address,
        port=port,
        suite=suite,
        layout=layout,
        derive=derive,
        epoch=epoch,
        key=key,
        own_id=own_id if flags & GSA_HAS_OWN else None,
        own_next=own_next,
        lifetime_s=lifetime_s,
        budget=budget,
        senders=senders,
        fresh=bool(flags & GSA_FRESH),
    )
