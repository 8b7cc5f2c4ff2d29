# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl build`: MicroPython firmware with dice frozen into it."""

import json
import shlex
import shutil
from pathlib import Path

import rich_click as click

from dicectl import json_file
from dicectl.cli.options import complete_board, complete_profile
from dicectl.errors import USAGE, CommandError


def _plan(recipe, jobs):
    """Return the lines of a dry run."""
    from dicectl.firmware import debian
    from dicectl.firmware.recipe import RESULTS
    from dicectl.subprocess_log import cache

    lines = []
    if recipe.micropython:
        tree, folder = recipe.micropython, recipe.folder(None)
    else:
        tree, versions = cache() / f"debian-{debian.SUITE}" / "micropython", debian.versions()
        if versions is None:
            return [f"fetch MicroPython and its parts from Debian {debian.SUITE} into {cache()}, about 35 MB", "build it there"]
        folder = recipe.folder(versions)
        if (folder / "facts.json").exists():
            return [f"nothing: {folder} was built from the same inputs"]
    lines += [f"write {recipe.work(tree) / 'manifest.py'}: {recipe.manifest().strip()}"]
    lines += [f"write {recipe.work(tree) / 'module.cmake'}: the module _dice, {recipe.c_module}"] if recipe.c_module else []
    lines += [shlex.join(command) for _, command in recipe.commands(tree, jobs)]
    return [*lines, f"copy {', '.join(RESULTS[recipe.board.port])} to {folder}"]


@click.command("build")
@click.argument("board", shell_complete=complete_board)
@click.option("--micropython", type=click.Path(exists=True, file_okay=False), help="Checkout of MicroPython to build.")
@click.option("--from-debian", is_flag=True, help="Fetch MicroPython from Debian's packages to the cache (boards without a radio).")
@click.option(
    "--profile",
    default="full",
    show_default=True,
    shell_complete=complete_profile,
    help="Modules of dice: full, public-keys, psk, group or none (lib/manifest.py).",
)
@click.option(
    "--native",
    type=click.Choice(["fast", "small", "mbedtls", "none"]),
    help="The module _dice: AES-CCM and P-256 in C. RP2: P-256 is fast, small (9 KB less) or Mbed TLS's. ESP32: mbedtls, which has "
    "the accelerators.  [default: fast or mbedtls with public-keys, else none]",
)
@click.option("--with-tls", is_flag=True, help="Enable MicroPython's own tls on a board without a network, to compare it.")
@click.option("--variant", metavar="NAME", help="Variant of the board: OTA has two places for firmware (ESP32); FLASH_4M (S3).")
@click.option("--no-app", is_flag=True, help="Omit firmware/app, which is frozen with profile full.")
@click.option("--output", type=click.Path(file_okay=False), help="Folder for the results.  [default: build/BOARD]")
@click.option("--jobs", type=click.IntRange(1), help="Number of compilers to run at once.  [default: one for each core]")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(board, micropython, from_debian, profile, native, with_tls, variant, no_app, output, jobs, dry_run, as_json):
    """Build MicroPython firmware with dice frozen into it, and with the node of firmware/app except its main.py.

    The results are firmware.uf2 and firmware.elf for RP2 boards, firmware.bin for ESP32s. Downloads and compiled files are kept in
    $DICE_CACHE, by default in the folder `dice` of the user's cache. That folder may be deleted at any time.

    \b
    Examples:
      dicectl build RPI_PICO --from-debian
      dicectl build ESP32_GENERIC --micropython ~/micropython --profile group
      dicectl build ESP32_GENERIC --micropython ~/micropython --variant OTA
    """
    from dicectl.cli.progress import with_progress
    from dicectl.firmware import boards
    from dicectl.firmware.recipe import Recipe, firmware
    from dicectl.system import require_unix

    require_unix("dicectl build")
    if bool(micropython) == from_debian:
        raise CommandError("choose the MicroPython to build: --micropython DIR or --from-debian", USAGE)
    micropython = Path(micropython).absolute() if micropython else None
    recipe = Recipe(boards.with_firmware(board), profile, with_tls, micropython, not no_app, native, variant)
    recipe.check()
    output = Path(output or Path("build") / recipe.name)
    if dry_run:
        steps = [*_plan(recipe, jobs), f"copy the results to {output}"]
        click.echo(json.dumps({"would": steps}, indent=2) if as_json else "\n".join(steps))
        return
    folder = with_progress(
        lambda progress: firmware(board, profile, with_tls, micropython, jobs, progress, not no_app, native, variant)
    )
    shutil.copytree(folder, output, dirs_exist_ok=True)
    facts = json_file.read(folder / "facts.json", "the facts of a build", f"remove {folder}, and build again")
    if as_json:
        click.echo(json.dumps({**facts, "folder": str(output)}, indent=2))
        return
    in_c = f", _dice in C ({recipe.c_module})" if recipe.c_module else ""
    click.echo(f"{recipe.board.title}: MicroPython {facts['micropython']} with dice {facts['dice']}, profile {profile}{in_c}")
    for name, size in facts["bytes"].items():
        click.echo(f"  {output / name}  {size:,} bytes")
