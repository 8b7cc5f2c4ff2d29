# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The part of `dicectl footprint` that measures a connected board."""

import json
import sys
from pathlib import Path

import rich_click as click

from dicectl.cli.progress import with_progress
from dicectl.errors import USAGE, CommandError


def _echo(data):
    """Pass the output of the board's program on, to stderr."""
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()


def _measure(port, program, seconds):
    from dicectl.board.raw_repl import Device
    from dicectl.measure import on_board
    from dicectl.measure import program as programs

    if program:
        programs.source(program)  # before the board is interrupted
    with Device(port) as device:
        if program:
            return programs.collect(device, program, seconds, lambda text: click.echo(f"{text} ...", err=True), _echo)
        return with_progress(lambda progress: on_board.collect(device, progress))


def _print(figures, pico, earlier):
    from dicectl.cli.table import print_table
    from dicectl.measure import board_report
    from dicectl.measure.figures import compare

    click.echo(board_report.title(figures))
    print_table(("what", "here", "emulated Pico"), board_report.rows(figures, pico))
    for note in figures["notes"]:
        click.echo(f"note: {note}")
    if earlier is not None:
        changed = compare(earlier, figures)
        click.echo("\nchanged" if changed else "\nno changes")
        numbers = [(name, *("-" if value is None else f"{value:,.10g}" for value in both)) for name, *both in changed]
        print_table(("what", "before", "after"), numbers, headed=False)


def run(port, program, seconds, old, svg, name, as_json):
    """Measure, print, and write what was asked for."""
    from dicectl.measure import board_report, community
    from dicectl.measure.figures import read_any

    earlier = read_any(old) if old else None
    if name is not None:
        community.check(name, program)
    figures = _measure(port, program, seconds)
    pico = community.pico()
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        _print(figures, pico, earlier)
    if svg:
        Path(svg).write_text(board_report.picture(figures, None if program else pico))
    if name is not None:
        for path in community.add(figures, name):
            click.echo(f"{path}: written", err=True)


def refuse_others(**options):
    """Raise CommandError for options that have no meaning with --port."""
    for option, given in options.items():
        if given:
            raise CommandError(f"--{option} is for the emulated board and for files: leave it out with --port or a PROGRAM", USAGE)
