# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The raw REPL of a connected board, by mpremote's transport; one connection serves a whole command.

Scripts of on_device/ are sent to the board's RAM. Their functions answer with the repr of plain values, one a print. Each print
gets a mark when it is sent, so that nothing is taken for an answer that a timer of the board's program prints.
"""

import ast
import contextlib
import os
import re
import time

from dicectl import resources, system
from dicectl.board.raw_code import RawCode
from dicectl.errors import FAILED, NO_DEVICE, USAGE, CommandError, DeviceError
from dicectl.text import printable

_ANSWER_S = 30  # time limit of a byte of an answer; hashing a large file in an emulator takes seconds
_LIMIT_S = 300  # time limit of an answer: a program that prints makes it no longer
_READ_S = 0.1  # time limit of a read, between two looks at the clock
_EMULATED = 10  # times as long for an emulator, whose computer may be busy
_GREETING_S = 20  # a board may boot, be busy, or be behind a slow line
_AGAIN_S = 5  # between two greetings; a board that boots loses the first one, and a program may catch the first Ctrl-C
_GREETING = (b"\r\x03", b"\r\x01")  # Ctrl-C: end the program; Ctrl-A: raw REPL
_BANNER = b"raw REPL; CTRL-B to exit\r\n"
_PSEUDO_TERMINAL = re.compile(r"/dev/(pts/|ttys)\d")  # on Linux and macOS
_BOOT_S = 60  # boot.py may wait for a network
_SHOWN = 80  # characters of what a program printed
_ANSWER = "_dicectl_answer"
# Each script gets this before it: the function, and how often it was called, since a whole answer may be lost.
_ANSWERING = """
_dicectl_count = [0]
def _dicectl_answer(value):
 text = str(value)
 _dicectl_count[0] += 1
 print("%s%%d %%s" %% (len(text), text))
"""
_CALL = "_dicectl_count[0] = 0\n{call}\nprint('{mark}= %d' % _dicectl_count[0])"


def _emulated(port):
    """Return whether a port is a pseudo-terminal, which no board of hardware has."""
    return bool(_PSEUDO_TERMINAL.match(os.path.realpath(port)))


def _limit_s(port, seconds):
    return seconds * (_EMULATED if _emulated(port) else 1)


def found():
    """Return the serial ports of USB devices, sorted."""
    from serial.tools import list_ports

    return sorted(candidate.device for candidate in list_ports.comports() if candidate.vid is not None)


def find(port):
    """Return the port to use: `port` if given, otherwise the only USB serial port; raises CommandError (no device)."""
    if port:
        if os.sep in port and "://" not in port and not os.path.exists(port):
            raise CommandError(f"there is no {port}: connect the board, or omit --port to find it", NO_DEVICE)
        return port
    ports = found()
    if not ports:
        raise CommandError("no board is connected by USB: connect one, or name its serial port with --port", NO_DEVICE)
    if len(ports) > 1:
        raise CommandError(f"several boards are connected: choose one with --port {', --port '.join(ports)}", USAGE)
    return ports[0]


def _open(port):
    """Return mpremote's transport to a port; raises CommandError."""
    from mpremote.transport import TransportError
    from mpremote.transport_serial import SerialTransport

    answer_s = _limit_s(port, _ANSWER_S)

    class Patient(SerialTransport):
        """mpremote's transport with our time limit instead of 10 s."""

        def read_until(self, min_num_bytes, ending, timeout=answer_s, **options):
            return super().read_until(min_num_bytes, ending, timeout, **options)

    try:
        return Patient(port, timeout=_READ_S)
    except (TransportError, OSError, ValueError):
        if os.path.exists(port) and not os.access(port, os.R_OK | os.W_OK):
            raise CommandError(f"{port} may not be opened: become a member of its group (on Debian: adduser $USER dialout)")
        if users := system.users(port):
            raise CommandError(f"{port} is in use by {users}: end that first", FAILED)
        if os.path.exists(port):
            raise CommandError(f"{port} is not a serial port, or another program uses it: close that program", FAILED)
        raise CommandError(f"{port} cannot be opened: check that the board is connected to that port", NO_DEVICE)


class Bare(ast.NodeTransformer):
    """Removes docstrings, so that the board need not compile them."""

    def visit_Expr(self, node):
        """Replace a constant expression by `pass`, because it may be the whole body of a function."""
        return ast.Pass() if isinstance(node.value, ast.Constant) else node


class _Marked(ast.NodeTransformer):
    """Makes each print an answer."""

    def visit_Name(self, node):
        """Rename `print`."""
        return ast.Name(_ANSWER, node.ctx) if node.id == "print" else node


class Device:
    """A board whose program is interrupted; a context manager, at whose end the program restarts."""

    def __init__(self, port=None):
        self.port = find(port)
        self._transport = _open(self.port)
        self._code = RawCode(self._transport.serial)
        self._mark = f"~{os.urandom(4).hex()}:"

    @property
    def emulated(self):
        """Whether the board is an emulated one."""
        return _emulated(self.port)

    def __enter__(self):
        from mpremote.transport import TransportError

        serial = self._transport.serial
        try:
            greetings = self._greet(serial)
            self._transport.in_raw_repl = True
            if greetings > 1:
                self._pass_late_answers(serial)
            return self
        except (TransportError, OSError) as error:
            self._hang_up()
            raise CommandError(
                f"no MicroPython answers on {self.port}: press reset and try again, or `dicectl flash` it", NO_DEVICE
            ) from error

    def _greet(self, serial):
        """Greet the board until it enters the raw REPL; return how often. Raises OSError."""
        seen, greetings, begun_s = b"", 0, time.monotonic()
        while _BANNER not in seen:
            elapsed_s = time.monotonic() - begun_s
            if elapsed_s > _GREETING_S:
                raise OSError("silent")
            if elapsed_s >= greetings * _AGAIN_S:
                for keys in _GREETING:
                    serial.write(keys)
                greetings += 1
            seen = seen[-len(_BANNER) :] + serial.read(1)
        return greetings

    def _pass_late_answers(self, serial):
        """Discard the answers to further greetings, which would be taken for those to what we send: they end before this one."""
        mark = os.urandom(4).hex()
        serial.write(f"print('{mark[:4]}'+'{mark[4:]}')\x04".encode())
        end = f"{mark}\r\n\x04\x04".encode()
        limit_s = _limit_s(self.port, _ANSWER_S)
        if not self._transport.read_until(1, end, limit_s, timeout_overall=limit_s).endswith(end):
            raise OSError("it does not execute code")

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._transport.serial.write(b"\r\x02\x04")  # Ctrl-B: friendly REPL; Ctrl-D: soft reset, which runs main.py
        self._hang_up()

    def _hang_up(self):
        with contextlib.suppress(OSError):
            self._transport.close()

    def restart(self):
        """Restart MicroPython, so that its heap is as after power on; boot.py runs, main.py does not. Raises CommandError."""
        self._exchange((b"\r\x03\r\x01", _BANNER + b">"), (b"\x04", _BANNER))  # Ctrl-D: soft reset

    def settle(self):
        """Wait until the board takes code after follow(), which may have restarted MicroPython. Raises CommandError."""
        seen = self._exchange((b"", b">"))
        if b"soft reboot\r\n" in seen and not seen.endswith(_BANNER + b">"):  # boot.py has printed the >
            self._exchange((b"", _BANNER + b">"))

    def _exchange(self, *pairs):
        """Send keys and wait for their answer, one pair after the other; return the last answer with what came before it."""
        try:
            for keys, answer in pairs:
                self._transport.serial.write(keys)
                seen = self._transport.read_until(1, answer, timeout=_BOOT_S, timeout_overall=_BOOT_S)
                if not seen.endswith(answer):
                    raise OSError("silent")
            return seen
        except OSError as error:
            raise CommandError(f"MicroPython on {self.port} did not restart: press reset and try again", NO_DEVICE) from error

    def interrupt(self):
        """Send Ctrl-C, from another thread than that of run() or follow()."""
        with contextlib.suppress(OSError):
            self._transport.serial.write(b"\x03")

    def load(self, script):
        """Send a file of on_device/ to the board's RAM, without docstrings and with short indents."""
        text = ast.unparse(_Marked().visit(Bare().visit(ast.parse((resources.ON_DEVICE / script).read_text()))))
        code = re.sub("^( {4})+", lambda match: " " * (len(match[0]) // 4), text, flags=re.MULTILINE)
        self.run(_ANSWERING % self._mark + code)

    def run(self, code):
        """Run `code` on the board and return its output; raises DeviceError, or CommandError if the board stops answering."""
        return self._execute(code, _limit_s(self.port, _LIMIT_S)).decode(errors="replace")

    def follow(self, code, consumer):
        """Run `code` likewise, and call consumer(bytes) for its output as it comes, however long it runs; b"" is its end."""
        self._execute(code, None, consumer)

    def _execute(self, code, limit_s, consumer=None):
        try:
            out, trouble = self._code.execute(code, _limit_s(self.port, _ANSWER_S), limit_s, consumer)
        except OSError as error:
            why = printable(str(error)) or type(error).__name__
            said = "" if consumer else self._said(self._code.printed)
            raise CommandError(f"the board on {self.port} stopped answering ({why}){said}; its old files are intact", NO_DEVICE)
        if trouble:
            raise DeviceError(trouble.decode(errors="replace").strip().splitlines()[-1])
        return out

    def call(self, function, *arguments):
        """Call a function of a loaded script, and return the list of values that it printed; raises what run() raises."""
        out = self.run(_CALL.format(call=f"{function}({', '.join(map(repr, arguments))})", mark=self._mark))
        values = []
        try:
            for match in re.finditer(rf"{self._mark}(\d+) ", out):
                values.append(ast.literal_eval(out[match.end() :][: int(match[1])]))
            if f"{self._mark}= {len(values)}\r\n" in out:
                return values
        except (ValueError, SyntaxError):
            pass
        raise CommandError(
            f"a program on the board on {self.port} prints into its answers{self._said(out.encode())}: try again, or end what "
            f"starts with the board: mpremote connect {self.port} rm :main.py",
            FAILED,
        )

    def _said(self, output):
        """Return what the board's program has printed last, in parentheses, without our answers."""
        lines = [line for line in output.decode(errors="replace").splitlines() if self._mark not in line]
        text = printable(" ".join(filter(None, lines)))
        return f" (it printed: {text[-_SHOWN:]})" if text else ""
