# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Parts of commands that change something: patterns of names, the question before they do it, and --dry-run."""

import json
import sys

import rich_click as click

from dicectl.errors import USAGE, CommandError
from dicectl.manager import control
from dicectl.text import counted

_SHOWN_MAX = 20

yes = click.option("--yes", "-y", "is_sure", is_flag=True, help="Do not ask.")
dry_run = click.option("--dry-run", is_flag=True, help="Print what would change, such as who is expelled; change nothing.")


def confirm(question, is_sure):
    """Ask a question, unless the user `is_sure`; raises CommandError if the answer is no, or if nobody can answer."""
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} Say so with --yes; --dry-run prints what would change", USAGE)
    if not click.confirm(question, err=True):
        raise CommandError("nothing was changed")


def devices(registry, words, is_sure, doing, group=None, member=True):
    """Return the names of devices for words that may be patterns, such as 'lamp-*'; asks if there was a pattern.

    `doing` says what is done with them, such as "remove from lamps".
    """
    if not set("*?[").intersection("".join(words)):
        return list(words)
    names = control.call(registry, "matching", patterns=words, group=group, member=member)
    if not names:
        raise CommandError(f"no device matches {' '.join(words)}: dicectl provision list", USAGE)
    more = f" and {len(names) - _SHOWN_MAX} more" if len(names) > _SHOWN_MAX else ""
    click.echo(f"{doing}: {', '.join(names[:_SHOWN_MAX])}{more}", err=True)
    confirm(f"{len(names)} device{'s' if len(names) != 1 else ''}: go on?", is_sure)
    return names


def planned(registry, as_json, do, **request):
    """Print what a request to the manager would do."""
    plan = control.call(registry, do, dry_run=True, **request)
    if as_json:
        click.echo(json.dumps(plan))
        return
    lines = [*_device_lines(plan["devices"]), *(line for group in plan["groups"] for line in _group_lines(group))]
    for line in lines or ["nothing would change"]:
        click.echo(line)
    click.echo("nothing was changed: this was a dry run", err=True)


def _device_lines(changed):
    for what in ("created", "deleted"):
        if changed[what]:
            yield f"devices that would be {what}: {', '.join(changed[what])}"
    for name, other in changed["renamed"].items():
        yield f"{name} would be renamed to {other}"


def _group_lines(group):
    name = group["name"]
    if group.get("created") or group.get("deleted"):
        yield f"{name} would be {'created' if group.get('created') else 'deleted'}; it has {counted(group['members'], 'member')}"
        return
    if group.get("expelled"):
        yield f"{name}: would be expelled: {', '.join(group['expelled'])}"
    for device, role in group.get("added", {}).items():
        yield f"{name}: would be added: {device} ({role})"
    for device, role in group.get("roles", {}).items():
        yield f"{name}: {device} would be {role}"
    for field, label in (("lifetime_s", "lifetime of keys"), ("rekey_s", "period of automatic re-keys")):
        if field in group:
            yield f"{name}: {label} would be {period(group[field])}"
    if "next_epoch" in group:
        new = ", from a new master key" if group["new_master_key"] else ""
        get, are = "gets" if group["members"] == 1 else "get", "is" if group["awake"] == 1 else "are"
        who = f"{counted(group['members'], 'member')} {get} new keys, {group['awake']} of them {are} awake"
        yield f"{name}: epoch {group['next_epoch']} would begin after epoch {group['epoch']}{new}: {who}"
    elif group.get("added"):
        yield f"{name}: no epoch would begin: the present keys stay in use"


def period(seconds):
    """Return seconds as options write a time: 7d, 12h, 90s; 0 is never."""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s" if seconds else "never"
