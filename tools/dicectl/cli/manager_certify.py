# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager certify`: the certificate of a manager."""

import json

import rich_click as click

from dicectl.cli import signing
from dicectl.cli.options import Period
from dicectl.manager import control


@click.command()
@click.argument("folder", type=click.Path(file_okay=False), metavar="CA")
@click.option("--name", required=True, help="DNS name of the manager; devices look for it in its certificate.")
@click.option("--lifetime", type=Period(), help="How long it is valid, such as 365d.  [default: it does not expire]")
@click.option("--new-key", is_flag=True, help="Give the certificate another key, which replaces that of its last one.")
@click.option(
    "--pin",
    "pinned",
    multiple=True,
    metavar="KEY",
    help="A key that devices which are provisioned from now on demand in the manager's chain, too: a file with a public key or a "
    "certificate, digits, or `manager` for the manager's own.",
)
@click.option("--no-pins", is_flag=True, help="Let devices that are provisioned from now on demand no key.")
@click.option("--dry-run", is_flag=True, help="Check that there are a manager and an authority, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@control.option
def certify(folder, name, lifetime, new_key, pinned, no_pins, dry_run, as_json, registry):
    """Certify the manager's own key by a local authority, and trust that authority for devices with certificates.

    Then restart the manager. Devices with other kinds of keys do not notice. Devices with certificates know the manager by its
    name, so they accept a certificate with another key (--new-key); revoke the last one, and see docs/certificates.md.

    Pins are for those who trust several authorities, each of which could certify somebody else under the name of the manager. A
    device that has pins keeps them. If all of its pins are lost or revoked, only provisioning helps: pin an authority rather than
    the manager's key alone.

    \b
    Examples:
      dicectl ca new home-ca
      dicectl manager certify home-ca --name manager.house
      dicectl manager certify home-ca --name manager.house --new-key
      dicectl manager certify home-ca --name manager.house --pin home-ca/ca.pem
    """
    if pinned and no_pins:
        raise click.UsageError("--pin or --no-pins, not both")
    found = control.call(registry, "public_key", new=new_key and not dry_run)
    signing.check(folder)
    pins = [found["fingerprint"] if key == "manager" else _fingerprint(key) for key in pinned] if pinned or no_pins else None
    if not dry_run:
        chain, anchor = signing.sign(folder, bytes.fromhex(found["point"]), name, "server", lifetime)
        found = control.call(registry, "certify", chain=chain, anchors=[anchor], pins=pins)
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"the key {found['fingerprint']} {'would be' if dry_run else 'is'} certified as {name}")
    if not dry_run:
        if found["pins"]:
            click.echo(f"devices that are provisioned from now on demand one of these keys, too: {', '.join(found['pins'])}")
        click.echo("restart the manager; then: dicectl provision new NAME --key certificate --ca " + folder)


def _fingerprint(key):
    from dicectl.net import credentials

    return credentials.fingerprint(credentials.peer_key(key)).hex()
