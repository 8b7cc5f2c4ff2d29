# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Where the files of a board are: in the folder in which it starts boot.py and main.py, which is its current one.

It is "/" on RP2s and ESP32s. On STM32s and nRFs nothing is mounted at "/": the folder is "/flash", or "/sd" if there is a card.
`facts` are what identity() of board_facts.py prints.
"""

from dicectl.errors import CommandError


def root(facts):
    """Return the folder in which a board starts its program, by board_facts.py: "", or "/flash" or "/sd" where "/" has no files."""
    return facts["cwd"].rstrip("/")


def folder_of(facts, entry):
    """Return the folder of an entry of a board's sys.path, of which "" is the current one."""
    return entry.rstrip("/") if entry.startswith("/") else f"{root(facts)}/{entry}".rstrip("/")


def placed(facts, path):
    """Return the full path on a board of one from sync.gather(). One that begins with the board's own folder is full already."""
    if path == "/boot.py":
        return facts["boot"].rstrip("/") + path
    top = root(facts)
    return path if f"{path}/".startswith(f"{top}/") else top + path


def room(device, facts):
    """Return the room of a board whose board_facts.py is loaded; raises CommandError if it has no file system."""
    (found,) = device.call("room", facts["cwd"])
    if not found["block"]:
        raise CommandError(f"no file system is mounted at {facts['cwd']} of the board: mount one in boot.py, or flash it anew")
    return found
