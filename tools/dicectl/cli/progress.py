# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Progress of long work, on stderr: a bar on a terminal, plain lines or nothing elsewhere."""

import contextlib
import sys
import time

import rich_click as click

_POLL_S = 0.5


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


def wait_for(missing, count, wait_s, shows):
    """Call missing(), {name: why} of those of `count` devices that are not ready, until it is empty or `wait_s` have passed.

    Return its last result. `shows`: with a bar on a terminal.
    """
    end = time.monotonic() + wait_s
    with bar(shows) as report:
        while True:
            found = missing()
            if report:
                report(f"{len(found)} are missing", (count - len(found)) / max(1, count))
            if not found or time.monotonic() >= end:
                return found
            time.sleep(_POLL_S)
