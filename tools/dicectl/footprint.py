# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl footprint`: what dice costs in flash, heap and time, and whether it keeps to boards/budgets.toml.

`measure` measures, `budgets` judges, `footprint_page` writes documents. docs/footprint.json has the figures of the last --write.
"""

import json
import sys
from pathlib import Path

import rich_click as click

from dicectl.failure import USAGE, Failure


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
    """Return [(name, before or None, after or None)] of what differs between two figures and was measured in both.

    Modules that came or went are told too.
    """
    before, after = flat(old), flat(new)
    lines = []
    for name in [*after, *(name for name in before if name not in after)]:
        group = name.split(".", 1)[0]
        if before.get(name) != after.get(name) and group in old and group in new:
            lines.append((name, before.get(name), after.get(name)))
    return lines


def rows(figures):
    """Return [(what, figure)] for people."""
    from dicectl.footprint_page import kilobytes, milliseconds

    found = [(f"flash, {name}", f"{size:,} bytes") for name, size in figures["mpy"].items()]
    found += [(f"flash, .mpy of profile {name}", kilobytes(size)) for name, size in figures["mpy_total"].items()]
    found += [
        (f"flash, profile {name} in the linked firmware", kilobytes(size)) for name, size in figures.get("linked", {}).items()
    ]
    for key, how in (("import_frozen", "frozen"), ("import_files", "as .mpy files")):
        if key in figures:
            found.append((f"heap of importing all, {how}", f"{sum(figures[key].values()):,} bytes"))
    if "member" in figures:
        member = figures["member"]
        found.append(("heap of a member with 8 senders", f"{member['idle']:,} bytes"))
        found.append(("the same, once it has heard each", f"{member['heard']:,} bytes"))
        found.append(("heap until the next collection, opening 64 bytes", f"{member['opening']:,} bytes"))
    if "session" in figures:
        session = figures["session"]
        found.append(("heap of a client's session", f"{session['heap']:,} bytes"))
        found.append(("heap of its handshake, at most", f"{session['peak']:,} bytes"))
        found.append(
            ("PSK handshake, client / server", f"{session['client_us'] / 1000:.1f} / {session['server_us'] / 1000:.1f} ms")
        )
        found.append(("PSK handshake with cookie", f"{session['bytes']:,} bytes in {session['datagrams']} datagrams"))
    for scenario, size in figures.get("smallest_heap", {}).items():
        found.append((f"smallest heap on the 64-bit unix port: {scenario}", kilobytes(size)))
    found += [(f"64 bytes, {name}", milliseconds(us)) for name, us in figures.get("time_us", {}).items()]
    return found


def _change(before, after):
    if before is None or after is None:
        return "new" if before is None else "gone"
    return f"{after - before:+,.10g}"


def _print(titles, lines):
    """Print a table: rich's on a terminal, aligned lines elsewhere."""
    if not lines:
        return
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for number, title in enumerate(titles):
            table.add_column(title, justify="right" if number else "left")
        for line in lines:
            table.add_row(*line)
        Console().print(table)
        return
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        click.echo("  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(line, widths))))


def _print_all(figures, old):
    click.echo(f"{figures['board']}, profile {figures['profile']}")
    _print(("what", "figure"), rows(figures))
    if old is not None:
        changed = compare(old, figures)
        click.echo("\nchanged" if changed else "\nnothing has changed")
        lines = [(name, *map(_number, (before, after)), _change(before, after)) for name, before, after in changed]
        _print(("what", "before", "after", "change"), lines)


def _number(value):
    return "-" if value is None else f"{value:,.10g}"


def read(path):
    """Return the figures of an earlier --json; raises Failure."""
    try:
        figures = json.loads(Path(path).read_text())
        flat(figures)["mpy_total." + figures["profile"]]
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise Failure(f"{path} is not what `dicectl footprint --json` prints", USAGE)
    return figures


def _static(board, profile):
    """Return what needs no board, together with the figures of the last --write."""
    from dicectl import footprint_page, measure

    old = read(footprint_page.FIGURES) if footprint_page.FIGURES.exists() else {}
    if (old.get("board"), old.get("profile")) != (board.name, profile):
        old = {}
    return {**old, "board": board.name, "profile": profile, **measure.static(board, profile)}


def _write(figures):
    """Write the documents."""
    from dicectl import footprint_page
    from dicectl.boards import ROOT

    for path, text in list(footprint_page.generated(figures)):
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            click.echo(f"{path.relative_to(ROOT)}: written", err=True)


def _figures(board, profile, static, write):
    """Return the figures, with progress on stderr."""
    from dicectl import boards, build, measure

    board = boards.find(board)
    if write and (board.name, profile) != (measure.EMULATED, "full"):
        raise Failure(f"the documents are about {measure.EMULATED} with profile full: leave out --board and --profile", USAGE)
    if static:
        return _static(board, profile)
    linked = ("group", "full") if write else (profile,)
    return build.with_progress(lambda progress: measure.collect(board, profile, progress, linked, with_tls=write))


@click.command("footprint")
@click.option("--board", default="RPI_PICO", show_default=True, help="For another board only files are measured.")
@click.option("--profile", default="full", show_default=True, help="Which of dice's modules: full, psk or group.")
@click.option("--static", is_flag=True, help="Measure only files again; the rest is that of docs/footprint.json.")
@click.option("--compare", "old", type=click.Path(exists=True, dir_okay=False), help="Show what differs from an earlier --json.")
@click.option("--svg", type=click.Path(dir_okay=False, writable=True), help="Draw the figures.")
@click.option("--write", is_flag=True, help="Write docs/footprint.* and the README's table, with MicroPython's own tls beside it.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures for a machine.")
def command(board, profile, static, old, svg, write, as_json):
    """Measure what dice costs, and fail past boards/budgets.toml.

    Flash is that of .mpy files, and of the linked firmware with and without dice. Heap and time are those of the emulated RP2040,
    by MicroPython's collector and the board's own clock. What is missing of the firmware is built first.

    \b
    Examples:
      dicectl footprint                              all, in a minute once the firmware is built
      dicectl footprint --json > before.json         then, after a change:
      dicectl footprint --compare before.json
      dicectl footprint --static --board ESP32_GENERIC
    """
    from dicectl import budgets

    earlier = read(old) if old else None
    figures = _figures(board, profile, static, write)
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        _print_all(figures, earlier)
    if svg:
        from dicectl import footprint_page

        Path(svg).write_text(footprint_page.picture(figures))
    if write:
        _write(figures)
    breaches = budgets.breaches(figures)
    for line in breaches:
        click.echo(line, err=True)
    return 1 if breaches else 0
