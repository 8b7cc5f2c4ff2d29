# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision`: devices, each with an identity and a key of its own, in the registry of a running manager."""

import json

import rich_click as click

from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager import control
from dicectl.manager.node_file import FILE

_to = click.option(
    "--to", "folder", type=click.Path(file_okay=False), help="Folder of a node: of the unix port, or of this computer."
)
_port = click.option("--port", help="Serial port of a board.")


@click.group("provision")
def command():
    """Make devices known to the manager, and give them what they need to reach it.

    That is the file node.json: a random identity and a random key, the manager's address and the names of the groups. It is written
    to a folder or straight to a board; beside that only the registry has the key, and no command prints it.

    \b
    Example:
      dicectl provision new lamp-1 --group lamps --port /dev/ttyACM0
      dicectl provision replace lamp-1 --port /dev/ttyACM0
      dicectl provision wipe lamp-1
    """


class _Target:
    """Where node.json goes; a context manager that opens a board before anything is decided."""

    def __init__(self, folder, port):
        if folder and port:
            raise CommandError("a device is a folder (--to) or a board (--port): name one of them", USAGE)
        self._folder = folder
        self._port = port
        self._device = None

    def __enter__(self):
        from pathlib import Path

        if self._folder:
            self._folder = Path(self._folder)
        else:
            from dicectl.board.raw_repl import Device

            self._device = Device(self._port)
            self._device.__enter__()
        return self

    def __exit__(self, *details):
        if self._device:
            self._device.__exit__(*details)

    def check(self):
        """Raise CommandError where a folder has a node already."""
        if self._folder and (self._folder / FILE).exists():
            raise CommandError(f"{self._folder / FILE} exists already: wipe that device first, or choose another folder", USAGE)

    def write(self, settings):
        """Write the configuration, readable by its owner alone; raises CommandError."""
        from dicectl.board import sync
        from dicectl.manager import group_file

        data = json.dumps(settings).encode()
        if self._device:
            sync.put(self._device, f"/{FILE}", data)
            return f"{FILE} on {self._device.port}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"cannot make {self._folder}: {error.strerror}", USAGE)
        group_file.write_secret(self._folder / FILE, data)
        return str(self._folder / FILE)

    def erase(self):
        """Remove a node's configuration and all GSAs."""
        from dicectl.board import sync

        if self._device:
            sync.remove(self._device, lambda path: path == f"/{FILE}" or path.endswith(".gsa"))
            return
        for path in (self._folder / FILE, *self._folder.glob("*.gsa")):
            path.unlink(missing_ok=True)


def _memberships(values):
    """Return {group: role} of values such as "lamps" or "lamps:sender"."""
    return {group: role or "listener" for group, _, role in (value.partition(":") for value in values)}


def _deliver(registry, name, target, groups):
    """Have the manager make a device and write it to its target; where that fails, the manager forgets it again."""
    settings = control.call(registry, "provision", name=name, groups=groups)
    try:
        return settings, target.write(settings)
    except BaseException:
        control.call(registry, "wipe", name=name)
        raise


def _report(settings, where, as_json):
    groups = settings["groups"]
    if as_json:
        click.echo(json.dumps({**{key: settings[key] for key in ("name", "identity", "groups")}, "written": where}))
        return
    click.echo(f"{settings['name']}: identity {settings['identity']}, {', '.join(groups) or 'in no group yet'}; written to {where}")


_json = click.option("--json", "as_json", is_flag=True, help="For programs.")


@command.command()
@click.argument("name")
@click.option(
    "--group", "groups", multiple=True, help="Group to be in, as GROUP or GROUP:ROLE; roles: listener, answering, sender."
)
@_to
@_port
@_json
@control.option
def new(name, groups, folder, port, as_json, registry):
    """Make a device, let it into groups, and write its configuration.

    Without --to and --port it goes to the only board that is connected by USB.
    """
    with _Target(folder, port) as target:
        target.check()
        _report(*_deliver(registry, name, target, _memberships(groups)), as_json)


@command.command()
@click.argument("name")
@_to
@_port
@_json
@control.option
def replace(name, folder, port, as_json, registry):
    """Give another device the place of a broken or lost one: the same name and groups, a new identity and a new key.

    The old one is expelled from all of them. Should the new one not get its configuration, for want of power or of a cable, replace
    it once more.
    """
    with _Target(folder, port) as target:
        target.check()
        settings = control.call(registry, "replace", name=name)
        hint = f"the old device is expelled already: dicectl provision replace {name} once more"
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
    """Forget a device: it is expelled from its groups, and its key is deleted.

    With --to or --port its configuration and keys are removed from there too. A flash chip may keep what was removed: a device that
    goes to strangers should be erased (`dicectl flash`).
    """
    from contextlib import nullcontext

    with _Target(folder, port) if folder or port else nullcontext() as target:
        said = control.call(registry, "wipe", name=name)
        if target:
            target.erase()
    click.echo(json.dumps(said) if as_json else f"{name} is forgotten; it was in {', '.join(said['groups']) or 'no group'}")


@command.command("list")
@_json
@control.option
def listing(as_json, registry):
    """List all devices."""
    devices = control.call(registry, "devices")
    if as_json:
        click.echo(json.dumps(devices))
        return
    for device in devices:
        groups = ", ".join(f"{group} ({role})" for group, role in device["groups"].items()) or "no group"
        click.echo(f"{device['name']:20} {device['identity']:18} {'connected' if device['connected'] else '-':10} {groups}")
