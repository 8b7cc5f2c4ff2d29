# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl flash`: writes firmware to a board: to ESP32s by esptool, to RP2s by their boot drive or picotool."""

import rich_click as click

from dicectl.cli.options import complete_board, complete_port
from dicectl.errors import USAGE, CommandError


@click.command("flash")
@click.argument("board", shell_complete=complete_board)
@click.option(
    "--port",
    shell_complete=complete_port,
    help="Serial port of an ESP32, or folder of an RP2's boot drive.  [default: the only one]",
)
@click.option("--firmware", type=click.Path(dir_okay=False), help="File to flash.  [default: build/BOARD/firmware.bin or .uf2]")
@click.option("--download", is_flag=True, help="Flash MicroPython's own firmware, without dice; mpflash downloads it.")
@click.option("--erase", is_flag=True, help="Erase the whole flash first, with files, counters and settings.")
@click.option("--no-reset", is_flag=True, help="The ESP32 has no automatic reset, and is already in its boot loader.")
@click.option("--dry-run", is_flag=True, help="Check the firmware, print what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(board, port, firmware, download, erase, no_reset, dry_run, as_json):
    """Write firmware to a board, and verify it.

    BOARD is one of boards/boards.toml. Firmware for another chip is rejected. Hold BOOTSEL while you plug in an RP2: it appears as
    a drive. --erase also erases the counters of groups, so the board needs a new GSA afterwards. After --download, dicectl deploy
    installs dice.

    \b
    Examples:
      dicectl flash ESP32_GENERIC --port /dev/ttyUSB0 --erase
      dicectl flash RPI_PICO --firmware build/RPI_PICO/firmware.uf2
      dicectl flash ESP32_GENERIC_C6 --download
    """
    from dicectl.board import image
    from dicectl.firmware import boards

    board = boards.with_firmware(board)
    if download:
        from dicectl.board import mpflash

        if firmware:
            raise CommandError("--download and --firmware exclude each other", USAGE)
        firmware = mpflash.download(board)
    path, size = image.check(board, firmware)
    if board.flashed_by == "esptool":
        from dicectl.board import esptool

        steps = esptool.steps(board, port, path, erase, no_reset, dry_run)
    else:
        from dicectl.board import bootdrive

        steps = bootdrive.steps(board, port, path, erase, dry_run)
    say = (lambda text: None) if as_json else click.echo
    say(f"{path}: {size:,} bytes for {board.title} at {board.flash_offset:#x}")
    for step in steps:
        say(f"{'would run' if dry_run else 'step'}: {step}")
        if not dry_run:
            step.run(quiet=as_json)
    if as_json:
        import json

        result = {"board": board.name, "firmware": str(path), "bytes": size, "offset": board.flash_offset, "erase": erase}
        click.echo(json.dumps({**result, "steps": [str(step) for step in steps], "dry_run": dry_run}))
    elif not dry_run:
        say("done: written and verified" if board.flashed_by == "esptool" else "done: the board accepted it and restarts")
