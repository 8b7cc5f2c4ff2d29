# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl footprint`: the flash, heap and time that dice needs, compared with boards/budgets.toml.

measure/footprint measures, measure/budgets compares, measure/report writes documents. docs/footprint.json has the figures of the
last --write.
"""

import json
from pathlib import Path

import rich_click as click

from dicectl.cli.options import complete_board, complete_port, complete_profile
from dicectl.errors import USAGE, CommandError

_SECONDS = 60  # that a program runs


def _change(before, after):
    if before is None or after is None:
        return "new" if before is None else "gone"
    return f"{after - before:+,.10g}"


def _print_all(figures, old):
    from dicectl.cli.table import print_table
    from dicectl.measure.figures import compare, rows

    click.echo(f"{figures['board']}, profile {figures['profile']}")
    print_table(("what", "figure"), rows(figures), headed=False)
    _print_verdicts(figures)
    if old is not None:
        changed = compare(old, figures)
        click.echo("\nchanged" if changed else "\nno changes")
        lines = [(name, *map(_number, (before, after)), _change(before, after)) for name, before, after in changed]
        print_table(("what", "before", "after", "change"), lines, headed=False)


def _print_verdicts(figures):
    """Print what was measured beside its budget."""
    from dicectl.cli.table import print_table
    from dicectl.measure import budgets
    from dicectl.measure.report import shown

    lines = [
        (budget.title, shown(value, budget.unit), f"{shown(limit, budget.unit)} allowed", "past it" if value > limit else "within")
        for budget, value, limit in budgets.verdicts(figures)
    ]
    if lines:
        click.echo("\nbudgets")
        print_table(("what", "measured", "allowed", ""), lines, headed=False)


def _number(value):
    return "-" if value is None else f"{value:,.10g}"


def _static(board, profile):
    """Return the figures of files, with the other figures of the last --write."""
    from dicectl import resources
    from dicectl.measure import footprint
    from dicectl.measure.figures import read

    old = read(resources.FIGURES) if resources.FIGURES.exists() else {}
    if (old.get("board"), old.get("profile")) != (board.name, profile):
        old = {}
    return {**old, "board": board.name, "profile": profile, **footprint.static(board, profile)}


def _write(figures):
    """Write the documents."""
    from dicectl import resources
    from dicectl.measure import report

    root = resources.clone("footprint --write")
    for path, text in list(report.generated(figures)):
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            click.echo(f"{path.relative_to(root)}: written", err=True)


def _figures(board, profile, static, write):
    """Return the figures, with progress on stderr."""
    from dicectl import resources
    from dicectl.cli.progress import with_progress
    from dicectl.firmware import boards
    from dicectl.measure import footprint

    board = boards.find(board)
    if write and (board.name, profile) != (footprint.EMULATED, "full"):
        raise CommandError(
            f"the documents are about {footprint.EMULATED} with profile full: leave out --board and --profile", USAGE
        )
    if write:
        resources.clone("footprint --write")
    if static:
        return _static(board, profile)
    linked = ("group", "full") if write else (profile,)
    return with_progress(lambda progress: footprint.collect(board, profile, progress, linked, with_tls=write))


@click.command("footprint")
@click.argument("program", required=False)
@click.option("--port", shell_complete=complete_port, help="Measure a connected board: its serial port.")
@click.option(
    "--seconds",
    type=click.FloatRange(1, 86_400),
    help="How long PROGRAM runs, if 100 messages do not come before.  [default: 60]",
)
@click.option("--add", "name", metavar="NAME", help="Add the result for --port to docs/measured and docs/boards.md.")
@click.option(
    "--board",
    shell_complete=complete_board,
    help="Board; without --port, heap and time are measured only for RPI_PICO.  [default: RPI_PICO]",
)
@click.option("--profile", shell_complete=complete_profile, help="full, public-keys, psk or group.  [default: full]")
@click.option("--static", is_flag=True, help="Measure only files; take the other figures from docs/footprint.json.")
@click.option("--compare", "old", type=click.Path(exists=True, dir_okay=False), help="Show the differences from an earlier --json.")
@click.option("--svg", type=click.Path(dir_okay=False, writable=True), help="Draw the figures to a file.")
@click.option("--write", is_flag=True, help="Write docs/footprint.* and the README's table, with MicroPython's own tls beside it.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(program, port, seconds, name, board, profile, static, old, svg, write, as_json):
    """Measure the cost of dice, and fail if it exceeds boards/budgets.toml.

    Flash is measured as .mpy files, and as linked firmware with and without dice. Heap and time are measured on the emulated
    RP2040, by MicroPython's collector and the board's clock. Missing firmware is built first.

    With --port, a connected board is measured, on which dice is: heap at each stage, stack, flash, wear and times, beside those of
    the emulated Pico. The board restarts several times; its boot.py runs, its main.py does not. Then it runs its main.py again.

    With a PROGRAM, that is sampled while it runs: a file of this computer, or with a colon one of the board, such as :main.py.
    It is not changed. It ends by Ctrl-C, after 100 messages or --seconds.

    \b
    Examples:
      dicectl footprint                              all, in a minute once the firmware is built
      dicectl footprint --json > before.json         then, after a change:
      dicectl footprint --compare before.json
      dicectl footprint --static --board ESP32_GENERIC
      dicectl footprint --port /dev/ttyACM0          a connected board
      dicectl footprint --port /dev/ttyACM0 :main.py --seconds 300
      dicectl footprint --port /dev/ttyACM0 --add "Jo Doe"
    """
    _refuse_ignored(program, seconds, old, as_json)
    if port or program:
        from dicectl.cli import footprint_board

        footprint_board.refuse_others(board=board, profile=profile, static=static, write=write)
        footprint_board.run(port, program, seconds or _SECONDS, old, svg, name, as_json)
        return 0
    if name is not None:
        raise CommandError("--add needs a connected board: name its --port", USAGE)
    return _without_board(board or "RPI_PICO", profile or "full", static, old, svg, write, as_json)


def _refuse_ignored(program, seconds, old, as_json):
    """Raise CommandError for an option that the others leave without an effect."""
    if seconds is not None and not program:
        raise CommandError("--seconds is how long a PROGRAM runs: name the program, or leave it out", USAGE)
    if old and as_json:
        raise CommandError("--compare prints differences, --json prints the figures: leave out one", USAGE)


def _without_board(board, profile, static, old, svg, write, as_json):
    """Measure files, and the emulated board; return the exit status."""
    from dicectl.measure import budgets
    from dicectl.measure.figures import read

    earlier = read(old) if old else None
    figures = _figures(board, profile, static, write)
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        _print_all(figures, earlier)
    if svg:
        from dicectl.measure import report

        Path(svg).write_text(report.picture(figures))
    if write:
        _write(figures)
    breaches = budgets.breaches(figures)
    for line in breaches:
        click.echo(line, err=True)
    return 1 if breaches else 0
