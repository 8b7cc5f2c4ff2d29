# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision rotate`: new keys for devices, over their sessions with the manager."""

import json

import rich_click as click

from dicectl.cli.progress import wait_for
from dicectl.errors import FAILED
from dicectl.manager import control
from dicectl.manager.registry.public_keys import CERTIFICATE

_SHOWN_MAX = 10


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everybody", is_flag=True, help="All devices but those with certificates.")
@click.option("--wait", "wait_s", type=click.IntRange(0), default=60, show_default=True, help="Seconds to wait for the devices.")
@click.option("--dry-run", is_flag=True, help="Check and name the devices, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@control.option
@click.pass_context
def rotate(context, names, everybody, wait_s, dry_run, as_json, registry):
    """Give devices a new key, over their sessions with the manager.

    A key is changed when the device has connected with the new one: then the manager deletes the old one, and ends what was opened
    with it. Until then both are good, so no device is locked out when its power fails at any moment. A device that is away gets its
    new key when it connects. Somebody who has copied the old key is locked out only by dicectl provision replace.

    Exit status: 0 all keys are changed, 1 some are not yet.

    \b
    Examples:
      dicectl provision rotate lamp-1
      dicectl provision rotate --all --wait 600
    """
    from dicectl.manager.device_updates_requests import ROTATE_MAX

    if bool(names) == everybody:
        raise click.UsageError("name devices, or --all")
    found = list(dict.fromkeys(names))
    if everybody:
        found = [device["name"] for device in control.call(registry, "devices") if device["kind"] != CERTIFICATE]
    requests = [found[begin : begin + ROTATE_MAX] for begin in range(0, len(found), ROTATE_MAX)]
    if dry_run:
        for some in requests:
            control.call(registry, "rotate", names=some, dry_run=True)
        click.echo(json.dumps({"would_change": found}) if as_json else f"would change the keys of: {', '.join(found) or 'none'}")
        return
    numbers = {}
    for some in requests:
        numbers.update(control.call(registry, "rotate", names=some))
    missing = wait_for(lambda: control.call(registry, "rotation", numbers=numbers), len(numbers), wait_s, not as_json)
    changed = [name for name in numbers if name not in missing]
    if as_json:
        click.echo(json.dumps({"changed": changed, "pending": missing}))
    else:
        click.echo(f"{len(changed)} of {len(numbers)} have their new key and have used it; their old keys are deleted")
        for name, why in list(missing.items())[:_SHOWN_MAX]:
            click.echo(f"{name}: {why}; its old key is good until then")
        if len(missing) > _SHOWN_MAX:
            click.echo(f"and {len(missing) - _SHOWN_MAX} more")
        if missing:
            click.echo("to wait for them: the same command again")
    context.exit(FAILED if missing else 0)
