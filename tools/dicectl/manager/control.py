# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The control socket of a running manager, beside its registry: see line_socket. Only the owner can control the manager."""

import rich_click as click

from dicectl import line_socket, system
from dicectl.errors import NO_DEVICE, CommandError

option = click.option(
    "-m",
    "--manager",
    "registry",
    default="dice.db",
    show_default=True,
    envvar="DICE_MANAGER",
    show_envvar=True,
    type=click.Path(dir_okay=False),
    help="The registry of the running `dicectl manager run`.",
)


async def serve(path, handle):
    """Return an asyncio server that answers each line with `handle(request)`, which returns a value or raises CommandError."""
    return await line_socket.serve(f"{path}.socket", handle, "the manager")


def call(path, do, **request):
    """Send a request to the running manager and return its answer; raises CommandError, also if no manager runs."""
    system.require_unix("the group manager")
    try:
        return line_socket.call(f"{path}.socket", {"do": do, **request}, f"the manager on {path}")
    except line_socket.NobodyServes:
        raise CommandError(
            f"no manager runs on {path}: start dicectl manager run {path}, or name the registry of the running one with --manager",
            NO_DEVICE,
        )
