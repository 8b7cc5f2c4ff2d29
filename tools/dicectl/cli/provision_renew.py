# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision renew`: new certificates for the keys that devices have, over their sessions with the manager."""

import json

import rich_click as click

from dicectl.cli import signing
from dicectl.cli.options import Period
from dicectl.cli.progress import wait_for
from dicectl.errors import FAILED
from dicectl.manager import control

_SHOWN_MAX = 10
AT_ONCE_MAX = 100


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--expiring", is_flag=True, help="All devices whose certificate has less than a third of its time left.")
@click.option("--ca", "folder", type=click.Path(file_okay=False), help="Folder of the authority that has certified them.")
@click.option("--lifetime", type=Period(), help="How long the new ones are valid: 90d.  [default: as long as those before]")
@click.option("--wait", "wait_s", type=click.IntRange(0), default=60, show_default=True, help="Seconds to wait for the devices.")
@click.option("--dry-run", is_flag=True, help="Check and name the devices, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@control.option
@click.pass_context
def renew(context, names, expiring, folder, lifetime, wait_s, dry_run, as_json, registry):
    """Give devices a new certificate before theirs expires, over their sessions with the manager.

    The authority certifies the key that the device has again; the private key stays where it is. The device stores the new
    certificate beside its own, and drops that when a session has proved the new one: no power cut locks it out. A device that is
    away gets its certificate when it connects, if its own is still valid then. A manager that runs with --ca renews by itself.

    Exit status: 0 all devices have stored their certificates, 1 some have not yet.

    \b
    Examples:
      dicectl provision renew lamp-1 --ca home-ca
      dicectl provision renew --expiring --ca home-ca --wait 600
    """
    if bool(names) == expiring:
        raise click.UsageError("name devices, or --expiring")
    signing.check(folder)
    found = control.call(registry, "expiring", names=list(dict.fromkeys(names)))
    if dry_run:
        said = [device["name"] for device in found]
        click.echo(
            json.dumps({"would_renew": said}) if as_json else f"would renew the certificates of: {', '.join(said) or 'none'}"
        )
        return
    ends = _offer(registry, signing.Renewing(folder, lifetime), found)
    missing = wait_for(lambda: control.call(registry, "renewed", ends=ends), len(ends), wait_s, not as_json)
    if as_json:
        click.echo(json.dumps({"renewed": [name for name in ends if name not in missing], "pending": missing}))
    else:
        click.echo(f"{len(ends) - len(missing)} of {len(ends)} have their new certificate")
        for name, why in list(missing.items())[:_SHOWN_MAX]:
            click.echo(f"{name}: {why}; its old certificate is good until it expires")
        if len(missing) > _SHOWN_MAX:
            click.echo(f"and {len(missing) - _SHOWN_MAX} more")
    context.exit(FAILED if missing else 0)


def _offer(registry, authority, devices):
    """Let the manager offer certificates, some at a time; return {name: when it ends}."""
    ends = {}
    for begin in range(0, len(devices), AT_ONCE_MAX):
        some = devices[begin : begin + AT_ONCE_MAX]
        ends.update(control.call(registry, "renew", chains={each["name"]: authority.renewed(each) for each in some}))
    return ends
