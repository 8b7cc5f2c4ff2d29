# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl doctor`: what a reason code means; what board is connected, and what it lacks."""

import rich_click as click

from dicectl.errors import USAGE, CommandError
from dicectl.reasons import SENTENCES


def explain(reason):
    """Return (number, sentences) of a reason code such as E12; raises CommandError."""
    number = reason.upper().removeprefix("E")
    reason_code = int(number) if number.isascii() and number.isdigit() else 0
    if reason_code not in SENTENCES:
        raise CommandError(
            f"there is no reason code {reason}; they look like E{min(SENTENCES)} and go up to E{max(SENTENCES)}", USAGE
        )
    return reason_code, SENTENCES[reason_code]


@click.command("doctor")
@click.argument("reason", metavar="[E12]", required=False)
@click.option("--port", help="The board's serial port.  [default: the only one with USB, if there is one]")
@click.option("--dry-run", is_flag=True, help="Say which board would be interrupted, and leave it alone.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(reason, port, dry_run, as_json):
    """Explain a reason code, as exceptions on a device print it; or examine this computer and the connected board.

    A board's program is interrupted to ask it, and starts anew afterwards. Nothing on it is changed.

    \b
    Examples:
      dicectl doctor E33
      dicectl doctor --port /dev/ttyACM0
    """
    import json

    if reason:
        if port:
            raise CommandError("give a reason code, or a port to look at the board there, not both", USAGE)
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
