# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision label`: labels with QR codes of devices that exist."""

import rich_click as click

from dicectl.cli import changes
from dicectl.cli.options import complete_device
from dicectl.manager import control


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_device)
@click.option("--to", "path", type=click.Path(), help="Write a page .svg or .html, or a folder *.png, instead of the terminal.")
@control.option
def label(names, path, registry):
    """Print the labels of devices: a QR code with name, identity and, of a device that has one, the fingerprint of its public key.

    They contain no secret key. The fingerprint changes with the key: print the label again after dicectl provision rotate. NAME may
    be a pattern.

    \b
    Examples:
      dicectl provision label lamp-1
      dicectl provision label 'lamp-*' --to lamps.svg
    """
    from dicectl.manager import labels

    if path:
        labels.check(path)
    chosen = changes.devices(registry, names, True, "print labels of")
    devices = [control.call(registry, "device", name=name) for name in chosen]
    if path:
        labels.write(path, devices)
        return
    for device in devices:
        click.echo(labels.for_terminal(device))
