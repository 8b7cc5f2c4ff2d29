# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Progress of what takes long: a bar on a terminal, plain lines elsewhere."""

import sys

import rich_click as click


class _Plain:
    """Shows progress as lines."""

    def __init__(self):
        self._last = None

    def __call__(self, text, fraction=None):
        if text != self._last:
            click.echo(f"{text} ...", err=True)
        self._last = text


def with_progress(work):
    """Return work(progress), with a bar on a terminal's stderr meanwhile, and plain lines elsewhere."""
    if not sys.stderr.isatty():
        return work(_Plain())
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        return work(lambda text, fraction=None: bar.update(task, description=text, total=fraction and 1, completed=fraction or 0))
