# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The control socket of a running manager, a Unix socket beside its registry: one JSON line as the request, one as the answer.

The socket is created 0600, so that only the owner of the registry can control the manager.
"""

import json
import os
import socket
from pathlib import Path

import rich_click as click

from dicectl import system
from dicectl.errors import FAILED, NO_DEVICE, USAGE, CommandError

_LINE_MAX_BYTES = 1 << 20
_ADDRESS_MAX_BYTES = 100
_ANSWER_S = 60

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


def _address(path):
    """Return (address of the socket, descriptor of its folder or None).

    An address may have 107 bytes on Linux and 103 on macOS. A longer one goes by way of /proc, as long as the folder is open.
    """
    system.require_unix("the group manager")
    path = Path(f"{path}.socket").absolute()
    if len(os.fsencode(path)) < _ADDRESS_MAX_BYTES:
        return str(path), None
    if not hasattr(os, "O_PATH"):
        raise CommandError(f"the path {path} is too long for a socket: move the registry to a shorter path", USAGE)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    return f"/proc/self/fd/{folder}/{path.name}", folder


async def serve(path, handle):
    """Return an asyncio server that answers each line with `handle(request)`, which returns a value or raises CommandError."""
    import asyncio

    async def respond(reader, writer):
        try:
            request = json.loads(await reader.readline())
            try:
                answer = json.dumps({"ok": handle(request)})
            except CommandError as failure:
                answer = json.dumps({"failure": failure.format_message(), "status": failure.exit_code})
            except Exception as error:  # this request alone has failed
                answer = json.dumps({"failure": f"the manager failed: {type(error).__name__}: {error}", "status": FAILED})
            writer.write(answer.encode() + b"\n")
            await writer.drain()
        except (ValueError, OSError):
            pass  # the client is not dicectl, or closed the connection
        finally:
            writer.close()

    address, folder = _address(path)
    try:
        Path(address).unlink(missing_ok=True)  # left by a manager that was killed: this one holds the lock
        mask = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(respond, address, limit=_LINE_MAX_BYTES)
        finally:
            os.umask(mask)
    finally:
        if folder is not None:
            os.close(folder)


def call(path, do, **request):
    """Send a request to the running manager and return its answer; raises CommandError, also if no manager runs."""
    address, folder = None, None
    try:
        address, folder = _address(path)
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(_ANSWER_S)
            channel.connect(address)
            channel.sendall(json.dumps({"do": do, **request}).encode() + b"\n")
            with channel.makefile() as file:
                answer = json.loads(file.readline())
    except (FileNotFoundError, ConnectionRefusedError):
        raise CommandError(
            f"no manager runs on {path}: start dicectl manager run {path}, or name the registry of the running one with --manager",
            NO_DEVICE,
        )
    except (OSError, ValueError) as error:
        raise CommandError(f"the manager on {path} does not answer: {error}", FAILED)
    finally:
        if folder is not None:
            os.close(folder)
    if "failure" in answer:
        raise CommandError(answer["failure"], answer.get("status", USAGE))
    return answer["ok"]
