# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager addresses`: the managers that devices know."""

import json

import rich_click as click

from dicectl.errors import FAILED
from dicectl.manager import control

_SHOWN_MAX = 10


@click.command()
@click.option("--set", "hosts", multiple=True, metavar="HOST[:PORT]", help="Manager of the new list, in the order of the attempts.")
@click.option("--dry-run", is_flag=True, help="Check and print the new list, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@control.option
@click.pass_context
def addresses(context, hosts, dry_run, as_json, registry):
    """Print or set the list of managers that devices try in turn: this one, its standbys, and where it will move to.

    A new list is sent to each device over its session. A device drops the manager that it has found in the old one when one of the
    new list has answered. To move a manager: list both addresses, wait until no device is behind, and move.

    Exit status: 0 all devices have the list, 1 some have it not yet.

    \b
    Examples:
      dicectl manager addresses
      dicectl manager addresses --set a.example.org --set b.example.org:5685
    """
    from dicectl.net.address import host_and_port

    managers = [host_and_port(word, 5684) for word in hosts]
    if dry_run and not managers:
        raise click.UsageError("--dry-run checks a new list: name it with --set")
    if dry_run:
        managers = control.call(registry, "set_managers", managers=managers, dry_run=True)["list"]
        click.echo(json.dumps(managers) if as_json else f"devices would get: {_text(managers)}")
        return
    found = control.call(registry, "set_managers", managers=managers) if managers else control.call(registry, "managers")
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo(f"devices try: {_text(found['list'])}")
        if found["active"] not in found["list"]:
            click.echo(f"the active manager is not among them: {_text([found['active']])}")
        behind = found["behind"]
        click.echo(f"{found['devices'] - len(behind)} of {found['devices']} devices have this list")
        for name, why in list(behind.items())[:_SHOWN_MAX]:
            click.echo(f"{name}: {why}")
        if len(behind) > _SHOWN_MAX:
            click.echo(f"and {len(behind) - _SHOWN_MAX} more")
    context.exit(FAILED if found["behind"] else 0)


def _text(managers):
    hosts = [(f"[{each['host']}]" if ":" in each["host"] else each["host"], each["port"]) for each in managers]
    return ", ".join(f"{host}:{port}" for host, port in hosts)
