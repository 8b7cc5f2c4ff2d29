# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl keyring`: groups without a manager, whose keys are copied to devices by hand."""

import datetime
import json

import rich_click as click

from dicectl.cli.options import Period, with_address

_SECRETS = ("tgk", "cs_id", "rand")
_dry_run = click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")


def _report(dry_run, done, next_step):
    """Print what was done, or would be done, and the next step."""
    click.echo(f"would do  {done}" if dry_run else f"{done}\nnext: {next_step}")


@click.group("keyring")
def command():
    """Create groups without a manager, and the files with which devices join them.

    One computer has the group file, which contains the master key. Each device gets a GSA (group security association) that is made
    from it. A sender needs its own GSA, and gets it once; all listeners can share one. Export the GSAs of listeners before those of
    senders: then listeners know that no message was sent before.

    Use `dicectl keyring` for a few devices that you can reach to copy files. With `dicectl manager`, `provision` and `group` a
    service delivers the keys, renews them, and expels devices; devices then need a network to it.

    \b
    Example:
      dicectl keyring new lamps.group
      dicectl keyring add-sender lamps.group switch
      dicectl keyring export lamps.group lamp.gsa
      dicectl keyring export lamps.group switch.gsa --sender switch
    """


@command.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--name", help="Name of the group.  [default: the file's name]")
@with_address
@click.option("--port", type=click.IntRange(1, 65535), help="UDP port; each group on a device needs its own.  [default: random]")
@click.option("--layout", type=click.Choice(["k08", "d00"]), default="k08", show_default=True, help="SenderID of 1 or 2 bytes.")
@click.option(
    "--derive",
    type=click.Choice(["sender", "shared"]),
    default="sender",
    show_default=True,
    help="A key for each sender, or one for all as in other implementations of the draft.",
)
@click.option("--suite", type=click.Choice(["ccm8", "ccm"]), default="ccm8", show_default=True, help="Tag of 8 or 16 bytes.")
@click.option("--lifetime", type=Period(), help="Time after which devices erase the key: 12h, 30d.  [default: never]")
@_dry_run
def new(file, name, address, ipv6, port, layout, derive, suite, lifetime, dry_run):
    """Create a group and write its file, readable only by its owner.

    \b
    Example:
      dicectl keyring new lamps.group --lifetime 30d
    """
    from pathlib import Path

    from dicectl.manager import group_file
    from dicectl.net.address import draw

    group = group_file.new(name or Path(file).stem, address or draw(ipv6), port, layout, derive, suite, lifetime or 0)
    group_file.create(file, group, dry_run)
    if dry_run:  # the random values will be others next time
        group.update(address=address or "a random address", port=port or "a random one")
    _report(
        dry_run,
        f"{file}: group {group['name']} at {group['address']} port {group['port']}",
        f"dicectl keyring add-sender {file} NAME",
    )


@command.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the group as JSON.")
@click.option("--secrets", is_flag=True, help="Print the keys too.")
def show(file, as_json, secrets):
    """Show a group; without its keys, except with --secrets.

    \b
    Example:
      dicectl keyring show lamps.group
    """
    from dicectl.manager import group_file

    group = group_file.load(file)
    if not secrets:
        group = {key: value for key, value in group.items() if key not in _SECRETS}
    if as_json:
        click.echo(json.dumps(group))
        return
    lifetime = datetime.timedelta(seconds=group["lifetime_s"]) if group["lifetime_s"] else "unlimited"
    click.echo(f"group     {group['name']} (id {group['gid']}), epoch {group['epoch']}, lifetime {lifetime}")
    click.echo(f"address   {group['address']} port {group['port']}")
    keys = "one key for all" if group["derive"] == "shared" else "a key for each sender"
    click.echo(f"security  suite {group['suite']}, layout {group['layout']}, {keys}")
    for key in _SECRETS if secrets else ():
        click.echo(f"{key:10}{group[key]}")
    for kind in ("senders", "listeners"):
        for device in group[kind]:
            exported = "exported" if device["exported"] else "not exported yet"
            click.echo(f"{kind[:-1]:10}{device['id']:<5} {device['name']} ({exported})")


@command.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("name")
@click.option("--id", "sender_id", type=int, help="SenderID.  [default: the lowest free one]")
@_dry_run
def add_sender(file, name, sender_id, dry_run):
    """Add a device that may send to the group.

    Devices that already have a GSA do not know the new sender: export their GSAs again.

    \b
    Example:
      dicectl keyring add-sender lamps.group switch
    """
    from dicectl.manager import group_file

    with group_file.edit(file, dry_run) as group:
        sender_id = group_file.add_sender(group, name, sender_id)
    listeners_first = f"dicectl keyring export {file} LISTENER.gsa, then dicectl keyring export {file} {name}.gsa --sender {name}"
    _report(dry_run, f"{name} has SenderID {sender_id}", listeners_first)


@command.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("name")
@_dry_run
def add_listener(file, name, dry_run):
    """Add a listener with an id, so that it can answer the requests of senders.

    A sender answers with its SenderID. Listeners that never answer need no id, and can all use the same GSA.

    \b
    Example:
      dicectl keyring add-listener lamps.group lamp-1
    """
    from dicectl.manager import group_file

    with group_file.edit(file, dry_run) as group:
        listener_id = group_file.add_listener(group, name)
    _report(dry_run, f"{name} has ListenerID {listener_id}", f"dicectl keyring export {file} {name}.gsa --listener {name}")


@command.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("gsa", type=click.Path(dir_okay=False))
@click.option("--sender", help="Name of a sender.  [default: the GSA is for listeners]")
@click.option("--listener", help="Name of a listener that may answer.")
@_dry_run
def export(file, gsa, sender, listener, dry_run):
    """Write the GSA for a device. Copy it to the device with `mpremote cp`, then delete it here.

    The GSA of a named device can be exported once in an epoch, because two devices with one id would repeat nonces.

    \b
    Examples:
      dicectl keyring export lamps.group lamp.gsa
      dicectl keyring export lamps.group switch.gsa --sender switch
    """
    from dicectl.errors import USAGE, CommandError
    from dicectl.manager import group_file

    if sender and listener:
        raise CommandError("a device is a sender or a listener: give one of them", USAGE)
    group = group_file.export(file, gsa, sender, listener, dry_run)
    name = sender or listener
    _report(dry_run, f"{gsa}: {name or 'a listener'} of {group['name']}, epoch {group['epoch']}", f"mpremote cp {gsa} :")
    unknown = ", ".join(entry["name"] for entry in group["senders"] if entry["exported"] and entry["name"] != name)
    if unknown:
        click.echo(
            f"note: {unknown} may have sent already: the device ignores the first message of each sender named here",
            err=True,
        )


@command.command()
@click.argument("file", type=click.Path(dir_okay=False))
@_dry_run
def rekey(file, dry_run):
    """Begin the next epoch, with new keys: to expel a member, or when a key is used up.

    Export a new GSA for every device that stays, and copy it over the old one. A device never goes back to an older epoch.

    \b
    Example:
      dicectl keyring rekey lamps.group
    """
    from dicectl.manager import group_file

    with group_file.edit(file, dry_run) as group:
        group_file.rekey(group)
    _report(dry_run, f"{file}: epoch {group['epoch']}", "export a GSA for every device that stays, listeners first")
