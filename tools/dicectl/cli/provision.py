# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision`: devices, each with an identity and a key, in the registry of a running manager."""

import json

import rich_click as click

from dicectl import ending
from dicectl.cli import changes, provision_contact, provision_label, provision_renew, provision_rotate, provision_undo, signing
from dicectl.cli.group_state import follow_expulsion, wait_option
from dicectl.cli.options import Period, complete_device, complete_port
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager import control
from dicectl.manager.registry.public_keys import CERTIFICATE, PSK, RPK

_to = click.option("--to", "folder", type=click.Path(file_okay=False), help="Folder of a node on the unix port or this computer.")
_port = click.option("--port", shell_complete=complete_port, help="Serial port of a board.")
_name = click.argument("name", shell_complete=complete_device)
_force = click.option("--force", is_flag=True, help="Overwrite the key of another device that is there.")
_key = click.option(
    "--key",
    "kind",
    type=click.Choice((PSK, RPK, CERTIFICATE)),
    help="The kind of its key: pre-shared, or a raw public key or one with a certificate, which the device makes itself.",
)
_ca = click.option("--ca", type=click.Path(file_okay=False), help="Folder of the authority that signs certificates (dicectl ca).")
_lifetime = click.option(
    "--lifetime", type=Period(), help="How long its certificate is valid: 90d; see renew.  [default: it does not expire]"
)
_SHOWN_MAX = 20
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group("provision")
def command():
    """Add devices to the manager's registry, and write the configuration with which they connect to it.

    The configuration is the file node.json: a random identity and a key, the manager's address and the names of the groups. It is
    written to a folder or directly to a board. No command prints the key. A pre-shared key is in that file and in the registry;
    with --key rpk the device makes its own key pair, and the registry learns the public key alone (a raw public key, RFC 7250).

    \b
    Example:
      dicectl provision new lamp-1 --group lamps --port /dev/ttyACM0
      dicectl provision new lamp-2 --group lamps --key rpk --port /dev/ttyACM1
      dicectl provision replace lamp-1 --port /dev/ttyACM0
      dicectl provision wipe lamp-1
    """


def _memberships(values):
    """Return {group: role} of values such as "lamps" or "lamps:sender"."""
    return {group: role or "listener" for group, _, role in (value.partition(":") for value in values)}


def _plain(settings, where):
    """Return what may be printed of a configuration: not its key."""
    shown = {key: settings[key] for key in ("name", "identity", "fingerprint", "groups") if key in settings}
    return {**shown, "written": where}


def _report(settings, where, as_json):
    groups = settings["groups"]
    if as_json:
        click.echo(json.dumps(_plain(settings, where)))
        return
    key = f", key {settings['fingerprint']}" if "fingerprint" in settings else ""
    told = f"identity {settings['identity']}{key}, {', '.join(groups) or 'in no group yet'}"
    click.echo(f"{settings['name']}: {told}; written to {where}")


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--group", "groups", multiple=True, help="Group to join, as GROUP or GROUP:ROLE; roles: listener, answering, sender.")
@click.option("--count", type=click.IntRange(1, 1000), help="Create NAME-1 to NAME-COUNT; numbers have leading zeros.")
@_key
@_ca
@_lifetime
@_to
@_port
@click.option("--csv", "table", type=click.Path(dir_okay=False), help="Write name, identity, groups and place of what was made.")
@click.option(
    "--labels",
    type=click.Path(),
    help="Write labels with QR codes: a page .svg or .html, or a folder *.png. They contain no secret key.",
)
@_force
@changes.dry_run
@_json
@control.option
def new(names, groups, count, kind, ca, lifetime, folder, port, table, labels, force, dry_run, as_json, registry):
    """Create devices, add them to groups, and write their configurations.

    Without --to and --port the configuration is written to the only board that is connected by USB. Of several devices, each gets a
    folder of its own in the one that --to names: they are created together, in one epoch, or not at all.
    Ctrl-C deletes them again. If the manager does not answer, or Ctrl-C comes twice, the command that deletes them is printed.

    \b
    Examples:
      dicectl provision new lamp-1 --group lamps --port /dev/ttyACM0
      dicectl provision new lamp-2 --group lamps --key rpk --port /dev/ttyACM0
      dicectl provision new lamp --count 50 --group lamps --to lamps/ --csv lamps.csv --labels lamps.html
    """
    from dicectl.manager import labels as label_file

    if labels:
        label_file.check(labels)
    devices = [{"name": name, "groups": _memberships(groups)} for name in _numbered(names, count)]
    if dry_run:
        changes.planned(registry, as_json, "provision_all", devices=devices)
        return
    if len(devices) == 1 and not count:
        made = [_one(registry, devices[0], (kind, ca, lifetime), folder, port, force)]
    else:
        made = _many(registry, devices, (kind, ca, lifetime), folder, port, not as_json)
    if table:
        _write_table(table, made)
    if labels:
        label_file.write(labels, [settings for settings, _ in made])
    if as_json and (count or len(made) > 1):
        click.echo(json.dumps([_plain(settings, where) for settings, where in made]))
        return
    for settings, where in made[:_SHOWN_MAX]:
        _report(settings, where, as_json)
    if len(made) > _SHOWN_MAX:
        click.echo(f"and {len(made) - _SHOWN_MAX} more in {folder}")


def _numbered(names, count):
    """Return the names of all devices to create."""
    if not count:
        return names
    if len(names) > 1:
        raise CommandError("--count needs one NAME, to which numbers are appended", USAGE)
    return [f"{names[0]}-{number:0{len(str(count))}}" for number in range(1, count + 1)]


def _one(registry, device, kind, folder, port, force):
    """Create a device in a folder or on a board; return its configuration and where it is."""
    from dicectl.member.node_file import open_target

    with open_target(folder, port) as target:
        target.check(force=force)
        device = signing.with_key(target, kind, device)
        with provision_undo.created(registry, [device["name"]], "provision", **device) as settings:
            return settings, target.write(settings)


def _many(registry, devices, kind, folder, port, shows):
    """Create devices, each with a folder in `folder`; return [(configuration, where it is)]."""
    from pathlib import Path

    from dicectl.member.node_file import FolderTarget

    if port or not folder:
        raise CommandError("several devices need a folder for their folders: --to FOLDER", USAGE)
    targets = [FolderTarget(Path(folder, device["name"])) for device in devices]
    for target in targets:
        target.check()
    devices = [signing.with_key(target, kind, device) for target, device in zip(targets, devices, strict=True)]
    names = [device["name"] for device in devices]
    with provision_undo.created(registry, names, "provision_all", devices=devices) as settings:
        return _written(settings, targets, shows)


def _written(settings, targets, shows):
    """Write configurations, all or none; return [(configuration, where it is)]."""
    from dicectl.cli.progress import bar

    made = []
    try:
        with bar(shows) as report:
            for device, target in zip(settings, targets, strict=True):
                if report:
                    report(device["name"], len(made) / len(targets))
                made.append((device, target.write(device)))
    except BaseException:
        with ending.held():
            for target in targets[: len(made) + 1]:  # the last one may have been written, or not
                target.erase()
        raise
    return made


def _write_table(path, made):
    """Write what was made, without keys, as CSV."""
    import csv

    try:
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("name", "identity", "groups", "written"))
            for settings, where in made:
                writer.writerow((settings["name"], settings["identity"], " ".join(settings["groups"]), where))
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}; the devices are made", FAILED)


@command.command()
@_name
@_key
@_ca
@_lifetime
@_to
@_port
@_force
@changes.dry_run
@wait_option
@_json
@control.option
def replace(name, kind, ca, lifetime, folder, port, force, dry_run, wait, as_json, registry):
    """Replace a broken or lost device: the new one gets the same name and groups, a new identity and a new key.

    Without --key, that is of the same kind as the key of the old one.

    The old device is expelled from all its groups. If the new one does not receive its configuration, for example because it lost
    power, run the command again.

    \b
    Example:
      dicectl provision replace lamp-1 --port /dev/ttyACM0
    """
    from dicectl.member.node_file import open_target

    if dry_run:
        changes.planned(registry, as_json, "replace", name=name)
        return
    kind = kind or control.call(registry, "device", name=name)["kind"]
    with open_target(folder, port) as target:
        target.check(name, force)
        settings = control.call(registry, "replace", **signing.with_key(target, (kind, ca, lifetime), {"name": name}))
        hint = f"the old device is already expelled: run dicectl provision replace {name} again"
        try:
            where = target.write(settings)
        except CommandError as failure:
            raise CommandError(f"{failure.format_message()}; {hint}", FAILED)
        except BaseException:
            click.echo(hint, err=True)
            raise
    _report(settings, where, as_json)
    for told in follow_expulsion(registry, settings["groups"], [f"the old {name}"], not as_json) if wait else ():
        if not as_json:
            click.echo(told)


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_device)
@_to
@_port
@_force
@changes.yes
@changes.dry_run
@wait_option
@_json
@control.option
def wipe(names, folder, port, force, is_sure, dry_run, wait, as_json, registry):
    """Delete devices: they are expelled from their groups, and the registry deletes their keys. NAME may be a pattern.

    With --to or --port, the device's configuration, keys and counters are also removed there; files that you have written, such as
    app.json, wifi.json and clients.json, stay. A flash chip may still contain removed files: erase a device before you give it
    away (`dicectl flash --erase`).

    \b
    Examples:
      dicectl provision wipe lamp-1 --port /dev/ttyACM0
      dicectl provision wipe 'lamp-*' --dry-run
    """
    from contextlib import nullcontext

    from dicectl.member.node_file import open_target

    chosen = changes.devices(registry, names, is_sure or dry_run, "wipe")
    if dry_run:
        changes.planned(registry, as_json, "wipe_all", names=chosen)
        return
    if (folder or port) and len(chosen) > 1:
        raise CommandError("a folder or a board is one device: name that one", USAGE)
    with open_target(folder, port) if folder or port else nullcontext() as target:
        if target:
            target.check(chosen[0], force)
        wiped = control.call(registry, "wipe_all", names=chosen)
        if target:
            try:
                target.erase()
            except CommandError as failure:
                rest = "the device is deleted, but may still have its files: remove node.json and *.gsa* there"
                raise CommandError(f"{failure.format_message()}; {rest}", FAILED)
    groups = list(dict.fromkeys(group for one in wiped for group in one["groups"]))
    if as_json:
        click.echo(json.dumps(wiped[0] if len(names) == len(wiped) == 1 and wiped[0]["name"] == names[0] else wiped))
    sentences = follow_expulsion(registry, groups, chosen, not as_json) if wait else ()
    if as_json:
        return
    for one in wiped:
        click.echo(f"{one['name']} is deleted; it was in {', '.join(one['groups']) or 'no group'}")
    for told in sentences:
        click.echo(told)


@command.command()
@_name
@click.argument("other", metavar="NEW")
@changes.dry_run
@_json
@control.option
def rename(name, other, dry_run, as_json, registry):
    """Give a device another name. Its identity, key and groups stay, and the device itself need not be reached.

    \b
    Example:
      dicectl provision rename lamp-1 hall-ceiling
    """
    if dry_run:
        changes.planned(registry, as_json, "rename", name=name, other=other)
        return
    renamed = control.call(registry, "rename", name=name, other=other)
    click.echo(json.dumps(renamed) if as_json else f"{name} is {other} now; its identity is still {renamed['identity']}")


@command.command()
@_name
@_json
@control.option
def show(name, as_json, registry):
    """Show a device: its identity, its groups with role and epoch, and when it was there last. Its key is never shown.

    \b
    Example:
      dicectl provision show lamp-1
    """
    import datetime

    from dicectl.cli.table import print_table
    from dicectl.manager import certificate_words
    from dicectl.manager.presence_words import words

    device = control.call(registry, "device", name=name)
    if as_json:
        click.echo(json.dumps(device))
        return
    created = device["created"] and datetime.datetime.fromtimestamp(device["created"]).isoformat(" ", "seconds")
    click.echo(f"{device['name']}: identity {device['identity']}, {words(device)}")
    if "fingerprint" in device:
        name = f", certified as {device['certificate']}" if "certificate" in device else ""
        name += ", ".join(["", *filter(None, [certificate_words.words(device)])])
        click.echo(f"raw public key {device['fingerprint']}" if not name else f"public key {device['fingerprint']}{name}")
    if created:
        click.echo(f"created {created}")
    lines = []
    for member in device["groups"]:
        number = "" if member["id"] is None else f"id {member['id']}"
        lines.append((member["group"], member["role"], number, f"epoch {member['epoch']}"))
    print_table(("group", "role", "id", "epoch"), lines, headed=False, text_columns=4)
    if not lines:
        click.echo("in no group yet: dicectl group add")


@command.command("list")
@_json
@control.option
def listing(as_json, registry):
    """List all devices, with when each was there last.

    \b
    Example:
      dicectl provision list
    """
    from dicectl.cli.table import print_table
    from dicectl.manager import certificate_words
    from dicectl.manager.presence_words import words

    devices = control.call(registry, "devices")
    if as_json:
        click.echo(json.dumps(devices))
        return
    if not devices:
        click.echo("no device yet: dicectl provision new", err=True)
    lines = []
    for device in devices:
        groups = ", ".join(f"{group} ({role})" for group, role in device["groups"].items()) or "no group"
        state = ", ".join(filter(None, (words(device), certificate_words.words(device))))
        lines.append((device["name"], device["identity"], state, groups))
    print_table(("name", "identity", "state", "groups"), lines, headed=False, text_columns=4)


command.add_command(provision_label.label)
command.add_command(provision_rotate.rotate)
command.add_command(provision_renew.renew)
command.add_command(provision_contact.contact)
