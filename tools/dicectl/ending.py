# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How a command is ended: by Ctrl-C, SIGTERM or SIGHUP, which all raise KeyboardInterrupt, and by a terminal that is closed."""

import contextlib
import errno
import io
import os
import signal
import sys

_SIGHUP = getattr(signal, "SIGHUP", None)  # not on Windows
_asked = []  # what the first signal does instead of raising, in run() and held()


def install():
    """Take the signals, and the standard streams, from now on. A signal that was inherited as ignored stays ignored."""
    sys.stdout, sys.stderr = _on_terminal(sys.stdout), _on_terminal(sys.stderr)
    if sys.stdout and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: the name of a file may be no Unicode
    for number in filter(None, (signal.SIGINT, signal.SIGTERM, _SIGHUP)):
        if signal.getsignal(number) != signal.SIG_IGN:  # as in a background job, or with nohup
            signal.signal(number, _end)


def discard_output():
    """Print what is left of the standard output, or discard it if that fails: Python would try once more, and show a traceback."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, sys.stdout.fileno())
            os.close(nothing)


def run(coroutine):
    """Return what a coroutine does, as asyncio.run() does.

    The first signal cancels it and raises KeyboardInterrupt when it has ended: it is interrupted where it waits, and nowhere else.
    """
    import asyncio

    async def main():
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        _asked.append(lambda: loop.call_soon_threadsafe(task.cancel))
        try:
            return await coroutine
        finally:
            _asked.clear()

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


@contextlib.contextmanager
def held():
    """Let the first signal wait for the end of the block, which raises KeyboardInterrupt then; the second one does not wait."""
    came = []
    _asked.append(lambda: came.append(True))
    try:
        yield
    finally:
        _asked.clear()
    if came:
        raise KeyboardInterrupt


def _end(number, frame):
    if number == _SIGHUP:
        signal.signal(number, signal.SIG_IGN)  # a shell and the kernel each send one
    if _asked:
        _asked.pop()()
    else:
        signal.default_int_handler(number, frame)


class _Terminal(io.FileIO):
    """Output to a terminal; when that is closed, the rest is discarded. The signal that ends the command may come later."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return memoryview(data).nbytes


def _on_terminal(stream):
    """Return a standard stream, on a _Terminal if it is a terminal."""
    if not (_SIGHUP and stream and stream.isatty()):  # None: it was closed before
        return stream
    raw = _Terminal(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True)
