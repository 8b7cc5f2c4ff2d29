# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The results of the portable suite on each target: results.json, the source of the gate's sample and of a table in docs/boards.md.

`make targets` sets $DICE_TARGETS, and so writes both. A run of a part of it updates that part.
"""

import json
import os
from pathlib import Path

from dicectl import resources
from dicectl.text import block_of, with_block

PATH = Path(__file__).with_name("results.json")
PAGE = resources.ROOT / "docs" / "boards.md"
MARK = "by `make targets`"
# Most of what depends on a processor is in these: arithmetic, AES-CCM in machine code, hashes, words of 32 bits, files.
FIRST = ("test_ccm", "test_vectors_ccm", "test_vectors_record", "test_slip", "test_wire", "test_store", "test_full_heap")


def wanted():
    """Return whether the results are to be written."""
    return bool(os.environ.get("DICE_TARGETS"))


def load():
    """Return {target: {"micropython": version, "build_seconds": seconds, "files": {test module: {"tests": number, "seconds": s}}}}.

    The seconds are those of one core.
    """
    return json.loads(PATH.read_text()) if PATH.exists() else {}


def sample(target, names):
    """Return those of the test modules that the gate runs on a target: as many as its time allows, FIRST first, then the fastest.

    A module that was never measured there is among them, unless it is known to be slow.
    """
    files = load().get(target.name, {}).get("files", {})
    seconds = {name: files.get(name, {"seconds": 0})["seconds"] for name in set(names) - (target.slow - set(files))}
    chosen, left = set(), target.gate_s
    for name in sorted(seconds, key=lambda name: (name not in FIRST, seconds[name], name)):
        if seconds[name] <= left:
            left -= seconds[name]
            chosen.add(name)
    return chosen


def update(outcomes, names, builds):
    """Write results.json with outcomes added, [(target, version, test module, tests, seconds)]; forgets modules not in `names`.

    `builds` is {target: seconds of one core that its build took}.
    """
    known = load()
    for target, version, name, tests, seconds in outcomes:
        row = known.setdefault(target, {"files": {}})
        row["micropython"] = version
        row["files"][name] = {"tests": tests, "seconds": round(seconds, 1)}
    for target, seconds in builds.items():
        if target in known and seconds is not None:
            known[target]["build_seconds"] = seconds
    for row in known.values():
        row["files"] = {name: row["files"][name] for name in sorted(row["files"]) if name in names}
    PATH.write_text(json.dumps(known, indent=1) + "\n")


def table(targets, names):
    """Return the table for docs/boards.md: what is known of the test modules in `names`, and which have no result yet."""
    known = load()
    titles = ("target", "native code", "MicroPython", "its build", "passed", "in the gate", "not run there")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for target in targets:
        row = known.get(target.name, {"micropython": "-", "files": {}})
        done = {name: figures for name, figures in row["files"].items() if name not in target.lacks}
        seconds = sum(figures["seconds"] for figures in done.values())
        passed = f"{sum(figures['tests'] for figures in done.values())} tests in {len(done)} files, {seconds:.0f} s"
        left_out = [f"`{name}`: {reason}" for name, reason in sorted(target.lacks.items())]
        unknown = sorted(set(names) - set(row["files"]) - set(target.lacks))
        if unknown:
            left_out.append("no result yet: " + ", ".join(f"`{name}`" for name in unknown))
        lacking = "; ".join(left_out) or "-"
        built = f"{row['build_seconds']:.0f} s" if "build_seconds" in row else "-"
        in_gate = sample(target, done)
        cells = (target.title, f"`{target.architecture}`", row["micropython"], built, passed, f"{len(in_gate)} files", lacking)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def listed():
    """Return the table that docs/boards.md has."""
    return block_of(PAGE.read_text(), MARK)


def write(targets, names):
    """Write the table into docs/boards.md."""
    PAGE.write_text(with_block(PAGE.read_text(), MARK, table(targets, names)))
