# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The costs of dice on a connected board: the measurements of `dicectl footprint --port`.

The scripts are those of the emulated board where there are such, so that the figures compare. Each starts on a restarted board. A
measurement that the board has no room or no module for leaves a note instead of its figures.
"""

import ast
import contextlib
import re

from dicectl.board import places
from dicectl.board.ram_modules import RamModules, add_memory
from dicectl.board.raw_repl import DeviceError
from dicectl.errors import CommandError
from dicectl.firmware import boards, profiles
from dicectl.measure import footprint

MESSAGES = 100
FOLDER = "dicectl-footprint.tmp"  # on the board's flash, in the folder in which it starts; removed again
_HELPERS = ("heap_of_a_member.py", "session_cost.py")
_BEFORE = """
import gc, micropython, sys
gc.collect()
print(gc.mem_alloc(), gc.mem_free(), 16 if sys.maxsize < 1 << 32 else 32)
micropython.mem_info()
"""
_IDF_BEFORE = """
try:
    import esp32
    print([tuple(region) for region in esp32.idf_heap_info(esp32.HEAP_DATA)])
except ImportError:
    print(None)
"""
_CLEAR = f"""
import os
def clear(path):
    try:
        entries = list(os.ilistdir(path))
    except OSError:
        return
    for entry in entries:
        inner = path + "/" + entry[0]
        clear(inner) if entry[1] == 0x4000 else os.remove(inner)
    os.rmdir(path)
clear({FOLDER!r})
"""


def collect(device, progress, names=None):
    """Return the figures of dice on the board of a Device; calls progress(text). Raises CommandError.

    `names` are the steps to do, by default all.
    """
    figures, board = begin(device)
    try:
        for name, step in _STEPS.items():
            if names is None or name in names:
                progress(f"{name.replace('_', ' ')} on the board")
                try:
                    step(board, figures)
                except _NotMeasured as why:
                    figures["notes"].append(f"{name.replace('_', ' ')}: not measured: {why}")
    finally:
        clean_up(device)
    return figures


def begin(device):
    """Return (figures with the facts of the board, _Board); raises CommandError if dice does not run on it."""
    device.load("board_facts.py")
    (facts,) = device.call("identity")
    installed = device.call("installed")
    (backend,) = device.call("backend")
    if not installed:
        raise CommandError(f"the board on {device.port} has no dice: run dicectl deploy")
    entry, file, version, error = installed[0]
    if error or backend[1]:
        raise CommandError(f"dice does not run on the board on {device.port} ({error or backend[1]}): run dicectl deploy")
    known = boards.of_machine(facts["machine"])
    figures = {
        "board": known.name if known else None,
        "machine": facts["machine"],
        "firmware": ".".join(map(str, facts["version"])) + ("-preview" if facts["preview"] else ""),
        "build": facts["build"],
        "emulated": device.emulated,
        "dice": version,
        "where": "frozen" if entry == ".frozen" else file,
        "aes": "hardware" if "hardware" in backend[0] else "software",
        "messages": MESSAGES,
        "notes": [],
    }
    clean_up(device)
    return figures, _Board(device, facts, entry, file)


def clean_up(device):
    """Remove what a measurement that was cut off has left on the flash."""
    with contextlib.suppress(DeviceError, CommandError):
        device.run(_CLEAR)


class _NotMeasured(Exception):
    """Why."""


class _Board:
    """The board, for the steps."""

    def __init__(self, device, facts, entry, file):
        self.device = device
        self.modules = RamModules(device, facts["mpy"])
        self.platform = facts["platform"]
        self.facts = facts
        self.native = bool(facts["mpy"] >> 10 & 0xF)
        self._entry, self._file = entry, file

    def lines(self, script, *arguments, others=(), partly=None):
        """Return the lines of a script; raises _NotMeasured. If it failed in the middle, `partly` is called with the reason."""
        lines, trouble = self.modules.lines(script, *arguments, others=others)
        if trouble and not (partly and lines):
            raise _NotMeasured(reason(trouble))
        if trouble:
            partly(reason(trouble))
        return lines

    def one(self, script, *arguments):
        """Return the last line of a script."""
        return self.lines(script, *arguments)[-1]

    def files(self):
        """Return the paths of dice on the flash, files or a folder; none if it is frozen."""
        if self._entry == ".frozen":
            return []
        top = places.folder_of(self.facts, self._entry)
        name = self._file.rsplit("/", 1)[-1]
        return [f"{top}/dice" if name.startswith("__init__.") else f"{top}/{name}"]


def reason(trouble):
    """Return an exception of the board as the reason why something was not measured."""
    text = str(trouble)
    if text.startswith("MemoryError"):
        return f"the heap of the board has no room for it ({text})"
    if text.startswith("ImportError"):
        return f"a module is not on the board ({text}); dicectl deploy --profile full copies all"
    return text


# The steps. Each adds figures.


def before(device, figures):
    """Restart the board, and add its heap as it is when a program starts: after boot.py."""
    device.restart()
    out = device.run(_BEFORE)
    used, free, unit = map(int, re.search(r"^(\d+) (\d+) (16|32)\s*$", out, re.MULTILINE).groups())
    line = {"unit": unit}
    add_memory(line, out)
    figures["heap"] = {"total": used + free, "before": used}
    figures["largest_block"] = {"before": line.get("largest")}
    figures["stack"] = {"limit": line.get("stack_limit")}
    idf = re.search(r"^\[\(.*\)\]", device.run(_IDF_BEFORE), re.MULTILINE)
    if idf:
        figures["idf_heap"] = {"before": _idf(ast.literal_eval(idf[0]))}


def _idf(regions):
    """Return the sum of ESP-IDF's heaps: bytes in all, free, the largest free block, and the fewest that were ever free."""
    total, free, largest, least = zip(*regions)
    return {"total": sum(total), "free": sum(free), "largest": max(largest), "least": sum(least)}


def _heap(board, figures):
    before(board.device, figures)
    heap, largest = figures["heap"], figures["largest_block"]

    def note(why):
        figures["notes"].append(f"heap: only a part was measured: {why}")

    lines = board.lines("footprint_stages.py", MESSAGES, others=_HELPERS, partly=note)
    start = lines[0]
    script = start["used"] - heap["before"]
    for line in lines[1:]:
        if "absent" in line:
            _absent(figures, line)
            continue
        stage = line["stage"]
        script += line.get("store", 0)
        heap[stage] = line["used"] - script
        largest[stage] = line.get("largest")
        if line["idf"]:
            figures["idf_heap"][stage] = _idf(line["idf"])
        if "peak" in line:
            heap["peak"] = line["peak"] - script
        if "puts" in line:
            figures.setdefault("puts", {})["received" if stage == "messages" else "sent"] = line["puts"]


def _stack(board, figures):
    stack = figures.setdefault("stack", {})
    for line in board.lines("footprint_stack.py", others=_HELPERS):
        if "absent" in line:
            _absent(figures, line)
        else:
            stack[line["what"]] = line["bytes"]
        stack["limit"] = line.get("stack_limit")


def _absent(figures, line):
    figures["notes"].append(f"{line['absent']}: not measured: {reason('ImportError: ' + line['why'])}")


def _member(board, figures):
    line = board.one("heap_of_a_member.py", "brief")
    figures["member"] = {name: line[name] for name in ("idle", "heard", "opening")}


def _session(board, figures):
    figures["session"] = board.one("session_cost.py")


def _times(board, figures):
    figures["time_us"] = footprint.budgeted(board.lines("bench.py", "quick"))


def _imports(board, figures):
    files = footprint.in_order(profiles.files("full", native=board.native))
    figures["imports"] = board.one("heap_of_imports.py", "sum", *map(footprint.module_name, files))["heap"]


def _store(board, figures):
    store = {}
    for line in board.lines("footprint_store.py", FOLDER, "nvs" if board.platform == "esp32" else "files"):
        store.update(line)
    figures["store"] = store


def _file_system(board, figures):
    paths = board.files()
    figures["file_system"] = {"dice": 0, "bytes": 0, "files": 0}
    if not paths:
        return
    found = board.lines("file_sizes.py", *paths)
    device = board.device
    device.load("board_facts.py")
    room = places.room(device, board.facts)
    block = room["block"]
    folders = {path.rpartition("/")[0] for path, _ in found}
    need = sum(-(-size // block) + 1 for _, size in found) * block + 2 * len(folders) * block
    figures["file_system"] = {"bytes": sum(size for _, size in found), "files": len(found), "free": room["flash_free"]}
    if need > room["flash_free"]:
        raise _NotMeasured(
            f"{need:,} bytes of flash must be free for a copy of the {len(found)} files, which is removed again; "
            f"{room['flash_free']:,} are"
        )
    sizes = [f"{path.removeprefix(places.root(board.facts)).lstrip('/')}={size}" for path, size in found]
    figures["file_system"]["dice"] = board.one("flash_space.py", FOLDER, *sizes)["bytes"]


_STEPS = {
    "heap": _heap,
    "stack": _stack,
    "member": _member,
    "session": _session,
    "times": _times,
    "imports": _imports,
    "store": _store,
    "file_system": _file_system,
}
