# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Writes generated files: package.json and lib/mip with its own, lib/short_names.json, and parts of pages of docs/.

Run it after a change of imports, of lib/ or of boards.toml.

python tools/generate.py [--check]      --check writes nothing, and fails when something is stale
"""

import json
import sys
from pathlib import Path

from dicectl.firmware import boards, mpy, profiles, shorten
from dicectl.measure import airtime, community
from dicectl.text import with_block

try:
    from tools import api_page, import_graph
except ImportError:  # run as a script
    import api_page
    import import_graph

ROOT = Path(__file__).resolve().parents[1]
_PROFILES = ("group", "psk", "public-keys")  # that have a package of their own
_DONE = {
    "manifest": "manifest evaluated",
    "compiled": "cross-compiled",
    "built": "**built**",
    "emulated": "**run in an emulator**",
    "hardware": "**run on hardware**",
}


# The folders of each package, from the lowest up, and what each may import beside itself: host_tests/meta/test_imports.py.
LIBRARY_BELOW = {
    "": set(),
    "crypto": {""},
    "records": {"", "crypto"},
    "x509": {"", "crypto"},
    "coap": {"", "crypto"},
    "dtls": {"", "crypto", "records", "x509"},
    "group": {"", "crypto", "records"},
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
    "member": {"", "board", "net", "manager"},
    "measure": {"", "firmware", "board", "emulator", "net", "manager"},
    "demo": {"", "firmware", "emulator", "net", "manager", "member", "measure"},
    "cli": {"", "firmware", "board", "net", "emulator", "manager", "member", "measure", "demo"},
    "__main__": {"", "__init__", "cli"},
}


def package():
    """Return package.json: profile full, with the files more that MicroPython's unix port needs, since mip cannot choose."""
    return _package([name, mip_path(name).relative_to(ROOT).as_posix()] for name in sorted(profiles.files("full", unix=True)))


def package_of(profile):
    """Return lib/mip/PROFILE.json: the same with the modules of a profile, for boards."""
    return _package([name, name] for name in sorted(profiles.files(profile)))


def _package(urls):
    said = {"urls": list(urls), "deps": [], "version": profiles.metadata()["version"]}
    return json.dumps(said, indent=2) + "\n"


def mip_path(name):
    """Return the path here of a file that mip installs."""
    return ROOT / "lib" / "mip" / name


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
            f"{board.flash_bytes >> 20} MB" if board.flash_bytes else "",
            f"{board.ram_bytes >> 10} KB" if board.ram_bytes else "",
            board.aes,
            "yes" if board.network else "no",
            f"`{board.flash_offset:#x}`" if board.flashed_by else "",
            done,
            board.note + (f" It needs MicroPython {board.since}." if board.since != "1.24" else ""),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def pins():
    """Return the table of pins of docs/boards.md."""
    names = [*boards.usual_pins()]
    rows = [f"| board | {' | '.join(f'`{name}`' for name in names)} |", f"|---|{'---|' * len(names)}"]
    for board in boards.load().values():
        if board.pins:
            rows.append(f"| {board.title} | {' | '.join(str(board.pins[name]) for name in names)} |")
    return "\n".join(rows) + "\n"


def graphs():
    """Return the import graphs of docs/architecture.md."""
    parts = ((import_graph.library(), LIBRARY_BELOW), (import_graph.tools(), TOOLS_BELOW))
    return "\n".join(f"### `{package.name}`\n\n{import_graph.drawn(package, below)}" for package, below in parts)


def generated():
    """Yield (path, text as it should be)."""
    yield ROOT / "package.json", package()
    for profile in _PROFILES:
        yield mip_path(f"{profile}.json"), package_of(profile)
    yield ROOT / "lib" / "short_names.json", json.dumps(shorten.table(ROOT / "lib"), indent=0) + "\n"
    for name in sorted(profiles.files("public-keys", unix=True)):  # those of all packages
        yield mip_path(name), mpy.source_for_mip(name)
    yield ROOT / "docs" / "api.md", api_page.page()
    page = ROOT / "docs" / "boards.md"
    text = with_block(page.read_text(), "from boards/boards.toml", table())
    text = with_block(text, "from boards/boards.toml: pins", pins())
    yield page, community.replaced(text)
    page = ROOT / "docs" / "comparison.md"
    yield page, with_block(page.read_text(), "by dicectl.measure.airtime", airtime.table())
    page = ROOT / "docs" / "architecture.md"
    yield page, with_block(page.read_text(), "by tools/generate.py: imports", graphs())


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
