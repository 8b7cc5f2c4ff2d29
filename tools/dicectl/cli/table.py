# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Tables on stdout: drawn by rich on a terminal, aligned lines elsewhere."""

import sys

import rich_click as click


def _plain(lines, text_columns):
    """Return a table, a list of lists of cells, as aligned lines."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def print_table(headings, lines, headed=True, text_columns=1):
    """Print a table. The first `text_columns` columns are aligned left. Plain lines have the headings only if `headed`."""
    if not lines:
        return
    if not sys.stdout.isatty():
        click.echo(_plain([headings, *lines] if headed else lines, text_columns))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for i, title in enumerate(headings):
        table.add_column(title, justify="left" if i < text_columns else "right")
    for row in lines:
        table.add_row(*map(Text, row))  # cells are not markup
    Console().print(table)
