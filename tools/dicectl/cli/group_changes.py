# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl group role`, `set` and `delete`: what changes a group as a whole."""

import json

import rich_click as click

from dicectl.cli import changes
from dicectl.cli.group_state import follow, wait_option
from dicectl.cli.options import Period, complete_device, complete_group
from dicectl.errors import USAGE, CommandError
from dicectl.manager import control

_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_group = click.argument("group", shell_complete=complete_group)


@click.command()
@_group
@click.argument("devices", nargs=-1, required=True, shell_complete=complete_device)
@click.argument("role", type=click.Choice(["listener", "answering", "sender"]))
@changes.yes
@changes.dry_run
@wait_option
@_json
@control.option
def role(group, devices, role, is_sure, dry_run, wait, as_json, registry):
    """Give members another role, in one new epoch. DEVICES may be patterns such as 'lamp-*'.

    A device that may send no more is obeyed by nobody after the same time as one that is expelled: 5 s plus 2 ms for each member.

    \b
    Examples:
      dicectl group role lamps switch-2 sender
      dicectl group role lamps 'lamp-*' answering --dry-run
    """
    names = changes.devices(registry, devices, is_sure or dry_run, f"make {role} in {group}", group)
    if dry_run:
        changes.planned(registry, as_json, "role", group=group, devices=names, role=role)
        return
    follow(registry, control.call(registry, "role", group=group, devices=names, role=role), wait, as_json)


@click.command("set")
@_group
@click.option("--rekey-every", type=Period(zero=True), help="Period of automatic re-keys: 7d, or 0 for on demand.")
@click.option("--lifetime", type=Period(zero=True), help="Time after which devices erase keys that are not renewed: 30d, 0: never.")
@changes.dry_run
@wait_option
@_json
@control.option
def set_periods(group, rekey_every, lifetime, dry_run, wait, as_json, registry):
    """Change the periods of a group.

    The period of re-keys counts at once, from the beginning of the present epoch: a re-key that is due now happens now. The
    lifetime is part of the keys: an epoch begins, and a member has it when it has the new keys.

    \b
    Example:
      dicectl group set lamps --lifetime 30d --rekey-every 10d
    """
    if rekey_every is None and lifetime is None:
        raise CommandError("give --rekey-every, --lifetime, or both", USAGE)
    request = {"group": group, "lifetime_s": lifetime, "rekey_s": rekey_every}
    if dry_run:
        changes.planned(registry, as_json, "set", **request)
        return
    follow(registry, control.call(registry, "set", **request), wait, as_json)


@click.command()
@_group
@changes.yes
@changes.dry_run
@_json
@control.option
def delete(group, is_sure, dry_run, as_json, registry):
    """Delete a group. Its devices stay in the registry and in their other groups.

    No key is delivered any more, so the members go on with the keys that they have until the lifetime of these ends. To end them
    sooner, remove the members first: dicectl group remove GROUP '*'.

    \b
    Example:
      dicectl group delete lamps
    """
    if dry_run:
        changes.planned(registry, as_json, "delete", group=group)
        return
    shown = control.call(registry, "show", group=group)
    changes.confirm(f"{group} has {shown['members']} members, who {_go_on(shown)}: delete it?", is_sure or not shown["members"])
    deleted = control.call(registry, "delete", group=group)
    click.echo(json.dumps(deleted) if as_json else f"{group} is deleted; its {deleted['members']} members {_go_on(deleted)}")


def _go_on(shown):
    if not shown["epoch"]:
        return "have no keys"
    until = (
        f"for {changes.period(shown['lifetime_s'])} at most" if shown["lifetime_s"] else "endlessly, since these have no lifetime"
    )
    return f"go on with the keys that they have {until}"


commands = (role, set_periods, delete)
