# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Executes code in MicroPython's raw REPL while a timer of the board's program prints, which mpremote takes for its answers.

A board writes control characters that programs do not print. Everything else may be a program's, at any place.
"""

import time

_END = b"\x04"
_PASTE = b"\x05A\x01"  # begins the raw paste mode, which has flow control
_PASTES, _PASTES_NOT = b"R\x01", b"R\x00"
_KNOWS_NO_PASTE = b"w REPL; CTRL-B to exit\r\n"
_MORE = b"\x01"  # the board has taken a window
_PIECE_BYTES = 256  # without flow control
_PIECE_S = 0.01


class RawCode:
    """Code for one board, over pyserial's object, whose reads time out soon. `printed`: what came since the last execute()."""

    def __init__(self, serial):
        self._serial = serial
        self._pastes = True
        self._idle_s = self._end_s = None
        self.printed = bytearray()

    def execute(self, code, idle_s, limit_s, consumer=None):
        """Execute code; return (output, traceback) as bytes, with what a program printed among them.

        Raises OSError after `idle_s` without a byte, or after `limit_s` unless that is None. consumer(bytes) gets the output, and
        b"" at its end: a consumer that knows better raises, since a program may have printed the end mark.
        """
        self._idle_s = idle_s
        self._end_s = None if limit_s is None else time.monotonic() + limit_s
        self.printed.clear()
        self._send(code.encode())
        self.printed.clear()
        output = self._until(_END, consumer=consumer)
        if consumer:
            consumer(b"")
        return output, self._until(_END)

    def _byte(self):
        """Return the next byte."""
        silent_s = time.monotonic() + self._idle_s
        while not (byte := self._serial.read(1)):
            if time.monotonic() >= silent_s:
                raise OSError("silent")
        if self._end_s is not None and time.monotonic() >= self._end_s:
            raise OSError("only its program prints")
        return byte

    def _until(self, *endings, consumer=None):
        """Return what comes before one of `endings`, and with it if there are several."""
        seen = bytearray()
        while not seen.endswith(endings):
            byte = self._byte()
            seen += byte
            if byte not in endings:
                self.printed += byte
                if consumer:
                    consumer(byte)
        return bytes(seen) if len(endings) > 1 else bytes(seen[: -len(endings[0])])

    def _send(self, code):
        if self._pastes:
            self._serial.write(_PASTE)
            if self._until(_PASTES, _PASTES_NOT, _KNOWS_NO_PASTE).endswith(_PASTES):
                self._paste(code)
                return
            self._pastes = False
        for at in range(0, len(code), _PIECE_BYTES):
            self._serial.write(code[at : at + _PIECE_BYTES])
            time.sleep(_PIECE_S)
        self._serial.write(_END)
        self._until(b"OK")

    def _paste(self, code):
        """Send code as the board makes room for it."""
        window = int.from_bytes(self._byte() + self._byte(), "little")
        if not window:
            raise OSError("it has no room for code")
        room = window
        while code:
            while not room or self._serial.in_waiting:
                byte = self._byte()
                if byte == _END:  # it takes no more, and says why
                    self._serial.write(_END)
                    return
                room += window if byte == _MORE else 0
            self._serial.write(code[:room])
            code, room = code[room:], room - len(code[:room])
        self._serial.write(_END)
        self._until(_END)
