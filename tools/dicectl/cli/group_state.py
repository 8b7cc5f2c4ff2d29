# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How commands show the state of a group, and wait until a new epoch of it is in use."""

import json
import time

import rich_click as click

from dicectl.errors import FAILED, CommandError
from dicectl.manager import control
from dicectl.manager.group_words import count, is_done, sentence

_WAIT_S = 90
_WAIT_EACH_S = 0.11  # longer for each member
_POLL_S = 0.2
_NAMES_MAX = 5  # in the answer to a poll: a large group has thousands

wait_option = click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait until all members that are awake have the new keys; exit status 1 if that takes too long.",
)


def print_group(shown, as_json, expelled=()):
    """Print the state of a group."""
    if as_json:
        click.echo(json.dumps(shown))
        return
    if shown["error"]:
        click.echo(f"warning: the last change of the manager failed: {shown['error']}", err=True)
    for warning in shown.get("warnings", ()):
        click.secho(f"warning: {warning}", err=True, fg="red")
    click.echo(sentence(shown, expelled))


def wait_for(registry, shown, shows, expelled=()):
    """Wait until the epoch is in use: all members that are awake have entered it. Return the state of the group.

    Raises CommandError if that takes too long; it says what is true then. `shows`: with a bar on a terminal.
    """
    from dicectl.cli.progress import bar

    end = time.monotonic() + _WAIT_S + _WAIT_EACH_S * shown["members"]
    with bar(shows) as report:
        while not is_done(shown):
            if time.monotonic() >= end:
                shown = _whole(registry, shown)
                later = f"that goes on; dicectl group show {shown['name']} tells when it is done"
                raise CommandError(f"{sentence(shown, expelled)}; {later}", FAILED)
            if report:
                report(f"epoch {shown['epoch']}", 1 - count(shown, "untold") / max(1, count(shown, "awake")))
            began = time.monotonic()
            time.sleep(_POLL_S)
            shown = control.call(registry, "show", group=shown["name"], names_max=_NAMES_MAX)
            time.sleep(5 * max(0, time.monotonic() - began - _POLL_S))  # a large group: leave the manager its time
    return _whole(registry, shown)


def _whole(registry, shown):
    """Return the state of a group with all names."""
    return control.call(registry, "show", group=shown["name"]) if shown.get("cut") else shown


def follow(registry, shown, wait, as_json, expelled=()):
    """Wait until the epoch is in use, as wait_for(). Then print the state of the group."""
    try:
        shown = wait_for(registry, shown, not as_json, expelled) if wait else shown
    except CommandError:
        if as_json:
            print_group(control.call(registry, "show", group=shown["name"]), as_json)
        raise
    print_group(shown, as_json, expelled)


def follow_expulsion(registry, groups, devices, shows):
    """Wait until all members of `groups` that are awake obey `devices` no more; return a sentence for each group.

    Raises CommandError if that takes too long, with a word on what is done.
    """
    sentences = []
    for name in groups:
        try:
            shown = wait_for(registry, control.call(registry, "show", group=name), shows, devices)
        except CommandError as failure:
            raise CommandError(f"{', '.join(devices)}: deleted and expelled, but {failure.format_message()}", FAILED)
        sentences.append(sentence(shown, devices))
    return sentences
