# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision contact`: a device over the network, by a code that people compare."""

import json
import time

import rich_click as click

from dicectl.cli import changes
from dicectl.errors import FAILED, CommandError
from dicectl.manager import control

_POLL_S = 0.3


@click.command()
@click.argument("name")
@click.option("--group", "groups", multiple=True, help="Group to join, as GROUP or GROUP:ROLE; roles: listener, answering, sender.")
@click.option("--port", type=click.IntRange(1, 65535), default=5685, show_default=True, help="UDP port for this contact alone.")
@click.option("--wait", "wait_s", type=click.IntRange(10, 600), default=300, show_default=True, help="Seconds until it ends.")
@changes.dry_run
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; the question goes to standard error.")
@control.option
def contact(name, groups, port, wait_s, dry_run, as_json, registry):
    """Provision a device over the network: both sides show a code, and people compare it.

    The manager serves PORT for one device and one attempt. The device calls dice.aio.contact.contact((host, PORT), confirm), makes
    its key, and shows a code of six digits. Confirm here and at the device only if the codes are equal: whoever is in between can
    guess them with a chance of one in a million for each attempt. Nothing is stored before both sides have confirmed. After three
    attempts that have failed there is a pause of ten minutes.

    \b
    Example:
      dicectl provision contact lamp-7 --group lamps
    """
    memberships = {group: role or "listener" for group, _, role in (value.partition(":") for value in groups)}
    begun = control.call(registry, "contact", name=name, groups=memberships, port=port, wait_s=wait_s, dry_run=dry_run)
    if dry_run:
        click.echo(json.dumps(begun) if as_json else f"would wait for a device at UDP port {port}, and call it {name}")
        return
    try:
        settings = _lead(registry, port)
    except BaseException:
        control.call(registry, "contact_end", why="the operator has ended it")
        raise
    told = {key: settings[key] for key in ("name", "identity", "fingerprint", "groups")}
    if as_json:
        click.echo(json.dumps(told))
        return
    where = ", ".join(told["groups"]) or "in no group yet"
    click.echo(f"{name}: identity {told['identity']}, key {told['fingerprint']}, {where}; the device has stored it")


def _lead(registry, port):
    """Ask the operator, and return the configuration of the device; raises CommandError."""
    host = control.call(registry, "managers")["active"]["host"]
    click.echo(f"waiting for a device; it has to call contact(({host!r}, {port}), confirm)", err=True)
    found = _until(registry, "waiting")
    click.echo(f"a device at {found['address'][0]} is there. This is the code:  {found['code']}", err=True)
    if not click.confirm("Does the device show the same code?", default=False, err=True):
        control.call(registry, "contact_end", why="the operator has said that the codes differ")
        raise CommandError("nothing was stored: if the codes differ, somebody is in between, or this is another device", FAILED)
    control.call(registry, "contact_confirm", code=found["code"])
    click.echo("now confirm at the device", err=True)
    return _until(registry, "comparing", "storing")["settings"]


def _until(registry, *states):
    """Return the state of the attempt when it is none of these any more; raises CommandError if it has failed."""
    while True:
        found = control.call(registry, "contact_state")
        if found["state"] == "failed":
            raise CommandError(f"{found['why']}; nothing was stored", FAILED)
        if found["state"] not in states:
            return found
        time.sleep(_POLL_S)
