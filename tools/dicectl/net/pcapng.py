# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Writes captures in the pcapng format (draft-ietf-opsawg-pcapng); Wireshark shows the comment of each packet."""

import struct

_LINKTYPE_RAW = 101  # packets begin with the IP header
_COMMENT = 1
_UDP = 17


def _block(kind, body):
    body += bytes(-len(body) % 4)
    size = 12 + len(body)
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _checksum(data):
    """Return the Internet checksum (RFC 1071) of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ip_udp(payload, source, target):
    """Return an IP packet; `source` and `target` are (address of 4 or of 16 bytes, port)."""
    size = 8 + len(payload)
    if len(target[0]) == 4:
        udp = struct.pack("!HHHH", source[1], target[1], size, 0) + payload  # without a checksum
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + size, 0, 0, 1, _UDP, 0, source[0], target[0])
        return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + udp
    addresses = source[0] + target[0]
    udp = struct.pack("!HHHH", source[1], target[1], size, 0) + payload
    pseudo_header = addresses + struct.pack("!II", size, _UDP)
    checksum = _checksum(pseudo_header + udp + bytes(size % 2)) or 0xFFFF
    return struct.pack("!IHBB", 6 << 28, size, _UDP, 1) + addresses + udp[:6] + struct.pack("!H", checksum) + payload


class Writer:
    """Writes a capture to an open binary file."""

    def __init__(self, file):
        self._file = file
        file.write(_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        file.write(_block(1, struct.pack("<HHI", _LINKTYPE_RAW, 0, 0)))
        file.flush()

    def packet(self, seconds, payload, source, target, comment):
        """Write a UDP datagram; `seconds` is the time since 1970."""
        packet = _ip_udp(payload, source, target)
        us = int(seconds * 1e6)
        text = comment.encode()
        body = struct.pack("<IIIII", 0, us >> 32, us & 0xFFFFFFFF, len(packet), len(packet)) + packet + bytes(-len(packet) % 4)
        body += struct.pack("<HH", _COMMENT, len(text)) + text + bytes(-len(text) % 4) + struct.pack("<HH", 0, 0)
        self._file.write(_block(6, body))
        self._file.flush()
