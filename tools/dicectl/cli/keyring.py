# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl keyring`: groups whose keys are handed out by hand."""

import datetime
import json

import rich_click as click

from dicectl.cli.options import Address, Period

_SECRETS = ("tgk", "cs_id", "rand")
_dry_run = click.option("--dry-run", is_flag=True, help="Tell what would be done, and change nothing.")


def _report(dry_run, done, following):
    """Say what was done, or what would have been, and what comes next."""
    click.echo(f"would do  {done}" if dry_run else f"{done}\nnext: {following}")


@click.group("keyring")
def command():
    """Make groups without a manager, and the files that let devices join them.

    One computer keeps the group file, which holds the master key. Each device gets a GSA (group security association) made from it:
    a sender its own, once; a listener any. Export the listeners before the senders, then they know that nothing was sent yet.

    \b
    Example:
      dicectl keyring new lamps.group
      dicectl keyring add-sender lamps.group switch
      dicectl keyring export lamps.group lamp.gsa
      dicectl keyring export lamps.group switch.gsa --sender switch
    """


@command.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--name", help="What people call it.  [default: the file's name]")
@click.option("--address", type=Address(), help="IPv4 multicast address.  [default: a random one of 239.255.0.0/16]")
@click.option("--port", type=click.IntRange(1, 65535), help="UDP port; each group on a device needs its own.  [default: random]")
@click.option("--layout", type=click.Choice(["k08", "d00"]), default="k08", show_default=True, help="SenderID of 1 byte or of 2.")
@click.option(
    "--derive",
    type=click.Choice(["sender", "shared"]),
    default="sender",
    show_default=True,
    help="A key for each sender, or one for all, as other implementations of the draft do it.",
)
@click.option("--suite", type=click.Choice(["ccm8", "ccm"]), default="ccm8", show_default=True, help="Tag of 8 bytes or of 16.")
@click.option("--lifetime", type=Period(), help="When devices forget the key: 12h, 30d.  [default: never]")
@_dry_run
def new(file, name, address, port, layout, derive, suite, lifetime, dry_run):
    """Make a group and write its file, readable by its owner alone."""
    from pathlib import Path

    from dicectl.manager import group_file

    group = group_file.new(name or Path(file).stem, address, port, layout, derive, suite, lifetime or 0)
    group_file.create(file, group, dry_run)
    if dry_run:  # what is drawn now is drawn anew next time
        group.update(address=address or "a random address", port=port or "a random one")
    _report(
        dry_run,
        f"{file}: group {group['name']} at {group['address']} port {group['port']}",
        f"dicectl keyring add-sender {file} NAME",
    )


@command.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--secrets", is_flag=True, help="Print the keys too.")
def show(file, as_json, secrets):
    """Show a group; its keys only when asked for."""
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
@click.option("--id", "sender_id", type=int, help="SenderID.  [default: the lowest that is free]")
@_dry_run
def add_sender(file, name, sender_id, dry_run):
    """Let one more device send to the group.

    Devices that were given a GSA before do not know the new sender: export theirs again.
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
    """Give a listener an id, so that it can answer what senders ask the group.

    Senders have always an id to answer with. Listeners that never answer need none: one GSA serves all of them.
    """
    from dicectl.manager import group_file

    with group_file.edit(file, dry_run) as group:
        listener_id = group_file.add_listener(group, name)
    _report(dry_run, f"{name} has ListenerID {listener_id}", f"dicectl keyring export {file} {name}.gsa --listener {name}")


@command.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("gsa", type=click.Path(dir_okay=False))
@click.option("--sender", help="Name of a sender; without it, the GSA is a listener's.")
@click.option("--listener", help="Name of a listener that may answer.")
@_dry_run
def export(file, gsa, sender, listener, dry_run):
    """Write the GSA for a device; copy it there with `mpremote cp`, then delete it here.

    That of a device with a name can be exported once an epoch, since two devices with one id would repeat nonces.
    """
    from dicectl.errors import USAGE, CommandError
    from dicectl.manager import group_file

    if sender and listener:
        raise CommandError("a device is a sender or a listener: name one of them", USAGE)
    group = group_file.export(file, gsa, sender, listener, dry_run)
    name = sender or listener
    _report(dry_run, f"{gsa}: {name or 'a listener'} of {group['name']}, epoch {group['epoch']}", f"mpremote cp {gsa} :")
    unknown = ", ".join(entry["name"] for entry in group["senders"] if entry["exported"] and entry["name"] != name)
    if unknown:
        click.echo(
            f"note: {unknown} may have sent already; the device will ignore the first message of each sender named here",
            err=True,
        )


@command.command()
@click.argument("file", type=click.Path(dir_okay=False))
@_dry_run
def rekey(file, dry_run):
    """Begin the next epoch, with new keys: to throw a member out, or when a key is spent.

    Export a GSA anew for every device that stays and copy it over the old one; the device never goes back to an older epoch.
    """
    from dicectl.manager import group_file

    with group_file.edit(file, dry_run) as group:
        group_file.rekey(group)
    _report(dry_run, f"{file}: epoch {group['epoch']}", "export a GSA for every device that stays, listeners first")
