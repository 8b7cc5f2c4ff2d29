# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Entry point: puts the commands together and turns every failure into one line and an exit status.

Command modules import what is heavy inside the command, so that --help is instant.
"""

import sys

import rich_click as click

from dice import __version__
from dicectl import ending
from dicectl.cli import (
    bench,
    build,
    ca,
    completion,
    demo,
    deploy,
    doctor,
    dtls,
    emulate,
    flash,
    footprint,
    gateway,
    group,
    group_changes,
    keyring,
    manager,
    member,
    mip_index,
    native,
    node,
    provision,
)

# The commands in the order in which --help shows them.
PANELS = {
    "To try": ("demo", "node", "emulate"),
    "Managed groups": ("manager", "provision", "group", "ca", "member", "gateway"),
    "Groups without a manager": ("keyring",),
    "Boards": ("deploy", "doctor", "flash", "build", "native", "mip-index"),
    "To develop and measure": ("footprint", "bench", "dtls-client", "dtls-server", "completion"),
}
INTERRUPTED = 130  # as a shell says it of a program that Ctrl-C ends


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dicectl")
def cli():
    """Secured multicast groups for MicroPython devices.

    Begin with `dicectl demo`. To complete commands in your shell, see `dicectl completion --help`.

    Exit status: 0 done, 1 failed, 2 wrong usage, 3 no device, 130 interrupted.
    """


for module in (
    bench,
    build,
    ca,
    completion,
    keyring,
    demo,
    deploy,
    doctor,
    emulate,
    flash,
    footprint,
    gateway,
    group,
    manager,
    member,
    mip_index,
    native,
    node,
    provision,
):
    cli.add_command(module.command)
for more in group_changes.commands:
    group.command.add_command(more)
cli.add_command(dtls.client)
cli.add_command(dtls.server)

click.rich_click.COMMAND_GROUPS = {"dicectl": [{"name": name, "commands": list(names)} for name, names in PANELS.items()]}


def main():
    """Run the command line."""
    ending.install()
    try:
        status = cli.main(prog_name="dicectl", standalone_mode=False)
    except click.ClickException as error:
        hint = f" (see {error.ctx.command_path} --help)" if getattr(error, "ctx", None) else ""
        print(f"dicectl: {error.format_message()}{hint}", file=sys.stderr)
        status = error.exit_code
    except click.Abort:
        print("dicectl: interrupted", file=sys.stderr)
        status = INTERRUPTED
    sys.exit(status)


if __name__ == "__main__":
    main()
