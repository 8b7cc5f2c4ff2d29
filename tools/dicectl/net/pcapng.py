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


def _ip_udp(payload, source, target):
    """Return an IPv4 packet; `source` and `target` are (4 bytes, port)."""
    udp = struct.pack("!HHHH", source[1], target[1], 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 1, _UDP, 0, source[0], target[0])
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return head[:10] + struct.pack("!H", checksum) + head[12:] + udp


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
