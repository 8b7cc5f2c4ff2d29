# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl group send`, `ask` and `monitor`: this computer takes part in a group, as a member."""

import json

import rich_click as click

from dicectl.cli.options import complete_group, network_options
from dicectl.errors import USAGE, CommandError
from dicectl.manager import control
from dicectl.member import member_socket
from dicectl.text import printable

_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.command()
@click.argument("group", shell_complete=complete_group)
@click.argument("message")
@member_socket.folder_option
@network_options
@_json
def send(group, message, folder, interface, hops, as_json):
    """Send a message to a group, as the member whose folder `dicectl provision` wrote. The member must be a sender.

    If `dicectl member run` serves the folder, it sends; else this command joins the group for a moment, and uses the keys that it
    has kept if the manager does not answer. Nobody confirms a message to a group: "sent" says that it is on the network.

    \b
    Example:
      dicectl group send lamps on --as desk
    """
    from dicectl.cli.progress import bar
    from dicectl.member import as_member

    with bar(not as_json) as report:
        said = as_member.send(folder, group, message, {"interface": interface, "hops": hops}, report)
    if as_json:
        click.echo(json.dumps(said))
        return
    kept = ", with the keys that were kept: the manager is away" if said["manager"] == "away" else ""
    click.echo(f"sent to {group}: epoch {said['epoch']}, number {said['number']}{kept}")


@click.command()
@click.argument("group", shell_complete=complete_group)
@click.argument("path")
@member_socket.folder_option
@click.option("--wait", type=click.FloatRange(0.1, 60), default=7, show_default=True, help="Seconds to wait for answers.")
@network_options
@_json
@control.option
def ask(group, path, folder, wait, interface, hops, as_json, registry):
    """GET a CoAP resource of all members of a group, such as `light`, as the member whose folder `dicectl provision` wrote.

    Members with an id answer: answering listeners and senders. Each waits for a random time of up to 5 s first, so that they do not
    answer at the same moment.

    \b
    Example:
      dicectl group ask lamps light --as desk/
    """
    from contextlib import suppress

    from dicectl.cli.progress import bar
    from dicectl.cli.table import print_table
    from dicectl.member import as_member

    with bar(not as_json) as report:
        if report:
            report(f"waiting {wait:g} s for answers")
        found = as_member.ask(folder, group, path, int(wait * 1000), {"interface": interface, "hops": hops}, report)
    identity = as_member.identity(folder)
    members = []
    with suppress(CommandError):  # the manager may run on another computer
        members = control.call(registry, "members", group=group)
    asked = [m for m in members if m["id"] is not None and m["identity"] != identity]
    names = {m["id"]: m["device"] for m in asked}
    answers = [{"id": who, "device": names.get(who), "answer": text} for who, text in sorted(found.items())]
    silent = [name for who, name in names.items() if who not in found]
    if as_json:
        click.echo(json.dumps({"answers": answers, "silent": silent}))
        return
    lines = [(answer["device"] or f"id {answer['id']}", printable(answer["answer"])) for answer in answers]
    print_table(("device", "answer"), lines, headed=False, text_columns=2)
    _print_silent(path, [m for m in asked if m["device"] in silent], bool(answers))


def _print_silent(path, silent, has_answers):
    """Print who has not answered, and why that may be."""
    from dicectl.manager.presence_words import words

    away = [f"{m['device']} ({words(m)})" for m in silent if not m.get("connected", True)]
    here = [m["device"] for m in silent if m.get("connected", True)]
    if here or not (has_answers or away):
        why = f"a member that has no {path} does not answer, nor one that did not get the request"
        click.echo(f"no answer from {', '.join(here) or 'any member'}: {why}", err=True)
    if away:
        click.echo(f"no answer from members that are away: {', '.join(away)}", err=True)


@click.command()
@click.argument("group", shell_complete=complete_group)
@member_socket.folder_option
@click.option("--pcapng", type=click.Path(dir_okay=False), help="Write all datagrams, with comments, to a file for Wireshark.")
@click.option("--keylog", is_flag=True, help="Write the group's keys to a file beside the capture: PCAPNG.keys.")
@click.option("--count", type=click.IntRange(1), help="Stop after this many datagrams.")
@network_options
@_json
def monitor(group, folder, pcapng, keylog, count, interface, hops, as_json):
    """Show the messages of a group, and the datagrams that a member drops. Ctrl-C ends it.

    Several monitors of one folder share one member: the one of `dicectl member run`, or of the monitor that was first. Meanwhile
    `dicectl group send` and `ask` with the same folder work too.

    \b
    Example:
      dicectl group monitor lamps --as desk
    """
    from dicectl.member.monitor import Monitor

    if keylog and not pcapng:
        raise CommandError("the keys are written beside the capture: give --pcapng too", USAGE)
    try:
        Monitor(group, folder, pcapng, keylog, count, as_json, interface=interface, hops=hops).run()
    except KeyboardInterrupt:
        pass
