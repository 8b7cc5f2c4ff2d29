# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Datagrams over a serial line (RS-485, UART, USB), framed by SLIP (RFC 1055).

A datagram stands between two END bytes; END and ESC in it are escaped. Group records are recoded (dice.transport.recode). There is
no checksum: a record that is damaged on the line, or lost bytes, fails to authenticate.
"""

import errno
import select

from .._typing import TYPING
from ..limits import DATAGRAM_MAX_BYTES, SLIP_CHUNK_BYTES, SLIP_STALL_MS
from .recode import recode, restore

if TYPING:
    from typing import Any

    from ..types import Bytes

_END = b"\xc0"
_ESC = b"\xdb"
_ESC_END = b"\xdb\xdc"
_ESC_ESC = b"\xdb\xdd"


class Serial:
    """A group's transport to all devices on a serial line. `dropped` counts frames that are too long or wrongly escaped."""

    def __init__(self, stream: "Any", longest: int = DATAGRAM_MAX_BYTES, recode: bool = True) -> None:
        """Use a stream that does not block: read(n) returns at most n bytes, and b"" or None if there are none.

        * `stream`: a machine.UART; on CPython, a terminal or pipe opened without buffering, with a descriptor that does not block;
          on the unix port, a file with a descriptor that does not block, or a terminal set by `stty raw -echo min 0 time 0`.
        * `longest`: the longest datagram, in bytes.
        * `recode`: whether to send group records recoded, which devices of the time before do not read. Both forms are received
          in any case.
        """
        self.socket = stream
        self._longest = longest
        self.dropped = 0
        self._any = getattr(stream, "any", None)  # a UART's read() waits until it has n bytes
        self._rest = b""  # read from the stream, and not processed yet
        self._frame = bytearray()  # the current frame, still escaped
        self._lost = False  # whether the current frame is too long
        self._recode = recode

    def send(self, datagram: "Bytes") -> None:
        """Send to all devices on the line; raises OSError, also if the line accepts no byte for SLIP_STALL_MS."""
        frame = recode(datagram, self._recode).replace(_ESC, _ESC_ESC).replace(_END, _ESC_END)
        view = memoryview(_END + frame + _END)  # the first END ends a frame of noise
        while len(view):
            count = self.socket.write(view)
            if count:
                view = view[count:]
            else:
                poll = select.poll()
                poll.register(self.socket, select.POLLOUT)
                if not poll.poll(SLIP_STALL_MS):
                    raise OSError(errno.ETIMEDOUT)

    def receive(self) -> "bytes | None":
        """Return the next datagram, or None if none is complete; raises OSError."""
        if not self._rest:
            self._rest = self._read()
        while self._rest:
            end = self._rest.find(_END)
            if end < 0:
                self._append(self._rest)
                self._rest = b""
                return None
            self._append(self._rest[:end])
            self._rest = self._rest[end + 1 :]
            datagram = self._finish()
            if datagram:
                return datagram
        return None

    def close(self) -> None:
        """Close the stream."""
        if hasattr(self.socket, "deinit"):
            self.socket.deinit()  # a UART has no close()
        else:
            self.socket.close()

    def _read(self) -> "Any":
        count = min(self._any(), SLIP_CHUNK_BYTES) if self._any else SLIP_CHUNK_BYTES
        return count and self.socket.read(count)

    def _append(self, part: bytes) -> None:
        """Append to the frame, within bounds: every byte of the longest datagram may be escaped, and a byte 0 be before it."""
        if len(self._frame) + len(part) > 2 * self._longest + 1:
            self._lost = True
        else:
            self._frame.extend(part)

    def _finish(self) -> "bytes | None":
        """Return the datagram of the frame that has ended, or None if it is dropped; begin the next frame."""
        escaped = self._frame
        lost = self._lost
        self._frame = bytearray()  # first: a lack of memory costs this frame, and not the next one too
        self._lost = False
        frame = bytes(escaped)
        lost = lost or frame.count(_ESC) != frame.count(_ESC_END) + frame.count(_ESC_ESC)
        datagram = restore(frame.replace(_ESC_END, _END).replace(_ESC_ESC, _ESC))
        if lost or len(datagram) > self._longest:
            self.dropped += 1
            return None
        return datagram
