# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Entry point: puts the commands together and turns every failure into one line and an exit status.

Command modules import what is heavy inside the command, so that --help is instant.
"""

import signal
import sys

import rich_click as click

from dice import __version__
from dicectl.cli import (
    bench,
    build,
    demo,
    deploy,
    doctor,
    dtls,
    emulate,
    flash,
    footprint,
    gateway,
    group,
    manager,
    provision,
)
from dicectl.cli import (
    keyring as by_hand,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dicectl")
def cli():
    """Secured multicast groups for MicroPython devices.

    Begin with `dicectl demo`.

    Exit status: 0 done, 1 failed, 2 wrong usage, 3 no device.
    """


for module in (bench, build, by_hand, demo, deploy, doctor, emulate, flash, footprint, gateway, group, manager, provision):
    cli.add_command(module.command)
cli.add_command(dtls.client)
cli.add_command(dtls.server)


def main():
    """Run the command line."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that what was begun is cleaned up
    try:
        status = cli.main(prog_name="dicectl", standalone_mode=False)
    except click.ClickException as error:
        hint = f" (see {error.ctx.command_path} --help)" if getattr(error, "ctx", None) else ""
        print(f"dicectl: {error.format_message()}{hint}", file=sys.stderr)
        status = error.exit_code
    except click.Abort:
        print("dicectl: interrupted", file=sys.stderr)
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
