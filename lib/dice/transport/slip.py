# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Datagrams over a serial line, framed by SLIP (RFC 1055): RS-485, UART, USB (row 6).

A datagram stands between two END bytes; END and ESC in it are escaped. Nothing else is added, also no checksum: noise that goes
unnoticed here fails the tag of AES-CCM, and a datagram that lost bytes fails the length in its record header besides.
"""

import errno
import select

from ..limits import DATAGRAM_MAX_BYTES, SLIP_CHUNK_BYTES, SLIP_STALL_MS

_END = b"\xc0"
_ESC = b"\xdb"
_ESC_END = b"\xdb\xdc"
_ESC_ESC = b"\xdb\xdd"


class Serial:
    """Sends to and receives from everything on the line that `stream` is connected to.

    `stream` has write(), and read(n) that returns what has arrived, at most n bytes, and b"" or None where nothing has: a
    machine.UART as it is; on CPython a terminal or pipe opened without buffering whose descriptor does not block; on the unix
    port a file whose descriptor does not block, or a terminal set by `stty raw -echo min 0 time 0`.
    `dropped` counts the frames that were longer than `longest` bytes, or wrongly escaped.
    """

    def __init__(self, stream, longest=DATAGRAM_MAX_BYTES):
        self.socket = stream
        self._longest = longest
        self.dropped = 0
        self._any = getattr(stream, "any", None)  # a UART's read() waits for more than there is
        self._rest = b""  # read from the stream, and not yet looked at
        self._frame = bytearray()  # the frame that has begun, still escaped
        self._lost = False  # it is too long

    def send(self, datagram):
        """Send to all on the line; raises OSError, also when the line takes nothing for a second."""
        frame = bytes(datagram).replace(_ESC, _ESC_ESC).replace(_END, _ESC_END)
        view = memoryview(_END + frame + _END)  # the first one ends whatever noise came before
        while len(view):
            count = self.socket.write(view)
            if count:
                view = view[count:]
            else:
                poll = select.poll()
                poll.register(self.socket, select.POLLOUT)
                if not poll.poll(SLIP_STALL_MS):
                    raise OSError(errno.ETIMEDOUT)

    def receive(self):
        """Return the next datagram, or None where none is complete; raises OSError."""
        if not self._rest:
            self._rest = self._read()
        while self._rest:
            end = self._rest.find(_END)
            if end < 0:
                self._take(self._rest)
                self._rest = b""
                return None
            self._take(self._rest[:end])
            self._rest = self._rest[end + 1 :]
            datagram = self._finish()
            if datagram:
                return datagram
        return None

    def close(self):
        """Close the stream."""
        if hasattr(self.socket, "deinit"):
            self.socket.deinit()  # a UART has no close()
        else:
            self.socket.close()

    def _read(self):
        count = min(self._any(), SLIP_CHUNK_BYTES) if self._any else SLIP_CHUNK_BYTES
        return count and self.socket.read(count)

    def _take(self, part):
        """Append to the frame, within bounds: every byte of the longest datagram may be escaped."""
        if len(self._frame) + len(part) > 2 * self._longest:
            self._lost = True
        else:
            self._frame.extend(part)

    def _finish(self):
        """Return the datagram of the frame that has ended, or None, and begin the next."""
        frame = bytes(self._frame)
        lost = self._lost or frame.count(_ESC) != frame.count(_ESC_END) + frame.count(_ESC_ESC)
        frame = frame.replace(_ESC_END, _END).replace(_ESC_ESC, _ESC)
        self._frame = bytearray()
        self._lost = False
        if lost or len(frame) > self._longest:
            self.dropped += 1
            return None
        return frame
