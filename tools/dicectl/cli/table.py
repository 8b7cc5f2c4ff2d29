# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Tables: rich's on a terminal, aligned lines elsewhere."""

import sys

import rich_click as click


def _plain(lines):
    """Return a table, a list of lists of cells, as aligned lines."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    )


def print_table(headings, lines, headed=True):
    """Print a table of rich's on a terminal, plain lines elsewhere; those begin with the headings if `headed`."""
    if not lines:
        return
    if not sys.stdout.isatty():
        click.echo(_plain([headings, *lines] if headed else lines))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for i, title in enumerate(headings):
        table.add_column(title, justify="right" if i else "left")
    for row in lines:
        table.add_row(*row)
    Console().print(table)
