# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl doctor`: explains a reason code or a short name, or examines this computer and the connected board."""

import rich_click as click

from dicectl.cli.options import complete_port, complete_reason
from dicectl.errors import USAGE, CommandError


@click.command("doctor")
@click.argument("reason", metavar="[E12|NAME]", required=False, shell_complete=complete_reason)
@click.option("--port", shell_complete=complete_port, help="The board's serial port.  [default: the only one with USB, if any]")
@click.option("--dry-run", is_flag=True, help="Print which board would be interrupted, and leave it alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(reason, port, dry_run, as_json):
    """Explain a reason code, as exceptions on a device print it; or examine this computer and the connected board.

    A traceback of a board shows private names of dice as two letters. Give one of them to see the name in the sources.

    The board's program is interrupted, and restarts afterwards. Nothing on the board is changed.

    \b
    Examples:
      dicectl doctor E33
      dicectl doctor dK
      dicectl doctor --port /dev/ttyACM0
    """
    import json

    if reason:
        from dicectl.firmware import shorten
        from dicectl.reasons import explain

        if port:
            raise CommandError("give either a reason code or --port, not both", USAGE)
        if name := shorten.original(reason):
            click.echo(json.dumps({"short": reason, "name": name}) if as_json else f"{reason}: {name}")
            return
        number, sentences = explain(reason)
        click.echo(json.dumps({"reason": number, "text": sentences}) if as_json else f"E{number}: {sentences}")
        return
    from dicectl.board import inspect

    found = inspect.collect(port, dry_run)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for label, text in inspect.lines(found):
        click.echo(f"{label:18}{text}".rstrip())
