# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision`: devices, each with an identity and a key, in the registry of a running manager."""

import json

import rich_click as click

from dicectl.cli.options import complete_port
from dicectl.errors import FAILED, CommandError
from dicectl.manager import control

_to = click.option("--to", "folder", type=click.Path(file_okay=False), help="Folder of a node on the unix port or this computer.")
_port = click.option("--port", shell_complete=complete_port, help="Serial port of a board.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group("provision")
def command():
    """Add devices to the manager's registry, and write the configuration with which they connect to it.

    The configuration is the file node.json: a random identity and a random key, the manager's address and the names of the groups.
    It is written to a folder or directly to a board. Only that file and the registry contain the key, and no command prints it.

    \b
    Example:
      dicectl provision new lamp-1 --group lamps --port /dev/ttyACM0
      dicectl provision replace lamp-1 --port /dev/ttyACM0
      dicectl provision wipe lamp-1
    """


def _memberships(values):
    """Return {group: role} of values such as "lamps" or "lamps:sender"."""
    return {group: role or "listener" for group, _, role in (value.partition(":") for value in values)}


def _report(settings, where, as_json):
    groups = settings["groups"]
    if as_json:
        click.echo(json.dumps({**{key: settings[key] for key in ("name", "identity", "groups")}, "written": where}))
        return
    click.echo(f"{settings['name']}: identity {settings['identity']}, {', '.join(groups) or 'in no group yet'}; written to {where}")


@command.command()
@click.argument("name")
@click.option("--group", "groups", multiple=True, help="Group to join, as GROUP or GROUP:ROLE; roles: listener, answering, sender.")
@_to
@_port
@_json
@control.option
def new(name, groups, folder, port, as_json, registry):
    """Create a device, add it to groups, and write its configuration.

    Without --to and --port the configuration is written to the only board that is connected by USB.
    """
    from dicectl.manager.node_file import open_target

    with open_target(folder, port) as target:
        target.check()
        settings = control.call(registry, "provision", name=name, groups=_memberships(groups))
        try:
            where = target.write(settings)
        except BaseException:
            control.call(registry, "wipe", name=name)  # no device has its key
            raise
        _report(settings, where, as_json)


@command.command()
@click.argument("name")
@_to
@_port
@_json
@control.option
def replace(name, folder, port, as_json, registry):
    """Replace a broken or lost device: the new one gets the same name and groups, a new identity and a new key.

    The old device is expelled from all its groups. If the new one does not receive its configuration, for example because it lost
    power, run the command again.
    """
    from dicectl.manager.node_file import open_target

    with open_target(folder, port) as target:
        target.check()
        settings = control.call(registry, "replace", name=name)
        hint = f"the old device is already expelled: run dicectl provision replace {name} again"
        try:
            where = target.write(settings)
        except CommandError as failure:
            raise CommandError(f"{failure.format_message()}; {hint}", FAILED)
        except BaseException:
            click.echo(hint, err=True)
            raise
        _report(settings, where, as_json)


@command.command()
@click.argument("name")
@_to
@_port
@_json
@control.option
def wipe(name, folder, port, as_json, registry):
    """Delete a device: it is expelled from its groups, and the registry deletes its key.

    With --to or --port, its configuration, keys and counters are also removed there; files that you have written, such as
    app.json, wifi.json and clients.json, stay. A flash chip may still contain removed files: erase a device before you give it
    away (`dicectl flash --erase`).
    """
    from contextlib import nullcontext

    from dicectl.manager.node_file import open_target

    with open_target(folder, port) if folder or port else nullcontext() as target:
        wiped = control.call(registry, "wipe", name=name)
        if target:
            try:
                target.erase()
            except CommandError as failure:
                rest = "the device is deleted, but may still have its files: remove node.json and *.gsa* there"
                raise CommandError(f"{failure.format_message()}; {rest}", FAILED)
    click.echo(json.dumps(wiped) if as_json else f"{name} is deleted; it was in {', '.join(wiped['groups']) or 'no group'}")


@command.command("list")
@_json
@control.option
def listing(as_json, registry):
    """List all devices."""
    from dicectl.cli.table import print_table

    devices = control.call(registry, "devices")
    if as_json:
        click.echo(json.dumps(devices))
        return
    lines = []
    for device in devices:
        groups = ", ".join(f"{group} ({role})" for group, role in device["groups"].items()) or "no group"
        lines.append((device["name"], device["identity"], "connected" if device["connected"] else "-", groups))
    print_table(("name", "identity", "session", "groups"), lines, headed=False, text_columns=4)
