# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The costs of a user's own program on a connected board, sampled while it runs: `dicectl footprint --port P PROGRAM`.

The board restarts without its main.py, loads on_device/footprint_sampler.py into its RAM, and runs the program beside it. No file
of the board is changed, except by the program.
"""

import contextlib
import threading

from dicectl import json_file
from dicectl.board.ram_modules import FOLDER, add_memory
from dicectl.board.raw_repl import DeviceError
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.measure import on_board

_SAMPLER = "footprint_sampler.py"
_INTERRUPTS = 5  # attempts to end a program
_PAUSE_S = 4  # between two: the sampler must end too
_RUN = """
import footprint_sampler
_dicectl = footprint_sampler.Sampler()
del footprint_sampler
_dicectl.start()
try:
 {run}
finally:
 _dicectl.stop()
"""
_RUN_FILE = "execfile({0!r}) if 'execfile' in dir(__import__('builtins')) else exec(open({0!r}).read())"
_MEMORY = "import micropython\nmicropython.mem_info()"


class Output:
    """Separates what the sampler prints, between 0x1e and 0x1f, from the output of the program, which echo(bytes) gets."""

    def __init__(self, echo):
        self.last = None  # the sampler's last report
        self._echo = echo
        self._report = None

    def feed(self, data):
        """Process a piece of output."""
        for byte in data:
            if byte == 0x1E:
                self._report = bytearray()
            elif byte == 0x1F and self._report is not None:
                with contextlib.suppress(ValueError):
                    self.last = json_file.decode(self._report)
                self._report = None
            elif self._report is not None:
                self._report.append(byte)
            else:
                self._echo(bytes([byte]))


class Watch:
    """Ends the program after `seconds`, or when enough messages have come."""

    def __init__(self, device, seconds):
        self._device = device
        self._seconds = seconds
        self._enough, self._ended = threading.Event(), threading.Event()
        self.gave_up = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def look(self, report):
        """End the program if the sampler has reported enough messages; raises CommandError if it does not end."""
        if report and report["messages"] >= on_board.MESSAGES:
            self._enough.set()
        if self.gave_up:
            raise CommandError("the program does not end on Ctrl-C, so its last figures are unknown: reset the board", FAILED)

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
        board.modules.put(path.rpartition("/")[2], text)
    elif device.run(f"import os\ntry: print(os.stat({path!r})[0] & 0x8000)\nexcept OSError: print(0)").strip() == "0":
        raise CommandError(f"the board has no file {path}: run dicectl deploy, or give a file of this computer", USAGE)
    figures["where_program"] = "board" if text is None else "here"
    progress(f"the program, until {on_board.MESSAGES} messages have come or for {seconds} s")
    output, ended = _run(device, path, seconds, echo)
    if ended:
        figures["notes"].append(f"the program ended: {ended}")
    line = {}
    try:
        add_memory(line, device.run(_MEMORY))
    except (DeviceError, CommandError) as error:
        figures["notes"].append(f"the program left the board unable to answer, so these are its last samples: {error}")
    if output.last is None:
        raise CommandError(f"the program ended before it could be sampled: {ended or 'it prints nothing more'}", FAILED)
    _add(figures, output.last, line)
    return figures


def _run(device, path, seconds, echo):
    """Run the program; return (Output, how it ended of itself or None)."""
    output = Output(echo)
    watch = Watch(device, seconds)

    def consume(data):
        output.feed(data)
        watch.look(output.last)

    try:
        device.follow(_RUN.format(run=_RUN_FILE.format(path)), consume)
        return output, "it returned"
    except DeviceError as error:
        return output, None if str(error).startswith("KeyboardInterrupt") else str(error)
    except CommandError as error:  # it has reset the board, or put it to sleep
        if output.last is None or watch.gave_up:
            raise
        return output, error.format_message()
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
