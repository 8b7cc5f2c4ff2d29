# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl group`: the members, keys and messages of the groups of a running manager."""

import json

import rich_click as click

from dicectl.cli import changes, group_changes, group_messages
from dicectl.cli.group_state import follow, print_group, wait_option
from dicectl.cli.options import Period, complete_device, complete_group, with_address
from dicectl.errors import USAGE, CommandError
from dicectl.manager import control

_LIFETIME_S = 7 * 86_400  # of keys, unless the operator says another

_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group("group")
def command():
    """Add and remove members, renew keys, and take part in groups. The manager must be running.

    For a group without a manager, whose files you copy to devices yourself, use `dicectl keyring`.

    \b
    Example:
      dicectl group new lamps
      dicectl group add lamps lamp-1 lamp-2
      dicectl group remove lamps lamp-2
      dicectl group send lamps off --as desk/
      dicectl group ask lamps light --as desk/
    """


@command.command("list")
@_json
@control.option
def listing(as_json, registry):
    """List all groups.

    \b
    Example:
      dicectl group list
    """
    groups = control.call(registry, "groups")
    if as_json:
        click.echo(json.dumps(groups))
        return
    for shown in groups:
        print_group(shown, False)
    if not groups:
        click.echo("no group yet: dicectl group new")


@command.command()
@click.argument("group", shell_complete=complete_group)
@_json
@control.option
def show(group, as_json, registry):
    """Show a group, without its keys.

    \b
    Example:
      dicectl group show lamps
    """
    import datetime

    shown = control.call(registry, "show", group=group)
    print_group(shown, as_json)
    if not as_json:
        since = datetime.datetime.fromtimestamp(shown["since"]).isoformat(" ", "seconds")
        rekey = f"every {changes.period(shown['rekey_s'])}" if shown["rekey_s"] else "on demand"
        lifetime = f"lifetime of keys {changes.period(shown['lifetime_s'])}" if shown["lifetime_s"] else "keys without a lifetime"
        click.echo(f"id {shown['gid']}, address {shown['address']} port {shown['port']}")
        click.echo(f"epoch since {since}, re-key {rekey}, {lifetime}")


@command.command()
@click.argument("group", shell_complete=complete_group)
@click.option("--offline", is_flag=True, help="Only those that are not connected, those first that were silent for longest.")
@_json
@control.option
def members(group, offline, as_json, registry):
    """List the members of a group with their roles, their epochs, and when each was there last.

    A member that misses a report is silent: within the period of `dicectl manager run --report-every`, a tenth of it and 10 s.

    \b
    Example:
      dicectl group members lamps --offline
    """
    from dicectl.cli.table import print_table
    from dicectl.manager.presence_words import rank, words

    found = control.call(registry, "members", group=group)
    if offline:
        found = sorted((member for member in found if not member["connected"]), key=rank)
    if as_json:
        click.echo(json.dumps(found))
        return
    lines = []
    for member in found:
        device_id = "" if member["id"] is None else f"id {member['id']}"
        lines.append((member["device"], member["role"], device_id, f"epoch {member['epoch']}", words(member)))
    print_table(("device", "role", "id", "epoch", "state"), lines, headed=False, text_columns=5)


@command.command()
@click.argument("group")
@with_address
@click.option("--port", type=click.IntRange(1, 65535), help="UDP port; each group needs its own.  [default: random]")
@click.option("--layout", type=click.Choice(["k08", "d00"]), default="k08", show_default=True, help="SenderID of 1 or 2 bytes.")
@click.option(
    "--lifetime",
    type=Period(zero=True),
    help="Time after which devices erase keys that are not renewed: 12h, 30d, or 0 for never. A device that cannot reach the "
    "manager obeys expelled ones for so long.  [default: 7d, or twice --rekey-every]",
)
@click.option("--rekey-every", type=Period(), help="Period of automatic re-keys: 7d.  [default: half the lifetime, else on demand]")
@changes.dry_run
@_json
@control.option
def new(group, address, ipv6, port, layout, lifetime, rekey_every, dry_run, as_json, registry):
    """Create a group.

    \b
    Example:
      dicectl group new lamps --rekey-every 7d
    """
    from dicectl.net.address import draw

    if lifetime is None:
        lifetime = min(max(_LIFETIME_S, 2 * (rekey_every or 0)), (1 << 32) - 1)
    options = {
        "address": address or draw(ipv6),
        "port": port,
        "layout": layout,
        "lifetime_s": lifetime,
        "rekey_s": rekey_every or 0,
    }
    if lifetime and rekey_every and rekey_every >= lifetime:
        raise CommandError("keys must be renewed before their lifetime ends: choose a shorter --rekey-every", USAGE)
    if dry_run:
        changes.planned(registry, as_json, "new", group=group, **options)
        return
    print_group(control.call(registry, "new", group=group, **options), as_json)


@command.command()
@click.argument("group", shell_complete=complete_group)
@click.argument("devices", nargs=-1, required=True, shell_complete=complete_device)
@click.option("--role", type=click.Choice(["listener", "answering", "sender"]), default="listener", show_default=True)
@changes.yes
@changes.dry_run
@wait_option
@_json
@control.option
def add(group, devices, role, is_sure, dry_run, wait, as_json, registry):
    """Add devices to a group. Listeners receive messages, answering listeners may also answer requests, senders may send.

    A new sender or answering listener begins a new epoch; a new listener does not. DEVICES may be patterns: '*' is all that are not
    in the group yet.

    \b
    Examples:
      dicectl group add lamps lamp-1 lamp-2
      dicectl group add lamps 'lamp-*' --role answering
    """
    names = changes.devices(registry, devices, is_sure or dry_run, f"add to {group}", group, False)
    if dry_run:
        changes.planned(registry, as_json, "add", group=group, devices=names, role=role)
        return
    follow(registry, control.call(registry, "add", group=group, devices=names, role=role), wait, as_json)


@command.command()
@click.argument("group", shell_complete=complete_group)
@click.argument("devices", nargs=-1, required=True, shell_complete=complete_device)
@changes.yes
@changes.dry_run
@wait_option
@_json
@control.option
def remove(group, devices, is_sure, dry_run, wait, as_json, registry):
    """Expel devices from a group: all other members get new keys, from a new master key.

    Members that are awake change to the new keys within 5 s plus 2 ms for each member, and obey nobody any more who was
    expelled. Others do so when they reach the manager again, or when the lifetime of their keys ends: the command names them.
    DEVICES may be patterns.

    \b
    Examples:
      dicectl group remove lamps lamp-2
      dicectl group remove lamps 'lamp-*' --dry-run
    """
    names = changes.devices(registry, devices, is_sure or dry_run, f"remove from {group}", group)
    if dry_run:
        changes.planned(registry, as_json, "remove", group=group, devices=names)
        return
    follow(registry, control.call(registry, "remove", group=group, devices=names), wait, as_json, names)


@command.command()
@click.argument("group", shell_complete=complete_group)
@changes.dry_run
@wait_option
@_json
@control.option
def rekey(group, dry_run, wait, as_json, registry):
    """Renew the keys of a group.

    \b
    Example:
      dicectl group rekey lamps
    """
    if dry_run:
        changes.planned(registry, as_json, "rekey", group=group)
        return
    follow(registry, control.call(registry, "rekey", group=group), wait, as_json)


for _command in (group_messages.send, group_messages.ask, group_messages.monitor, *group_changes.commands):
    command.add_command(_command)
