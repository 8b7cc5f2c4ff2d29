# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The work of a group manager, which alone has the master key (TGK): derive the key of an epoch, and encode GSAs."""

from ..codes import GSA_FRESH, GSA_HAS_OWN
from ..crypto.hmac import p_sha256
from ..errors import FormatError
from ..reasons import E_EPOCH, E_SENDER_ID, E_VALUE
from ..wire import Writer
from .gsa import K08, checksum, decode

_TEK_CONSTANT = b"\x2a\xd0\x1c\x64"  # draft-keoh-tls-multicast-security-00, from MIKEY (RFC 3830, section 4.1.4)


def sender_id_max(layout):
    """Return the highest SenderID of a layout."""
    return 0xFF if layout == K08 else 0xFFFF


def mul_id_of(address):
    """Return the `mul_id` of a group's address of 4 or 16 bytes: 16 bytes, IPv4 mapped into IPv6."""
    return (bytes(10) + b"\xff\xff" + address)[-16:]


def traffic_key(tgk, mul_id, cs_id, rand):
    """Return the 16-byte TEK, the traffic encryption key of one epoch, from the master group key.

    `tgk` has 16 bytes or more, `mul_id` is mul_id_of() the group's address, `cs_id` has 4 bytes, `rand` 16. The TGK gives every
    TEK: members get the TEK alone.
    """
    return p_sha256(tgk, _TEK_CONSTANT + mul_id + cs_id + rand, 16)


def encode(gsa):
    """Return the encoding of a Gsa: a bytearray, so that the key in it can be overwritten after use.

    Raises FormatError unless decode() returns the same fields, so each is within the bounds of the struct in `group.gsa`.
    """
    if not 1 <= gsa.epoch <= 0xFFFF:
        raise FormatError(E_EPOCH)
    if [sender_id for sender_id, _ in gsa.senders if not 0 <= sender_id <= 0xFFFF] or not 0 <= (gsa.own_id or 0) <= 0xFFFF:
        raise FormatError(E_SENDER_ID)
    writer = Writer()
    try:
        writer.uint(1 if len(gsa.address) == 4 else 2, 1)  # devices that know no IPv6 read version 1
        writer.uint((GSA_FRESH if gsa.fresh else 0) | (0 if gsa.own_id is None else GSA_HAS_OWN), 1)
        writer.put(gsa.gid)
        writer.put(gsa.address)
        writer.uint(gsa.port, 2)
        writer.uint(gsa.suite, 2)
        writer.uint(gsa.layout, 1)
        writer.uint(gsa.derive, 1)
        writer.uint(gsa.epoch, 2)
        writer.vector(gsa.key, 1)
        writer.uint(gsa.own_id or 0, 2)
        writer.uint(gsa.own_next, 8)
        writer.uint(gsa.lifetime_s, 4)
        writer.uint(gsa.budget, 4)
        writer.uint(len(gsa.senders), 1)
        for sender_id, next_number in gsa.senders:
            writer.uint(sender_id, 2)
            writer.uint(next_number, 8)
    except OverflowError:
        raise FormatError(E_VALUE)
    writer.put(checksum(writer.data))
    if decode(writer.data).__dict__ != gsa.__dict__:
        raise FormatError(E_VALUE)
    return writer.data
