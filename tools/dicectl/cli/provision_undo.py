# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Devices that a manager creates: they get their configurations, or are deleted again."""

import contextlib

import rich_click as click

from dicectl import ending, line_socket
from dicectl.errors import FAILED, CommandError
from dicectl.manager import control


@contextlib.contextmanager
def created(registry, names, do, **request):
    """Let the manager create devices, and yield its answer; if the block fails or is interrupted, they are deleted.

    The first Ctrl-C waits for the answer, because the manager would create the devices all the same. If there is no answer, the
    user decides: devices of these names may be others, which the manager would have refused to create again.
    """
    answer = None
    try:
        with ending.held():
            answer = control.call(registry, do, **request)
        yield answer
    except BaseException as error:
        if answer is not None:
            _delete(registry, names)
            raise
        hint = f"if dicectl provision list has them, they were created: dicectl provision wipe {_listed(names)}"
        if isinstance(error, line_socket.NoAnswer):
            raise CommandError(f"{error.format_message()}; {hint}", FAILED)
        if isinstance(error, KeyboardInterrupt):
            click.echo(hint, err=True)
        raise


def _delete(registry, names):
    """Delete the devices, which no device has the keys of; raises CommandError that says how, if the manager does not."""
    try:
        with ending.held():
            control.call(registry, "wipe_all", names=names)
    except (CommandError, KeyboardInterrupt) as error:
        why = error.format_message() if isinstance(error, CommandError) else "interrupted"
        raise CommandError(f"{why}; devices without a configuration remain: dicectl provision wipe {_listed(names)}", FAILED)


def _listed(names):
    return names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]}"
