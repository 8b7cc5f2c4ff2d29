# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""JSON that users and devices write: a file of theirs that is damaged, however that is, costs one line."""

import contextlib
import json
from pathlib import Path

from dicectl.errors import USAGE, CommandError
from dicectl.text import printable

_DEPTH_MAX = 100  # far from where functions that call themselves would fail
_TOO_DEEP = "it is nested too deeply"
_KINDS = {dict: "object", list: "list", (dict, list): "object or list"}


class Malformed(ValueError):
    """A ValueError for users: it says what is wrong with the contents, such as "the port is wrong"."""


# Python raises these for contents of another shape than the code expects.
WRONG = (ValueError, TypeError, LookupError, AttributeError)


def decode(data, kind=dict):
    """Return the value of a JSON text or of its bytes; raises ValueError for all that is no `kind`: a type, or a tuple of types."""
    try:
        value = json.loads(data)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair would fail wherever it is printed
    except json.JSONDecodeError as error:
        raise Malformed(f"{error.msg} at character {error.pos + 1}")
    except UnicodeError:
        raise Malformed("it contains text that is no Unicode")
    except RecursionError:
        raise Malformed(_TOO_DEEP)
    within = [value]
    for _ in range(_DEPTH_MAX):
        within = [inner for each in within for inner in _values(each)]
    if within:
        raise Malformed(_TOO_DEEP)
    if not isinstance(value, kind):
        raise Malformed(f"it is no JSON {_KINDS[kind]}")
    return value


@contextlib.contextmanager
def checked(path, what, remedy, *more):
    """Turn what is wrong with the contents of a file, which the block reads, into a CommandError.

    * `what`: what the file should be, such as "a group file".
    * `remedy`: what to do, such as "restore it from a backup".
    * `more`: other exceptions that mean the same.
    """
    try:
        yield
    except (*WRONG, *more) as error:
        raise CommandError(f"{path} is not {what}, or is damaged: {_why(error)}; {remedy}", USAGE)


def expect(found, kinds):
    """Raise Malformed unless a dict has values of these types, {name: type}; int: 0 or more."""
    for name, kind in kinds.items():
        if type(found.get(name)) is not kind or (kind is int and found[name] < 0):
            raise Malformed(f"{name} is missing or wrong")


def read(path, what, remedy, kind=dict):
    """Return the value in the JSON file at `path`; raises CommandError, see checked(). OSError: it cannot be opened."""
    with checked(path, what, remedy):
        return decode(Path(path).read_bytes(), kind)


def _values(value):
    return value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()


def _why(error):
    if isinstance(error, (Malformed, OSError)):
        return getattr(error, "strerror", None) or str(error)
    return f"{printable(str(error.args[0]))} is missing" if isinstance(error, KeyError) and error.args else "a value is wrong"
