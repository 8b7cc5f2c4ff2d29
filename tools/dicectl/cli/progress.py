# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Progress of long work, on stderr: a bar on a terminal, plain lines or nothing elsewhere."""

import contextlib
import sys

import rich_click as click


class _Lines:
    """Prints a line for each new text."""

    def __init__(self):
        self._last = None

    def __call__(self, text, fraction=None):
        if text != self._last:
            click.echo(f"{text} ...", err=True)
        self._last = text


@contextlib.contextmanager
def bar(enabled=True):
    """Show a bar while the block runs: yield report(text, fraction=None), or None without a terminal or `enabled`."""
    if not (enabled and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None)

        def report(text, fraction=None):
            total = None if fraction is None else 1
            shown.update(task, description=text, total=total, completed=fraction or 0)

        yield report


def with_progress(work):
    """Return work(report), with a bar on a terminal and plain lines elsewhere."""
    with bar() as report:
        return work(report or _Lines())
