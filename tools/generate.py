# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Writes what is generated: package.json for mip with the sources in lib/mip that it lists, and the table of docs/boards.md.

Run it after a change of lib/ or of boards.toml.

python tools/generate.py [--check]      --check writes nothing, and fails when something is stale
"""

import json
import re
import sys
from pathlib import Path

from dicectl.firmware import boards, mpy, profiles

ROOT = Path(__file__).resolve().parents[1]
_TABLE = re.compile(r"(?<=<!-- generated from boards/boards.toml -->\n).*(?=<!-- end -->)", re.DOTALL)
_DONE = {
    "manifest": "manifest evaluated",
    "compiled": "cross-compiled",
    "built": "**built**",
    "emulated": "**run in an emulator**",
    "hardware": "**run on hardware**",
}


# The folders of each package, from the lowest up, and what each may import beside itself: host_tests/meta/test_imports.py.
LIBRARY_BELOW = {
    "crypto": {""},
    "": {"crypto"},  # `record` seals; crypto needs `_compat`
    "coap": {""},
    "dtls": {"", "crypto"},
    "group": {"", "crypto"},
    "transport": {""},
    "aio": {"", "coap", "dtls", "group", "transport"},
    "__init__": {"", "coap", "dtls", "group", "aio"},
}
TOOLS_BELOW = {
    "": set(),
    "__init__": set(),
    "on_device": set(),
    "firmware": {""},
    "board": {"", "firmware"},
    "net": {""},
    "emulator": {"", "firmware"},
    "manager": {"", "net"},
    "measure": {"", "firmware", "emulator", "net"},
    "demo": {"", "firmware", "emulator", "net", "manager", "measure"},
    "cli": {"", "firmware", "board", "net", "emulator", "manager", "measure", "demo"},
    "__main__": {"", "__init__", "cli"},
}


def package():
    """Return package.json: all of dice, with the files more that MicroPython's unix port needs, since mip cannot choose."""
    said = {
        "urls": [[name, path.relative_to(ROOT).as_posix()] for name, path in mip_files()],
        "deps": [],
        "version": profiles.metadata()["version"],
    }
    return json.dumps(said, indent=2) + "\n"


def mip_files():
    """Yield (name on a board, path here) of what mip installs."""
    for name in sorted(profiles.files("full", unix=True)):
        yield name, ROOT / "lib" / "mip" / name


def table():
    """Return the table of docs/boards.md."""
    rows = [
        "| board | chip | flash | RAM | AES | network | firmware at | what was done | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for board in boards.load().values():
        done = ", ".join(_DONE[step] for step in boards.SHOWN if step in board.shown)
        if "hardware" not in board.shown:
            done += ", not run on hardware"
        cells = (
            f"`{board.name}`",
            f"{board.chip} (`{board.mpy_arch}`)",
            f"{board.flash_bytes >> 20} MB",
            f"{board.ram_bytes >> 10} KB",
            board.aes,
            "yes" if board.network else "no",
            f"`{board.flash_offset:#x}`",
            done,
            board.note,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def generated():
    """Yield (path, text as it should be)."""
    yield ROOT / "package.json", package()
    for name, path in mip_files():
        yield path, mpy.source_for_mip(name)
    page = ROOT / "docs" / "boards.md"
    yield page, _TABLE.sub(lambda _: table(), page.read_text())


def main():
    """Write, or check."""
    wanted = dict(generated())
    stale = {path: text for path, text in wanted.items() if not path.exists() or path.read_text() != text}
    stale.update({path: None for path in (ROOT / "lib" / "mip").rglob("*.py") if path not in wanted})
    for path, text in stale.items():
        if "--check" not in sys.argv and text is None:
            path.unlink()
        elif "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        print(f"{path.relative_to(ROOT)}: {'stale' if '--check' in sys.argv else 'written' if text is not None else 'removed'}")
    sys.exit(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    main()
