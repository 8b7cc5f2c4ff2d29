# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Counts the instructions of operations.py on each target, by a plugin of QEMU; on the emulated RP2040, cycles by its own clock.

python -m host_tests.emulated.counts [--write] [TARGET ...]      writes counts.json and a table into docs/footprint.md
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from dicectl import resources
from dicectl.emulator.board import ScriptError
from dicectl.firmware import recipe
from dicectl.subprocess_log import Log, cache, file_lock
from dicectl.text import block_of, with_block
from host_tests.emulated import files
from host_tests.emulated.targets import TABLE

HERE = Path(__file__).parent
PATH = HERE / "counts.json"
PAGE = resources.ROOT / "docs" / "footprint.md"
MARK = "by `make counts`"
RP2040_MHZ = 125
SCRIPT = "import operations\noperations.main(operations.%s)\n"
_RECORD = rb"\x1d(\d+)\x1e"
_MARK = re.compile(_RECORD + rb"@([^\r\n\x1d]+)")
_RESULT = re.compile(r"@(.+)/(\d+)/(\d+)/(\d+)")


def plugin():
    """Return the path of the compiled plugin, from the cache; raises CommandError."""
    source = HERE / "counting.c"
    folder = cache() / "targets" / f"counting-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    path = folder / "counting.so"
    with file_lock(folder, recipe.quiet):
        if not path.exists():
            fresh = folder / "fresh.so"
            argv = ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", fresh, source]
            Log(folder / "log").run("compiling the plugin", argv)
            fresh.rename(path)
    return path


def _flash(target):
    return {**target.flash("test_ccm"), **files.compiled(HERE, "operations.py", architecture=target.architecture)}


def instructions(target, script=SCRIPT % "marked", more=None):
    """Yield (name, bytes, repetitions, instructions) of each operation on a target in QEMU, by a script like operations.py.

    `more` are files for the target in addition.
    """
    with tempfile.TemporaryDirectory(prefix="dice-counts-") as folder:
        (emulator, *rest), typed, environment = target.started(script, {**_flash(target), **(more or {})}, Path(folder))
        argv = [emulator, "-plugin", f"{plugin()},mark={target.system_call.hex()}", *rest]
        pipe, out = subprocess.PIPE, subprocess.STDOUT
        done = subprocess.run(argv, input=typed, env=environment, cwd=folder, stdout=pipe, stderr=out, timeout=600)
    marks = _MARK.findall(done.stdout)
    for (start, _), (end, _), (_, result) in zip(marks[::3], marks[1::3], marks[2::3]):
        name, size, repetitions, _ = _RESULT.fullmatch("@" + result.decode()).groups()
        yield name, int(size), int(repetitions), int(end) - int(start)
    if not marks or b"Traceback" in done.stdout:
        raise ScriptError(f"nothing was counted on {target.name}", re.sub(_RECORD, b"", done.stdout).decode(errors="replace"))


def _cycles(target):
    """Yield the same with cycles of the emulated RP2040."""
    for line in target.run(SCRIPT % "timed", _flash(target)):
        found = _RESULT.fullmatch(line)
        if found:
            yield found[1], int(found[2]), int(found[3]), RP2040_MHZ * int(found[4])


def count(target):
    """Return {"operation/bytes": instructions of one, or cycles}; raises CommandError."""
    rows = list(instructions(target) if target.system_call else _cycles(target))
    (name, _, repetitions, total), *rest = rows
    assert name == "nothing"
    nothing = total / repetitions
    return {f"{name}/{size}": round(total / repetitions - nothing) for name, size, repetitions, total in rest}


def load():
    """Return {target: {"operation/bytes": number}} as committed."""
    return json.loads(PATH.read_text()) if PATH.exists() else {}


def table():
    """Return the table for docs/footprint.md."""
    known = load()
    titles = ["operation", "bytes"]
    titles += [target.title.split()[0] + ("" if target.system_call else ", cycles") for target in TABLE.values()]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for key in dict.fromkeys(key for row in known.values() for key in row):
        name, size = key.split("/")
        numbers = [f"{known[target][key]:,}" if key in known.get(target, {}) else "-" for target in TABLE]
        lines.append(f"| {' | '.join((name, size if size != '0' else '-', *numbers))} |")
    return "\n".join(lines) + "\n"


def listed():
    """Return the table that docs/footprint.md has."""
    return block_of(PAGE.read_text(), MARK)


def write(counted):
    """Write {target: counts} into counts.json, and the table into docs/footprint.md."""
    PATH.write_text(json.dumps({**load(), **counted}, indent=1) + "\n")
    PAGE.write_text(with_block(PAGE.read_text(), MARK, table()))


def main(arguments):
    """Count, and print or write."""
    names = [name for name in arguments if name != "--write"] or list(TABLE)
    counted = {}
    for name in names:
        counted[name] = count(TABLE[name])
        print(name, json.dumps(counted[name]))
    if "--write" in arguments:
        write(counted)


if __name__ == "__main__":
    main(sys.argv[1:])
