# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How commands talk to the manager that runs: a JSON line there and one back, over a Unix socket beside its registry.

The socket is in a folder of the registry's owner and created 0600: who may read the registry may command the manager.
"""

import json
import os
import socket
from pathlib import Path

import rich_click as click

from dicectl.errors import FAILED, NO_DEVICE, USAGE, CommandError

_LINE_MAX_BYTES = 1 << 20
_PATIENCE_S = 60

option = click.option(
    "-m",
    "--manager",
    "registry",
    default="dice.db",
    show_default=True,
    envvar="DICE_MANAGER",
    show_envvar=True,
    type=click.Path(dir_okay=False),
    help="The registry that `dicectl manager run` was given.",
)


def _address(path):
    """Return the address of the socket; by way of /proc, since one may have no more than 107 bytes. The folder stays open."""
    path = Path(f"{path}.socket").absolute()
    if len(os.fsencode(path)) < 100:
        return str(path), None
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    return f"/proc/self/fd/{folder}/{path.name}", folder


async def serve(path, handle):
    """Return an asyncio server that answers each line with `handle(request)`, which returns a value or raises CommandError."""

    import asyncio

    async def answer(reader, writer):
        try:
            request = json.loads(await reader.readline())
            try:
                said = {"ok": handle(request)}
            except CommandError as failure:
                said = {"failure": failure.format_message(), "status": failure.exit_code}
            writer.write(json.dumps(said).encode() + b"\n")
            await writer.drain()
        except (ValueError, OSError):
            pass  # not one of ours, or gone
        finally:
            writer.close()

    address, folder = _address(path)
    try:
        Path(address).unlink(missing_ok=True)  # of a manager that was killed: we hold the lock
        mask = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(answer, address, limit=_LINE_MAX_BYTES)
        finally:
            os.umask(mask)
    finally:
        if folder is not None:
            os.close(folder)


def call(path, do, **request):
    """Have the manager do something and return its answer; raises CommandError, also where none runs."""
    address, folder = None, None
    try:
        address, folder = _address(path)
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(_PATIENCE_S)
            channel.connect(address)
            channel.sendall(json.dumps({"do": do, **request}).encode() + b"\n")
            with channel.makefile() as file:
                said = json.loads(file.readline())
    except (FileNotFoundError, ConnectionRefusedError):
        raise CommandError(
            f"no manager runs on {path}: dicectl manager run {path}, or name the one that runs with --manager", NO_DEVICE
        )
    except (OSError, ValueError) as error:
        raise CommandError(f"the manager on {path} does not answer: {error}", FAILED)
    finally:
        if folder is not None:
            os.close(folder)
    if "failure" in said:
        raise CommandError(said["failure"], said.get("status", USAGE))
    return said["ok"]
