# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Reads and changes the files of a board; `dicectl deploy` sends this file to its RAM. Contents are never printed."""

import json
import os
from binascii import a2b_base64, hexlify
from hashlib import sha256

_made = set()
_writing = [None]  # the file that put() and keep() write; flash is written once if it is not closed between them


def _read(path, at, count):
    """Yield the pieces of a part of a file, or of the rest of it if `count` is None."""
    buffer = memoryview(bytearray(512))
    with open(path, "rb") as file:
        file.seek(at)
        while count != 0:
            got = file.readinto(buffer if count is None or count > 512 else buffer[:count])
            if not got:
                return
            if count is not None:
                count -= got
            yield buffer[:got]


def digest(path, at=0, count=None):
    """Return the SHA-256 of a file, or of a part of it, as hexadecimal digits."""
    hasher = sha256()
    for piece in _read(path, at, count):
        hasher.update(piece)
    return hexlify(hasher.digest()).decode()


def _index(path):
    """Return the index of a bundle and the size of the file; raises ValueError if it is none. See firmware/bundle.py."""
    with open(path, "rb") as file:
        end = file.seek(0, 2)
        length = 0
        if end > 2:
            file.seek(end - 2)
            length = int.from_bytes(file.read(2), "big")
        if not 2 < length < end:
            raise ValueError
        file.seek(end - length)
        text = file.read(length - 2)
    if text[:1] != b"\n" or text[-1:] != b"\n":
        raise ValueError
    return text.decode(), end - length, end


def parts(path):
    """Print (name, offset, bytes, SHA-256) of each part of a bundle, and print nothing if the file is none or does not exist.

    Of a bundle that is damaged, such as one of an interrupted mip, print a part of no bytes.
    """
    try:
        text, at, end = _index(path)
        found = [("/__init__", 0)]
        for line in text.split("\n")[1:-1]:
            name, begin = line.split(" ")
            found.append((name, int(begin)))
        found += [("", at), (None, end)]
    except OSError:
        return
    except ValueError:
        with open(path, "rb") as file:
            if b"_Bundle" in file.read(1024):
                print(repr(("", 0, 0, "")))
        return
    for i in range(len(found) - 1):
        name, at = found[i]
        count = found[i + 1][1] - at
        print(repr((name, at, count, digest(path, at, count))))


def look(path):
    """Print (path, SHA-256) of a file, or of every file below a folder, such as "", the current one; print nothing for none."""
    try:
        names = [entry[0] for entry in os.ilistdir(path)]
    except OSError:
        try:
            print(repr((path, digest(path))))
        except OSError:
            pass
        return
    for name in names:
        look("%s/%s" % (path, name) if path else name)


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


def _file(path, first):
    if first:
        _make_folders(path)
        _writing[0] = open(path, "wb")  # noqa: SIM115 - _end() closes it
    return _writing[0]


def _end(path, last):
    if last:
        _writing[0].close()
        print(repr(digest(path)))


def put(path, text, first, last):
    """Decode the base64 `text` and write or append it; after the last part, print the SHA-256 of the file as read back."""
    _file(path, first).write(a2b_base64(text))
    _end(path, last)


def keep(path, source, at, count, first, last):
    """Write or append a part of another file, likewise."""
    file = _file(path, first)
    for piece in _read(source, at, count):
        file.write(piece)
    _end(path, last)


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
