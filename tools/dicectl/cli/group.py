# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl group`: who is in which group of a running manager, and what is said in it."""

import json
import sys

import rich_click as click

from dicectl.cli.options import Address, Period
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager import control

_WAIT_S = 90
_POLL_S = 0.2

_json = click.option("--json", "as_json", is_flag=True, help="For programs.")
_wait = click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Wait until the members that can be reached have it."
)
_as = click.option(
    "--as", "folder", required=True, type=click.Path(file_okay=False), help="Folder of the member that this computer is."
)


@click.group("group")
def command():
    """Say who is in which group, renew keys, and take part; the manager must be running.

    Groups without a manager are `dicectl keyring`'s.

    \b
    Example:
      dicectl group new lamps
      dicectl group add lamps lamp-1 lamp-2
      dicectl group remove lamps lamp-2
      dicectl group send lamps off --as desk/
      dicectl group ask lamps light --as desk/
    """


def _say(shown, as_json):
    if as_json:
        click.echo(json.dumps(shown))
        return
    state = "in use" if shown["active"] and not shown["untold"] else "is handed out" if shown["epoch"] else "none yet"
    missing = f", {len(shown['missing'])} without it: {', '.join(shown['missing'][:5])}" if shown["missing"] else ""
    if shown["error"]:
        click.echo(f"warning: the manager could not keep what it did last: {shown['error']}", err=True)
    click.echo(f"{shown['name']}: {shown['members']} members, {shown['senders']} may send; epoch {shown['epoch']} {state}{missing}")


def _follow(registry, shown, wait, as_json):
    """Wait until the epoch is in use, with a bar on a terminal; then tell."""
    import time

    from rich.console import Console
    from rich.progress import Progress

    end = time.monotonic() + _WAIT_S
    with Progress(console=Console(stderr=True), transient=True, disable=as_json or not sys.stderr.isatty()) as progress:
        task = progress.add_task(f"epoch {shown['epoch']}", total=max(1, shown["members"]))
        while wait and shown["senders"] and (shown["untold"] or not shown["active"]) and time.monotonic() < end:
            progress.update(task, completed=shown["members"] - len(shown["missing"]))
            time.sleep(_POLL_S)
            shown = control.call(registry, "show", group=shown["name"])
    _say(shown, as_json)


@command.command("list")
@_json
@control.option
def listing(as_json, registry):
    """List all groups."""
    groups = control.call(registry, "groups")
    if as_json:
        click.echo(json.dumps(groups))
        return
    for shown in groups:
        _say(shown, False)
    if not groups:
        click.echo("no group yet: dicectl group new")


@command.command()
@click.argument("group")
@_json
@control.option
def show(group, as_json, registry):
    """Show a group; no keys."""
    import datetime

    shown = control.call(registry, "show", group=group)
    _say(shown, as_json)
    if not as_json:
        since = datetime.datetime.fromtimestamp(shown["since"]).isoformat(" ", "seconds")
        rekey = datetime.timedelta(seconds=shown["rekey_s"]) if shown["rekey_s"] else "on demand"
        click.echo(f"id {shown['gid']}, address {shown['address']} port {shown['port']}; epoch since {since}, re-key {rekey}")


@command.command()
@click.argument("group")
@_json
@control.option
def members(group, as_json, registry):
    """List the members of a group: what they are and which epoch they have."""
    found = control.call(registry, "members", group=group)
    if as_json:
        click.echo(json.dumps(found))
        return
    for member in found:
        state = "connected" if member["connected"] else "-"
        device_id = "" if member["id"] is None else f"id {member['id']}"
        click.echo(f"{member['device']:20} {member['role']:10} {device_id:9} epoch {member['epoch']:<6} {state}")


@command.command()
@click.argument("group")
@click.option("--address", type=Address(), help="IPv4 multicast address.  [default: a random one of 239.255.0.0/16]")
@click.option("--port", type=click.IntRange(1, 65535), help="UDP port; each group needs its own.  [default: random]")
@click.option("--layout", type=click.Choice(["k08", "d00"]), default="k08", show_default=True, help="SenderID of 1 byte or of 2.")
@click.option("--lifetime", type=Period(), help="When devices forget keys that were not renewed: 12h, 30d.  [default: never]")
@click.option("--rekey-every", type=Period(), help="Renew the keys so often: 7d.  [default: half the lifetime, else on demand]")
@_json
@control.option
def new(group, address, port, layout, lifetime, rekey_every, as_json, registry):
    """Make a group."""
    options = {"address": address, "port": port, "layout": layout, "lifetime_s": lifetime or 0, "rekey_s": rekey_every or 0}
    if lifetime and rekey_every and rekey_every >= lifetime:
        raise CommandError("keys are to be renewed before their lifetime ends: choose a shorter --rekey-every", USAGE)
    _say(control.call(registry, "new", group=group, **options), as_json)


@command.command()
@click.argument("group")
@click.argument("devices", nargs=-1, required=True)
@click.option("--role", type=click.Choice(["listener", "answering", "sender"]), default="listener", show_default=True)
@_wait
@_json
@control.option
def add(group, devices, role, wait, as_json, registry):
    """Let devices into a group. A listener hears; an answering one may answer what is asked; a sender may command.

    Senders and answering listeners begin a new epoch; listeners do not.
    """
    _follow(registry, control.call(registry, "add", group=group, devices=devices, role=role), wait, as_json)


@command.command()
@click.argument("group")
@click.argument("devices", nargs=-1, required=True)
@_wait
@_json
@control.option
def remove(group, devices, wait, as_json, registry):
    """Throw devices out of a group: all others get new keys, from a new master key.

    Members that cannot be reached keep the old keys until they fetch the new ones; senders change within 5 s, and 60 ms for each
    member.
    """
    _follow(registry, control.call(registry, "remove", group=group, devices=devices), wait, as_json)


@command.command()
@click.argument("group")
@_wait
@_json
@control.option
def rekey(group, wait, as_json, registry):
    """Renew the keys of a group."""
    _follow(registry, control.call(registry, "rekey", group=group), wait, as_json)


@command.command()
@click.argument("group")
@click.argument("message")
@_as
def send(group, message, folder):
    """Send a message to a group, as the member whose folder `dicectl provision` wrote; it must be a sender there."""
    import asyncio

    from dice.errors import DiceError
    from dicectl.manager.host_member import HostMember
    from dicectl.reasons import SENTENCES

    async def run():
        node = HostMember(folder, group)
        joined = await node.join()
        try:
            await joined.send(message.encode())
            await node.report()
        except DiceError as error:
            raise CommandError(f"E{error.reason}: {SENTENCES[error.reason]}", FAILED)
        finally:
            joined.close()

    asyncio.run(run())


@command.command()
@click.argument("group")
@click.argument("path")
@_as
@click.option("--wait", type=click.FloatRange(0.1, 60), default=7, show_default=True, help="Seconds for answers to come.")
@_json
@control.option
def ask(group, path, folder, wait, as_json, registry):
    """GET a CoAP resource of all members of a group, such as `light`, as the member whose folder `dicectl provision` wrote.

    Members with an id answer, answering listeners and senders: each at a random moment within 5 s, so that not all speak at once.

    \b
    Example:
      dicectl group ask lamps light --as desk/
    """
    import asyncio
    from contextlib import nullcontext, suppress

    from rich.console import Console

    from dice import GET, DiceError, request_group
    from dicectl.manager.host_member import HostMember
    from dicectl.reasons import SENTENCES

    async def run():
        node = HostMember(folder, group)
        joined = await node.join()
        try:
            found = await request_group(joined, GET, path, wait_ms=int(wait * 1000))
            await node.report()
        except DiceError as error:
            raise CommandError(f"E{error.reason}: {SENTENCES[error.reason]}", FAILED)
        finally:
            joined.close()
        return found, node.identity

    console = Console(stderr=True)
    with console.status(f"waiting {wait:g} s for answers") if console.is_terminal and not as_json else nullcontext():
        found, own = asyncio.run(run())
    members = []
    with suppress(CommandError):  # the manager may be on another computer
        members = control.call(registry, "members", group=group)
    members = {m["id"]: m["device"] for m in members if m["id"] is not None and m["identity"] != own}
    answers = [
        {"id": who, "device": members.get(who), "answer": bytes(message.payload).decode(errors="backslashreplace")}
        for who, message in sorted(found.items())
    ]
    silent = [name for who, name in members.items() if who not in found]
    if as_json:
        click.echo(json.dumps({"answers": answers, "silent": silent}))
        return
    for answer in answers:
        click.echo(f"{answer['device'] or 'id %d' % answer['id']:20} {answer['answer']}")
    if silent or not answers:
        click.echo(f"no answer from {', '.join(silent) or 'anybody'}", err=True)


@command.command()
@click.argument("group")
@_as
@click.option(
    "--pcapng", type=click.Path(dir_okay=False), help="Write what is heard, with what it says as comments, for Wireshark."
)
@click.option("--keylog", is_flag=True, help="Write the group's keys to a file beside that: PCAPNG.keys.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many datagrams.")
@_json
def monitor(group, folder, pcapng, keylog, count, as_json):
    """Show what is said in a group, and what is dropped as not of it, as a member hears it. Ends with Ctrl-C."""
    import asyncio

    from dicectl.manager.monitor import Monitor

    if keylog and not pcapng:
        raise CommandError("the keys go beside the capture: name one with --pcapng", USAGE)
    try:
        asyncio.run(Monitor(group, folder, pcapng, keylog, count, as_json).run())
    except KeyboardInterrupt:
        pass
