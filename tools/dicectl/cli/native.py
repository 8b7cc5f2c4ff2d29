# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl native`: P-256 and AES-CCM in machine code, for stock firmware."""

from pathlib import Path

import rich_click as click


@click.command("native")
@click.argument("architectures", metavar="ARCHITECTURE...", nargs=-1, required=True)
@click.option(
    "--variant",
    default="small",
    show_default=True,
    help="small: 10 to 13 KB. fast: P-256 is four times as fast on an RP2040, for 10 KB more.",
)
@click.option("--output", type=click.Path(file_okay=False), default="build/native", show_default=True, help="Folder for results.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(architectures, variant, output, dry_run, as_json):
    """Compile the module _dice for stock firmware: P-256 and AES-CCM in machine code, which dice uses.

    ARCHITECTURE is armv6m (RP2040), armv7m, armv7emsp (RP2350, most STM32), rv32imc (ESP32-C3, -C6), xtensawin (ESP32, -S2, -S3)
    or x64; `dicectl doctor` prints that of a board. The sources are fetched from Debian's packages on the first call (40 MB). A GCC
    for the processor must be installed. Profile public-keys uses the module: copy OUTPUT/ARCHITECTURE/_dice.mpy into /lib of the
    board. It cannot be frozen.

    \b
    Example:
      dicectl native armv6m --variant fast
      mpremote cp build/native/armv6m/_dice.mpy :lib/
    """
    import json
    import shutil

    from dicectl.cli.progress import with_progress
    from dicectl.firmware import native

    for architecture in architectures:
        native.check(architecture, variant)
    made = []
    for architecture in architectures:
        target = Path(output) / architecture / native.NAME
        if not dry_run:
            path = with_progress(lambda progress, architecture=architecture: native.build(architecture, variant, progress))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        size = None if dry_run else target.stat().st_size
        made.append({"architecture": architecture, "variant": variant, "path": str(target), "bytes": size})
    if as_json:
        click.echo(json.dumps({"files": made, "dry_run": dry_run}, indent=2))
        return
    for file in made:
        click.echo(f"would write {file['path']}" if dry_run else f"{file['path']}  {file['bytes']:,} bytes")
