# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Writes what is generated: package.json for mip, and the table of docs/boards.md. Run it after a change of lib/ or of boards.toml.

python tools/generate.py [--check]      --check writes nothing, and fails when something is stale
"""

import json
import re
import sys
from pathlib import Path

from dicectl import boards, profiles

ROOT = Path(__file__).resolve().parents[1]
_TABLE = re.compile(r"(?<=<!-- generated from boards/boards.toml -->\n).*(?=<!-- end -->)", re.DOTALL)
_DONE = {
    "manifest": "manifest evaluated",
    "compiled": "cross-compiled",
    "built": "**built**",
    "emulated": "**run in an emulator**",
    "hardware": "**run on hardware**",
}


def package():
    """Return package.json: all of dice, with the one file more that MicroPython's unix port needs, since mip cannot choose."""
    files = sorted(profiles.files("full", unix=True))
    said = {"urls": [[name, f"lib/{name}"] for name in files], "deps": [], "version": profiles.metadata()["version"]}
    return json.dumps(said, indent=2) + "\n"


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
    page = ROOT / "docs" / "boards.md"
    yield page, _TABLE.sub(lambda _: table(), page.read_text())


def main():
    """Write, or check."""
    stale = [(path, text) for path, text in generated() if not path.exists() or path.read_text() != text]
    for path, text in stale:
        if "--check" not in sys.argv:
            path.write_text(text)
        print(f"{path.relative_to(ROOT)}: {'stale' if '--check' in sys.argv else 'written'}")
    sys.exit(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    main()
