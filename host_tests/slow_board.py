# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A double of a board on a serial port, a pseudo-terminal: MicroPython's raw REPL as shared/runtime/pyexec.c has it, but slow.

CPython executes what it is sent, in one dict of globals, so only simple code runs.

* `thinks_s`: the time that it thinks before each answer.
* `deaf_s`: the time after power on in which it loses what it receives, as while it boots; `noise` is what it prints then.
* `chatter`: what a timer of its program prints before everything that the board writes, and between two lines; `splits`: also in
  the middle of a line.
* `holds`: how many Ctrl-Cs the program that it runs catches.
* `pastes`: whether it has the raw paste mode.
"""

import contextlib
import io
import os
import queue
import threading
import time
import tty

_BANNER = b"raw REPL; CTRL-B to exit\r\n>"


class SlowBoard:
    """A board; a context manager. `port` is the path of its port, `codes` lists what it was sent to execute."""

    def __init__(self, thinks_s=0.0, deaf_s=0.0, noise=b"", holds=0, pastes=True, chatter=b"", splits=False):
        self.codes = []
        self._thinks_s = thinks_s
        self._deaf_s = deaf_s
        self._noise = noise
        self._holds = holds
        self._pastes = pastes
        self.chatter = chatter
        self._splits = splits
        self._endless = b""
        self._pasting = False
        self._globals = {"__name__": "__main__"}
        self._raw = False
        self._running = True  # its main.py
        self._code = b""
        self._answers = queue.Queue()

    def __enter__(self):
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._on_s = time.monotonic()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._listen, self._speak)]
        if self._noise:
            self._answers.put((0, self._noise))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._answers.put(None)
        self._threads[1].join()
        os.close(self._slave)  # the listener ends with OSError
        self._threads[0].join(5)
        os.close(self._master)

    def _say(self, data):
        self._answers.put((time.monotonic() + self._thinks_s, self.chatter + data))

    def _next(self):
        try:
            return self._answers.get(timeout=0.01 if self._endless else None)
        except queue.Empty:
            return 0, self._endless

    def chat_until_closed(self, begin, data):
        """Answer code with `begin`, and then with `data` again and again; to stand in for _run()."""
        self._answers.put((0, begin))
        self._endless = data

    def _speak(self):
        while (answer := self._next()) is not None:
            due_s, data = answer
            time.sleep(max(0, due_s - time.monotonic()))
            os.write(self._master, data)

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                for byte in os.read(self._master, 1024):
                    if time.monotonic() - self._on_s >= self._deaf_s:
                        self._take(bytes([byte]))

    def _take(self, byte):
        """Take one byte."""
        if self._running:
            if byte == b"\x03":
                self._holds -= 1
                if self._holds < 0:
                    self._running = False
                    self._say(b"Traceback (most recent call last):\r\nKeyboardInterrupt: \r\n>>> ")
        elif not self._raw:
            if byte == b"\x01":
                self._raw, self._code = True, b""
                self._say(_BANNER)
            elif byte == b"\x04":
                self._say(b"MPY: soft reboot\r\n")
                self._running = True
            elif byte in b"\r\x03":
                self._say(b"\r\n>>> ")
        else:
            self._take_raw(byte)

    def _take_raw(self, byte):
        if self._code == b"\x05A" and byte == b"\x01":
            self._code = b""
            self._say(b"R\x00" if not self._pastes else b"R\x01\x80\x00\x01")
            self._pasting = self._pastes
            return
        if byte == b"\x01":
            self._code = b""
            self._say(_BANNER)
        elif byte == b"\x02":
            self._raw = False
            self._say(b"\r\n>>> ")
        elif byte == b"\x03":
            self._code = b""
        elif byte == b"\x04":
            pasted, self._pasting = self._pasting, False
            self._run(b"\x04" if pasted else b"OK")
        else:
            self._code += byte
            if self._pasting and len(self._code) % 0x80 == 0:
                self._say(b"\x01")

    def _run(self, begin):
        code, self._code = self._code.decode().strip("\r"), b""
        self.codes.append(code)
        output, trouble = io.StringIO(), ""
        try:
            with contextlib.redirect_stdout(output):
                exec(code, self._globals)
        except Exception as error:
            trouble = f"Traceback (most recent call last):\r\n{type(error).__name__}: {error}\r\n"
        printed = b"".join(map(self._line, output.getvalue().splitlines(True)))
        # Nothing else is executed between the two, see pyexec.c.
        self._say(begin + self.chatter + printed + b"\x04" + trouble.encode() + b"\x04" + self.chatter + b">")

    def _line(self, text):
        line = text.replace("\n", "\r\n").encode()
        half = len(line) // 2 if self._splits else 0
        return line[:half] + self.chatter + line[half:]
