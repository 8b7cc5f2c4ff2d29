# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Reads, flattens, compares and describes the figures of a measurement: nested dicts as `dicectl footprint --json` prints them."""

from pathlib import Path

from dicectl import json_file
from dicectl.errors import USAGE, CommandError


def flat(figures, prefix=""):
    """Return {name: number} of nested figures, such as "member.idle"."""
    numbers = {}
    for name, value in figures.items():
        if isinstance(value, dict):
            numbers.update(flat(value, f"{prefix}{name}."))
        elif isinstance(value, int | float):
            numbers[prefix + name] = value
    return numbers


def compare(old, new):
    """Return [(name, before or None, after or None)] of the differences between groups that both figures have.

    A module that exists only in one of them is a difference too.
    """
    before, after = flat(old), flat(new)
    lines = []
    for name in [*after, *(name for name in before if name not in after)]:
        group = name.split(".", 1)[0]
        if before.get(name) != after.get(name) and group in old and group in new:
            lines.append((name, before.get(name), after.get(name)))
    return lines


def rows(figures):
    """Return [(description, value)] for people."""
    from dicectl.measure.report import kilobytes, milliseconds

    found = [(f"flash, {name}", f"{size:,} bytes") for name, size in figures["mpy"].items()]
    found += [(f"flash, .mpy of profile {name}", kilobytes(size)) for name, size in figures["mpy_total"].items()]
    found += [
        (f"flash, profile {name} in the linked firmware", kilobytes(size)) for name, size in figures.get("linked", {}).items()
    ]
    space = figures.get("file_system", {})
    found += [(f"flash, .mpy of profile {name} in the board's file system", kilobytes(size)) for name, size in space.items()]
    for key, how in (("import_frozen", "frozen"), ("import_files", "as .mpy files")):
        if key in figures:
            found.append((f"heap of importing all, {how}", f"{sum(figures[key].values()):,} bytes"))
    if "member" in figures:
        member = figures["member"]
        found.append(("heap of a member with 8 senders", f"{member['idle']:,} bytes"))
        found.append(("the same, after one message from each", f"{member['heard']:,} bytes"))
        found.append(("heap until the next collection, for opening 64 bytes", f"{member['opening']:,} bytes"))
    if "session" in figures:
        session = figures["session"]
        found.append(("heap of a client's session", f"{session['heap']:,} bytes"))
        found.append(("peak heap of its handshake", f"{session['peak']:,} bytes"))
        found.append(
            ("PSK handshake, client / server", f"{session['client_us'] / 1000:.1f} / {session['server_us'] / 1000:.1f} ms")
        )
        found.append(("PSK handshake with cookie", f"{session['bytes']:,} bytes in {session['datagrams']} datagrams"))
    for scenario, size in figures.get("smallest_heap", {}).items():
        found.append((f"smallest heap on the 64-bit unix port: {scenario}", kilobytes(size)))
    found += [(f"64 bytes, {name}", milliseconds(us)) for name, us in figures.get("time_us", {}).items()]
    return found


def read(path):
    """Return the figures of an earlier --json; raises CommandError."""
    figures = read_any(path)
    if "machine" in figures:
        raise CommandError(f"{path} is of a connected board: compare it with --port", USAGE)
    return figures


def read_any(path):
    """Return the same, of a connected board too."""
    with json_file.checked(path, "the output of `dicectl footprint --json`", "make it again", OSError):
        figures = json_file.decode(Path(path).read_bytes())
        if "machine" not in figures:
            flat(figures)["mpy_total." + figures["profile"]]
    return figures
