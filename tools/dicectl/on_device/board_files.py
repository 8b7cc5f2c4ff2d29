# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Reads and changes the files of a board; `dicectl deploy` sends this file to its RAM. Contents are never printed."""

import json
import os
from binascii import a2b_base64, hexlify
from hashlib import sha256

_made = set()


def digest(path):
    """Return the SHA-256 of a file as hexadecimal digits."""
    hasher = sha256()
    buffer = memoryview(bytearray(512))
    with open(path, "rb") as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return hexlify(hasher.digest()).decode()
            hasher.update(buffer[:count])


def look(path):
    """Print (path, SHA-256) of a file, or of every file below a folder; print nothing if it does not exist."""
    try:
        names = [entry[0] for entry in os.ilistdir(path)]
    except OSError:
        try:
            print(repr((path, digest(path))))
        except OSError:
            pass
        return
    for name in names:
        look("%s/%s" % (path, name))


def _make_folders(path):
    at = path.find("/", 1)
    while at > 0:
        folder = path[:at]
        if folder not in _made:
            _made.add(folder)
            try:
                os.mkdir(folder)
            except OSError:
                pass
        at = path.find("/", at + 1)


def put(path, text, first, last):
    """Decode the base64 `text` and write or append it; after the last part, print the SHA-256 of the file as read back."""
    if first:
        _make_folders(path)
    with open(path, "wb" if first else "ab") as file:
        file.write(a2b_base64(text))
    if last:
        print(repr(digest(path)))


def exists(path):
    """Print whether a file or folder exists."""
    try:
        os.stat(path)
        print(True)
    except OSError:
        print(False)


def remove(path):
    """Remove a file, or a folder with its contents, if it exists."""
    try:
        names = [entry[0] for entry in os.ilistdir(path)]
    except OSError:
        try:
            os.remove(path)
        except OSError:
            pass
        return
    for name in names:
        remove("%s/%s" % (path, name))
    os.rmdir(path)


def named(path):
    """Print (name, identity) of a node.json without its key; nothing if there is none, (None, None) if it is damaged."""
    try:
        with open(path) as file:
            settings = json.load(file)
        print(repr((settings["name"], settings["identity"])))
    except OSError:
        pass
    except (ValueError, KeyError, TypeError):
        print(repr((None, None)))


def commit(renames, removals):
    """Rename verified files, then remove outdated ones."""
    for source, target in renames:
        os.rename(source, target)
    for path in removals:
        remove(path)
