# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The results of `dicectl footprint --port P --add NAME`: one file each in docs/measured/, and the table of docs/boards.md.

A result is a file of its own, so that contributions do not conflict. The files come from strangers: whatever is in them ends as
text in one cell of the table.
"""

import json
import re

from dicectl import json_file, resources
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.measure.board_report import wear
from dicectl.measure.report import kilobytes, milliseconds
from dicectl.text import with_block

MARK = "from docs/measured"
_NAME_MAX = 40
_TEXTS = ("machine", "firmware", "dice", "aes", "where", "by")
_NUMBERS = ("heap.total", "heap.before")
_HEADINGS = (
    *("board", "MicroPython", "dice", "AES", "heap", "free after boot", "member", "session", "peak"),
    *("64 bytes", "group record", "handshake", "store", "flash a message", "measured"),
)


def file_name(figures, name):
    """Return the name of a result's file."""
    board = figures["board"] or figures["machine"]
    return "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", part) for part in (board, figures["firmware"], name)) + ".json"


def check(name, program):
    """Raise CommandError, before a measurement, if its result could not be added."""
    resources.clone("footprint --add")
    if not name.strip() or len(name) > _NAME_MAX or not name.isprintable():
        raise CommandError(f"the name for --add has 1 to {_NAME_MAX} printable characters", USAGE)
    if program:
        raise CommandError("--add is for the figures of dice alone: leave out PROGRAM", USAGE)


def add(figures, name):
    """Write a result to docs/measured/, and docs/boards.md; return the paths."""
    root = resources.clone("footprint --add")
    path = root / "docs" / "measured" / file_name(figures, name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"by": name.strip(), **figures}, indent=2) + "\n")
    page = root / "docs" / "boards.md"
    page.write_text(replaced(page.read_text()))
    return [path, page]


def _number(figures, path):
    for key in path.split("."):
        figures = figures.get(key) if isinstance(figures, dict) else None
    return figures if isinstance(figures, int | float) and not isinstance(figures, bool) else None


def read(path):
    """Return the figures of a result's file; raises CommandError if it is none."""
    try:
        figures = json_file.decode(path.read_bytes())
        good = all(isinstance(figures[key], str) for key in _TEXTS)
        good = good and all(_number(figures, name) is not None for name in _NUMBERS)
    except (ValueError, KeyError, TypeError, OSError):
        good = False
    if not good:
        raise CommandError(f"{path.name} is not a result of `dicectl footprint --port P --add NAME`", FAILED)
    return figures


def load():
    """Return the figures of all results, in the order of their files' names."""
    return [read(path) for path in sorted(resources.MEASURED.glob("*.json"))]


def pico():
    """Return the figures of the emulated Pico, or None if there are none."""
    return next((figures for figures in load() if figures["emulated"] is True and figures["board"] == "RPI_PICO"), None)


def _text(value):
    """Return text for a cell of Markdown, in which nothing of it has a meaning."""
    return re.sub(r"([\\`*\[\]<>|&])", lambda match: f"&#{ord(match[1])};", " ".join(str(value).split()))


def _cell(figures, path, shown):
    value = _number(figures, path)
    return "-" if value is None else shown(value)


def _row(figures):
    heap = figures["heap"]
    received = wear(figures, "received") if isinstance(figures.get("messages"), int) else None
    emulated = figures.get("emulated") is not False
    return (
        _text(figures.get("board") or figures["machine"]),
        _text(figures["firmware"]),
        _text(figures["dice"]) + (", frozen" if figures["where"] == "frozen" else ""),
        _text(figures["aes"]),
        kilobytes(heap["total"]),
        kilobytes(heap["total"] - heap["before"]),
        _cell(figures, "member.idle", kilobytes),
        _cell(figures, "session.heap", kilobytes),
        _cell(figures, "heap.peak", kilobytes),
        _cell(figures, "time_us.seal and open", milliseconds),
        _cell(figures, "time_us.group open", milliseconds),
        _cell(figures, "session.client_us", milliseconds),
        _cell(figures, "store.put_us", milliseconds),
        f"{received[0]:,.0f} bytes" if received else "-",
        f"{'in an emulator' if emulated else 'on hardware'} by {_text(figures['by'])}",
    )


def table():
    """Return the table of docs/boards.md."""
    lines = [f"| {' | '.join(_HEADINGS)} |", "|" + "---|" * len(_HEADINGS)]
    lines += [f"| {' | '.join(_row(figures))} |" for figures in load()]
    return "\n".join(lines) + "\n"


def replaced(page):
    """Return docs/boards.md with its table."""
    return with_block(page, MARK, table())
