# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The contents of the files of a deploy: keys that no device may have, two GSAs of one group, or JSON that no program can read.

Files are judged by their contents, because any of them may have another name; a device's own keys are not refused: node.json, GSAs,
and own.key, which contains 32 bytes, as the key file of a registry does.
"""

import re

from dice.errors import DiceError
from dice.group import gsa
from dicectl import json_file
from dicectl.errors import USAGE, CommandError

_DATABASES = (b"SQLite format 3\0", b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")  # the latter two of its log
_PEM = re.compile(rb"^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----", re.MULTILINE)
_REGISTRY_KEY_BYTES, _OWN_KEY = 32, "own.key"
_REGISTRY_KEY_NAMES = re.compile(r".*\.key|dice-key")


def check(files):
    """Raise CommandError (usage) for a file that no board should get; `files` is {path on the board: file on the host}."""
    held = {}  # files by the group of their GSA
    for name, path in files.items():
        data = path.read_bytes()
        secret = _secret(name, path, data)
        if secret:
            raise CommandError(f"{path} contains {secret}", USAGE)
        group = _group_of(path, data)
        if group in held:
            raise CommandError(
                f"{held[group]} and {path} are GSAs of one group: a device has one, and no other device has the same", USAGE
            )
        if group:
            held[group] = path
        if name.endswith(".json"):
            with json_file.checked(path, "JSON", "correct it"):
                json_file.decode(data.decode(), object)


def _secret(name, path, data):
    """Return what a file contains that no device may have, and what to do instead; None if it is none of that."""
    if path.suffix == ".group" or _is_group_file(data):
        return "the group's master key, which no device may have: use dicectl keyring export"
    if data.startswith(_DATABASES):
        return "a database, as the registry of a manager with the keys of all devices, which no device may have"
    if path.suffix != ".py" and _PEM.search(data):
        return "a private key in PEM, as that of an authority, which no device may have: dice on a board makes its own key"
    if len(data) == _REGISTRY_KEY_BYTES and _REGISTRY_KEY_NAMES.fullmatch(path.name) and name.rpartition("/")[2] != _OWN_KEY:
        return f"32 bytes, as the key of a registry, which no device may have: copy the device's own key as {path}={_OWN_KEY}"
    return None


def _is_group_file(data):
    try:
        return b'"tgk"' in data and "tgk" in json_file.decode(data)
    except ValueError:
        return False


def _group_of(path, data):
    """Return the group id of a GSA, or None if this is none; raises CommandError if it should be one.

    A board would only say so when it starts.
    """
    try:
        return bytes(gsa.decode(data).gid)
    except DiceError:
        if path.suffix == ".gsa":
            raise CommandError(f"{path} is damaged, or no GSA: dicectl keyring export writes it anew", USAGE)
    return None
