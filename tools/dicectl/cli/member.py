# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl member`: this computer as a resident member of groups, for all programs that send, ask or listen as it."""

import json
import time

import rich_click as click

from dicectl import ending, line_socket
from dicectl.cli.options import network_options
from dicectl.errors import NO_DEVICE, CommandError
from dicectl.member import member_socket

_folder = click.argument("folder", type=click.Path(file_okay=False))
_SAID = {  # event: sentence
    "ready": "{name} serves at {socket}",
    "connected": "connected to the manager",
    "away": "the manager is away: {error}",
    "joined": "{group}: epoch {epoch}, {role}",
    "trouble": "{group}: {error}",
    "well": "{group}: in order again",
}


@click.group("member")
def command():
    """Run this computer as a resident member of groups.

    `dicectl group send`, `ask` and `monitor` with the same folder use it: without a handshake, and any number of them at once.

    \b
    Example:
      dicectl provision new desk --group lamps:sender --to desk
      dicectl member run desk --detach
      dicectl group send lamps on --as desk
      dicectl member stop desk
    """


@command.command()
@_folder
@click.option("--group", "groups", multiple=True, help="A group to take part in; can be repeated.  [default: those of node.json]")
@network_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each event.")
@click.option("--detach", is_flag=True, help="Return as soon as it serves; it goes on in the background.")
def run(folder, groups, interface, hops, as_json, detach):
    """Stay in the groups of FOLDER, which `dicectl provision` wrote, until Ctrl-C, SIGTERM or `dicectl member stop`.

    It connects to the manager when it can, and works with the keys that it has while it cannot. Programs of the same user ask it at
    the socket FOLDER/member.socket: one JSON line as the request, one as the answer. Home Assistant:

    \b
      shell_command:
        lamps_on: "dicectl group send lamps on --as /srv/desk"
    \b
    A shell, and Python:
      echo '{"do": "send", "group": "lamps", "message": "on"}' | nc -NU desk/member.socket
      s = socket.socket(socket.AF_UNIX); s.connect("desk/member.socket")
      s.sendall(b'{"do": "send", "group": "lamps", "message": "on"}\\n')
      print(s.makefile().readline())
    \b
    Examples:
      dicectl member run desk
      dicectl member run desk --group lamps --interface eth1 --detach
    """
    from dicectl.member.host_member import ResidentAppeared
    from dicectl.member.resident import Resident
    from dicectl.system import require_unix

    require_unix("a resident member")
    if detach:
        _detach(folder)
        return
    output = _Output(as_json)
    member = {"interface": interface, "hops": hops or 1, "say": output.say}

    async def main():
        resident = Resident(folder, groups, **member)
        await resident.run(lambda: output.ready(resident), output.alive)

    try:
        ending.run(main())
    except KeyboardInterrupt:
        pass
    except ResidentAppeared:
        raise CommandError(f"{member_socket.who(folder)} runs already: dicectl member status {folder}")
    finally:
        output.end()


def _detach(folder):
    from pathlib import Path

    from dicectl.manager.operating import detach

    if member_socket.serves(folder):
        raise CommandError(f"{member_socket.who(folder)} runs already: dicectl member status {folder}")
    log, pid = detach.start(Path(folder) / "member")
    click.echo(f"{folder} takes part as process {pid}; its log is {log}")
    click.echo(f"to end it: dicectl member stop {folder}")


class _Output:
    """Prints what happens, and tells systemd."""

    def __init__(self, as_json):
        from dicectl.manager.operating.process import Watchdog

        self._as_json = as_json
        self._watchdog = Watchdog()
        self._last = ""

    def ready(self, resident):
        """The socket is there."""
        from dicectl import sd_notify

        self.say("ready", name=resident.settings.get("name", resident.identity), socket=str(member_socket.path(resident.folder)))
        sd_notify.notify(sd_notify.READY)

    def say(self, event, **details):
        """Print an event."""
        from dicectl.text import printable

        role = "may send" if details.get("sender") else "listens"
        self._last = printable(_SAID[event].format(**details, role=role))
        if self._as_json:
            click.echo(json.dumps({"at": time.time(), "event": event, **details}))
        else:
            click.echo(f"{time.strftime('%H:%M:%S')}  {self._last}")

    def alive(self):
        """Call it often."""
        self._watchdog.alive(self._last)

    def end(self):
        """The member ends."""
        from dicectl import sd_notify

        sd_notify.notify(sd_notify.STOPPING)


@command.command()
@_folder
@click.option("--json", "as_json", is_flag=True, help="Print the state as JSON.")
def status(folder, as_json):
    """Show what the resident member of FOLDER does: whether it has the manager, and its groups.

    \b
    Example:
      dicectl member status desk
    """
    from dicectl.cli.table import print_table

    said = _request(folder, "status")
    if as_json:
        click.echo(json.dumps(said))
        return
    manager = "connected to the manager" if said["manager"]["connected"] else f"the manager is away: {said['manager']['error']}"
    click.echo(f"{said['identity']}: process {said['process']}, {said['monitors']} monitors; {manager}")
    lines = []
    for name, group in said["groups"].items():
        epoch, role = (f"epoch {group['epoch']}", "sender" if group["sender"] else "listener") if group["joined"] else ("-", "-")
        lines.append((name, role, epoch, group["error"] or ""))
    print_table(("group", "role", "epoch", "trouble"), lines, headed=False, text_columns=4)


@command.command()
@_folder
def stop(folder):
    """End the resident member of FOLDER. It reports to the manager how far it has sent, and gives unused numbers back.

    \b
    Example:
      dicectl member stop desk
    """
    from dicectl.manager.operating import detach

    detach.wait_for_end(_request(folder, "stop")["process"])


def _request(folder, do):
    from dicectl import system

    try:
        return member_socket.request(folder, do)
    except line_socket.NobodyServes:
        holder = system.holder(folder)
        used = f"; the folder is in use by {holder}" if holder != "another program" else ""
        raise CommandError(f"no resident member runs on {folder}: dicectl member run {folder}{used}", NO_DEVICE)
