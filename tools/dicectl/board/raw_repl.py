# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A connected board, spoken to over its raw REPL by mpremote's own transport, so that one connection serves a whole command.

Scripts of node/ are sent to the board's RAM and called there; they answer with the repr of plain values, line by line.
"""

import ast
import contextlib
import io
import os
import re
import struct

from dicectl import resources
from dicectl.errors import FAILED, NO_DEVICE, USAGE, CommandError

_ANSWER_S = 30  # the longest silence of a board that works; hashing a large file in an emulator takes seconds
_READ_S = 1  # the longest blocking read, after which mpremote looks at its own timeouts
_SENDING_S = 10  # that while code is sent, where it has none; an emulator on a busy computer takes seconds
_GREETING_S = 5  # for each of two attempts


class DeviceError(Exception):
    """The board raised an exception: its name and text, as the last line of the traceback."""


def found():
    """Return the serial ports that USB devices have, sorted."""
    from serial.tools import list_ports

    return sorted(candidate.device for candidate in list_ports.comports() if candidate.vid is not None)


def find(port):
    """Return the port to use: `port` if it can be there, else the only USB serial port; raises CommandError (no device)."""
    if port:
        if os.sep in port and "://" not in port and not os.path.exists(port):
            raise CommandError(f"there is no {port}: connect the board, or leave --port away to find it", NO_DEVICE)
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

    try:
        return SerialTransport(port, timeout=_READ_S)
    except (TransportError, OSError, ValueError):
        if os.path.exists(port) and not os.access(port, os.R_OK | os.W_OK):
            raise CommandError(f"{port} may not be opened: become a member of its group (on Debian: adduser $USER dialout)")
        if os.path.exists(port):
            raise CommandError(f"{port} is no serial port, or another program uses it: close that one", FAILED)
        raise CommandError(f"{port} cannot be opened: is the board connected, and is that its port?", NO_DEVICE)


class Bare(ast.NodeTransformer):
    """Takes docstrings out: a board's compiler need not read them."""

    def visit_Expr(self, node):
        """Replace an expression that is a constant; it may be all that a function has."""
        return ast.Pass() if isinstance(node.value, ast.Constant) else node


class Device:
    """A board whose program is interrupted; a context manager that lets the program start anew at its end."""

    def __init__(self, port=None):
        self.port = find(port)
        self._transport = _open(self.port)

    def __enter__(self):
        from mpremote.transport import TransportError

        for attempt in range(2):  # the first Ctrl-C may fall into a program that catches it
            try:
                with contextlib.redirect_stdout(io.StringIO()):  # mpremote prints what it could not understand
                    self._transport.enter_raw_repl(soft_reset=False, timeout_overall=_GREETING_S)
                self._transport.serial.timeout = _SENDING_S
                return self
            except (TransportError, OSError) as error:
                if attempt:
                    self._hang_up()
                    raise CommandError(
                        f"no MicroPython answers on {self.port}: press reset and try again, or `dicectl flash` it", NO_DEVICE
                    ) from error
        return None

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._transport.serial.write(b"\r\x02\x04")  # Ctrl-B: friendly REPL; Ctrl-D: soft reset, which runs main.py
        self._hang_up()

    def _hang_up(self):
        with contextlib.suppress(OSError):
            self._transport.close()

    def load(self, script):
        """Send a file of node/ to the board's RAM, without what the board's compiler does not need."""
        text = ast.unparse(Bare().visit(ast.parse((resources.ON_DEVICE / script).read_text())))
        self.run(re.sub("^( {4})+", lambda match: " " * (len(match[0]) // 4), text, flags=re.MULTILINE))

    def run(self, code):
        """Run `code` on the board and return what it printed; raises DeviceError, and CommandError when it stops answering."""
        from mpremote.transport import TransportError

        try:
            out, trouble = self._transport.exec_raw(code, timeout=_ANSWER_S)
        except (TransportError, OSError, struct.error, IndexError):
            raise CommandError(f"the board on {self.port} stopped answering; what was there before is still whole", NO_DEVICE)
        if trouble:
            raise DeviceError(trouble.decode(errors="replace").strip().splitlines()[-1])
        return out.decode(errors="replace")

    def call(self, function, *arguments):
        """Call a function that load() brought there, and return the list of values that it printed, one a line."""
        out = self.run(f"{function}({', '.join(map(repr, arguments))})")
        return [ast.literal_eval(line) for line in out.splitlines() if line]
