# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The costs of a user's own program on a connected board, sampled while it runs: `dicectl footprint --port P PROGRAM`.

The board restarts without its main.py, loads on_device/footprint_sampler.py into its RAM, and runs the program beside it. No file
of the board is changed, except by the program.
"""

import contextlib
import re
import threading
import time

from dicectl import json_file
from dicectl.board.ram_modules import FOLDER, add_memory
from dicectl.board.raw_repl import DeviceError
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.measure import on_board

_SAMPLER = "footprint_sampler.py"
_INTERRUPTS = 5  # attempts to end a program
_PAUSE_S = 4  # between two: the sampler must end too
_BLIND_S = 1  # the same, when what the board prints is not read
_END = b"end"  # between 0x1e and 0x1f: what follows is no output of the program
_RUN = """
try:
 import footprint_sampler
 _dicectl = footprint_sampler.Sampler()
 del footprint_sampler
 _dicectl.start()
 try:
  {run}
 finally:
  _dicectl.stop()
finally:
 print("\\x1eend\\x1f", end="")
"""
_RUN_FILE = "execfile({0!r}) if 'execfile' in dir(__import__('builtins')) else exec(open({0!r}).read())"
_MEMORY = "import micropython\nprint('_dicectl' in globals())\nmicropython.mem_info()"  # the name is lost with the heap
_RESTARTED = "it restarted MicroPython, as sys.exit() and machine.soft_reset() do"
_RESET = "the board was reset, so these are the last samples before"
_END_MARK = "it wrote the byte 0x04, which is for the raw REPL the end of its output, so these are the samples before"
# A board prints this after its start, when its main.py has ended.
_BANNER = re.compile(rb"MicroPython [^\r\n]+; [^\r\n]+\r\n(Type [^\r\n]+\r\n)?>>> $")
_PROMPT = re.compile(rb"(^|\n)>>> $")
_TAIL_BYTES = 300  # more than a banner


class Output:
    """Separates what the sampler prints, between 0x1e and 0x1f, from the output of the program, which echo(bytes) gets."""

    def __init__(self, echo):
        self.last = None  # the sampler's last report
        self.ended = False  # whether all that the program prints has come
        self._echo = echo
        self._report = None
        self._tail = b""

    def feed(self, data):
        """Process a piece of output."""
        for byte in data:
            if byte == 0x1E:
                self._report = bytearray()
            elif byte == 0x1F and self._report is not None:
                self._take(bytes(self._report))
                self._report = None
            elif self._report is not None and byte != 0x0A:
                self._report.append(byte)
            else:  # no report has a newline: what has begun as one was cut off by a reset, or is the program's
                self._pass(bytes(self._report or b"") + bytes([byte]))
                self._report = None

    def _pass(self, data):
        self._tail = self._tail[-_TAIL_BYTES:] + data
        self._echo(data)

    def _take(self, report):
        self.ended = report == _END
        with contextlib.suppress(ValueError):
            found = json_file.decode(report)
            if "sampling" in found:  # a program may print these bytes too
                self.last = found

    def at_repl(self, interrupted):
        """Return whether the output ends as that of a board that was reset: the raw REPL, which we left, has another prompt.

        A program may print >>> itself; after Ctrl-C that is enough, since a part of what a board prints at its start can be lost.
        """
        return self._tail.endswith(b">>> ") and bool((_PROMPT if interrupted else _BANNER).search(self._tail))


class _Lost(Exception):
    """The output says no longer what the program does; why."""


class _Deaf(CommandError):
    """The program does not end on Ctrl-C."""


class Watch:
    """Ends the program after `seconds`, or when enough messages have come."""

    def __init__(self, device, seconds):
        self._device = device
        self._seconds = seconds
        self._enough, self._ended = threading.Event(), threading.Event()
        self.interrupted = self.gave_up = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def look(self, report):
        """End the program if the sampler has reported enough messages; raises _Deaf if it does not end."""
        if report and report["messages"] >= on_board.MESSAGES:
            self._enough.set()
        if self.gave_up:
            raise _Deaf("the program does not end on Ctrl-C, so its last figures are unknown: reset the board", FAILED)

    def close(self):
        """The program has ended."""
        self._ended.set()
        self._enough.set()
        self._thread.join()

    def _work(self):
        self._enough.wait(self._seconds)
        for _ in range(_INTERRUPTS):
            if self._ended.is_set():
                return
            self.interrupted = True
            self._device.interrupt()
            self._ended.wait(_PAUSE_S)
        self.gave_up = not self._ended.is_set()


def source(program):
    """Return (path on the board, text to send or None) of the PROGRAM argument: a file here, or `:main.py` on the board."""
    from pathlib import Path

    if program.startswith(":"):
        return program[1:], None  # a relative path begins in the folder in which the board starts, as for mpremote
    path = Path(program)
    if not path.is_file():
        raise CommandError(f"there is no file {program}; a file of the board has a colon: :{path.name}", USAGE)
    return f"{FOLDER}/{path.name}", path.read_bytes()


def collect(device, program, seconds, progress, echo):
    """Return the figures of a program on the board of a Device; calls progress(text), and echo(bytes) for its output."""
    path, text = source(program)
    figures, board = on_board.begin(device)
    on_board.before(device, figures)
    board.modules.begin(_SAMPLER)
    if text is not None:
        _send(board, path.rpartition("/")[2], text)
    elif device.run(f"import os\ntry: print(os.stat({path!r})[0] & 0x8000)\nexcept OSError: print(0)").strip() == "0":
        raise CommandError(f"the board has no file {path}: run dicectl deploy, or give a file of this computer", USAGE)
    figures["where_program"] = "board" if text is None else "here"
    progress(f"the program, until {on_board.MESSAGES} messages have come or for {seconds} s")
    output, ended, lost = _run(device, path, seconds, echo)
    ended, memory = (ended, {}) if lost else _at_the_end(device, ended, figures["notes"])
    if ended:
        figures["notes"].insert(0, f"the program ended: {ended}")
    if output.last is None:
        raise CommandError(f"the program ended before it could be sampled: {ended or 'it prints nothing more'}", FAILED)
    _add(figures, output.last, memory)
    return figures


def _send(board, name, text):
    """Send a program to the board's RAM; raises CommandError."""
    try:
        board.modules.put(name, text)
    except DeviceError as error:
        raise CommandError(
            f"the board's RAM has no room for the {len(text):,} bytes of {name} as source ({error}): run dicectl deploy {name}, "
            f"which compiles it, and give a PROGRAM that is one line: import {name.removesuffix('.py')}",
            FAILED,
        ) from error


def _at_the_end(device, ended, notes):
    """Return (how the program ended, or None; the figures of its heap's mem_info(), if it is still there)."""
    memory = {}
    try:
        device.settle()
        there, _, text = device.run(_MEMORY).partition("\n")
        if there.strip() != "True":
            return _RESTARTED, memory
        add_memory(memory, text)
    except (DeviceError, CommandError) as error:
        notes.append(f"the program left the board unable to answer, so these are its last samples: {error}")
    return ended, memory


def _run(device, path, seconds, echo):
    """Run the program; return (Output, how it ended of itself or None, whether its heap is lost)."""
    output = Output(echo)
    watch = Watch(device, seconds)

    def consume(data):
        output.feed(data)
        if not data and not output.ended:  # an end mark
            raise _Lost(_END_MARK)
        if output.at_repl(watch.interrupted):
            raise _Lost(_RESET)
        watch.look(output.last)

    try:
        device.follow(_RUN.format(run=_RUN_FILE.format(path)), consume)
        return output, "it returned", False
    except DeviceError as error:
        return output, None if str(error).startswith("KeyboardInterrupt") else str(error), False
    except _Lost as why:
        watch.close()
        for _ in range(2):  # ends the program, or the board's main.py; the sampler may get the first
            device.interrupt()
            time.sleep(_BLIND_S)
        return output, str(why), True
    except _Deaf:
        raise
    except CommandError as error:  # the board sleeps, or its USB was reset with it
        if output.last is None:
            raise
        return output, error.format_message(), True
    finally:
        watch.close()


def _add(figures, report, memory):
    """Add the figures of the sampler's last report."""
    heap = figures["heap"]
    for phase, most in report["heap"].items():
        heap["peak" if phase == "messages" else phase] = heap["before"] + most
    figures["largest_block"]["end"] = memory.get("largest")
    figures["stack"]["program"] = report["stack"]
    figures["messages"] = report["messages"]
    if not report["messages"]:
        figures["notes"].append(f"no message came; {_reached(report['entered'])}")
    figures["records_us"] = report["records"]
    figures["session_records_us"] = report["session_records"]
    figures["handshake"] = report["handshake"]
    figures["puts_us"] = report["puts"]
    sampling = report["sampling"]
    figures["sampling"] = {
        "by": sampling["by"],
        "samples": sampling["samples"],
        "us": sampling["us"] // max(sampling["samples"], 1),
        "percent_of_time": round(sampling["us"] / 10 / max(sampling["of_ms"], 1), 1),
        "hook_us": sampling["hook_us"],
        "heap": sampling["base"] - heap["before"],
    }


def _reached(phases):
    """Return what a program without a message has done, from the names of the phases that it entered."""
    if not phases:
        return "the program has not imported dice"
    session = "has established a session" if "session" in phases else "has established no session"
    return f"the program {'has joined a group' if 'joined' in phases else 'has joined no group'}, and {session}"
