# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The socket of a resident member, in its folder, and the options of commands that act as a member."""

from pathlib import Path

import rich_click as click

from dicectl import line_socket

NAME = "member.socket"
WHO = "the resident member"
_ANSWER_S = 90  # of a question to the group that waits for 60 s

folder_option = click.option(
    "--as",
    "folder",
    required=True,
    envvar="DICE_MEMBER",
    show_envvar=True,
    type=click.Path(file_okay=False),
    help="Folder of this computer as a member (provision --to).",
)


def path(folder):
    """Return the path of the socket."""
    return Path(folder) / NAME


def serves(folder):
    """Return whether a resident member serves in a folder: the socket of one that was killed is still there."""
    try:
        with line_socket.connected(path(folder), 1):
            return True
    except (line_socket.NobodyServes, OSError):
        return False


def who(folder):
    """Return the name of a resident member in messages."""
    return f"{WHO} of {folder}"


def request(folder, do, **details):
    """Return the answer of the resident member of a folder; raises CommandError and line_socket.NobodyServes."""
    return line_socket.call(path(folder), {"do": do, **details}, who(folder), _ANSWER_S)
