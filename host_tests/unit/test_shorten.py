# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Private names of dice are short in compiled files, the same ones in all of them; what cannot be renamed stays or is refused."""

import ast
import io
import json
import tokenize
from pathlib import Path

import pytest

from dicectl import resources
from dicectl.errors import CommandError
from dicectl.firmware import fold, mpy, shorten

PORTABLE = Path(__file__).parents[1] / "portable"
HANDSHAKE = '''\
"""_flight: a docstring does not count."""

import sys

from . import _compat

_LIMIT = const(3)
_TABLE = {}


class Handshake:
    _shared = 1

    def __init__(self, stream):
        self._flight = None  # the _flight
        self.public = _local = sys.implementation._mpy
        stream._any = getattr(stream, "_any", None)

    def _send(self, *, _option=None):
        return self._flight, self.__dict__, f"{self._shown}"
'''
CLIENT = (
    "class Client(Handshake):\n    def go(self):\n        self._send(_option=self._flight)\n        self._shown = self._mpy = 1\n"
)


@pytest.fixture
def lib(tmp_path):
    """Return a library of two modules, one of which uses private names of the other."""
    (tmp_path / "dice").mkdir()
    (tmp_path / "dice" / "handshake.py").write_text(HANDSHAKE)
    (tmp_path / "dice" / "client.py").write_text(CLIENT)
    (tmp_path / "dice" / "_compat.py").write_text("def _compat():\n    pass\n")
    return tmp_path


@pytest.fixture
def script(tmp_path):
    """Return a function that writes a script, and returns its path."""

    def write(text, path=tmp_path / "script.py"):
        path.write_text(text)
        return path

    return write


def ours():
    """Return a private name of the real library, and its short name."""
    return next(iter(fold.short_names(resources.LIB).items()))


def test_only_private_definitions_of_the_library_get_short_names(lib):
    """Not constants, arguments, keywords, local variables, modules, and names in strings or of foreign objects."""
    assert list(shorten.table(lib)) == ["_TABLE", "_flight", "_send", "_shared"]


def test_short_names_are_unique_and_new(lib):
    (lib / "dice" / "many.py").write_text("".join(f"def _name_{i}():\n    aB = 1\n\n\n" for i in range(500)))
    chosen = shorten.table(lib)
    assert len(set(chosen.values())) == len(chosen) == 504
    used = {word for path in (lib / "dice").glob("*.py") for word in path.read_text().split()}
    assert not used & set(chosen.values()) and "aB" in used


def test_a_short_name_depends_only_on_the_name(lib):
    before = shorten.table(lib)
    (lib / "dice" / "handshake.py").write_text(HANDSHAKE + "\n\ndef public(x):\n    return x\n")
    assert shorten.table(lib) == before
    (lib / "dice" / "new.py").write_text("def _brand_new():\n    pass\n")
    assert before.items() < shorten.table(lib).items()


def test_only_names_are_replaced():
    names = {"_flight": "aB", "_send": "Cd"}
    result = fold.rename(HANDSHAKE + "\nx._send(x._flight, é._flight); _flights = _send\n", names)
    assert result.splitlines()[-1] == "x.Cd(x.aB, é.aB); _flights = Cd"
    assert result.splitlines()[0] == HANDSHAKE.splitlines()[0]
    assert "        self.aB = None  # the _flight\n" in result
    assert len(result.splitlines()) == len(HANDSHAKE.splitlines()) + 2
    assert fold.rename(HANDSHAKE, {}) == HANDSHAKE


PARAMETERS = '''\
class Flight:
    def start(self, layer, late, now=0):
        """layer"""
        late = (layer.mtu, é(layer), [layer for layer in late], f"{now}", late(now=now))
        return lambda b: (b, late)

    def _private(self, datagram: int, used, shown) -> None:
        return datagram.used, f"{shown}", __name__

    def public(self, datagram: int):
        return datagram


def send(layer, flight, x, *messages, timer):
    def inner(layer):
        return layer, flight, messages, timer

    return inner(x)


@decorated
def sealed(layer):
    return layer
'''


RENAMED = '''\
class Flight:
    def start(self, mtu, used, now=0):
        """layer"""
        used = (mtu.mtu, é(mtu), [mtu for mtu in used], f"{now}", used(now=now))
        return lambda b: (b, used)

    def _private(self, mtu: int, used, shown) -> None:
        return mtu.used, f"{shown}", __name__

    def public(self, datagram: int):
        return datagram


def send(layer, mtu, x, *messages, timer):
    def inner(layer):
        return layer, mtu, messages, timer

    return inner(x)


@decorated
def sealed(layer):
    return layer
'''


def test_parameters_that_are_given_by_position_get_names_that_the_file_has_anyway(tmp_path):
    """Not those of public functions with annotations, with a default, of an outer and an inner function; not if the name stays."""

    def shortened(text):
        return fold.shortened(text, tmp_path / "flight.py", tmp_path)

    assert shortened(PARAMETERS) == RENAMED
    assert shortened("def f(first, second=0):\n    return first, second\n") == "def f(a, second=0):\n    return a, second\n"
    assert shortened("def _f(first, second=0):\n    return first, second\n") == "def _f(a, b=0):\n    return a, b\n"


def test_no_caller_names_a_parameter_that_is_renamed():
    renamed = {}  # by function or class
    for tree in (ast.parse(path.read_text()) for path in (resources.LIB / "dice").rglob("*.py")):
        for parent in ast.walk(tree):
            for function in parent.body if isinstance(parent, ast.Module | ast.ClassDef) else ():
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and not function.decorator_list:
                    called = parent.name if function.name == "__init__" else function.name
                    renamed.setdefault(called, set()).update(fold.positional(function))
    callers = [resources.LIB / "dice", resources.FIRMWARE, resources.ON_DEVICE, PORTABLE]
    for path in (path for folder in callers for path in folder.rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            called = getattr(call.func, "id", getattr(call.func, "attr", ""))
            assert not renamed.get(called, set()) & {keyword.arg for keyword in call.keywords}, (path, call.lineno)
    assert len(renamed) > 100


def test_copies_for_freezing_have_short_names(lib, tmp_path):
    (lib / "short_names.json").write_text(json.dumps(shorten.table(lib)))
    fold.copy(lib, ["dice/handshake.py", "dice/client.py"], tmp_path / "to")
    for name in ("handshake", "client"):
        text = (tmp_path / "to" / "dice" / f"{name}.py").read_text()
        names = {token.string for token in tokenize.generate_tokens(io.StringIO(text).readline)}
        assert not names & {"_flight", "_send", "_shared"}
        assert shorten.table(lib)["_send"] in names


def test_the_library_contains_no_private_name_of_the_table_when_compiled():
    names = fold.short_names(resources.LIB)
    for path in sorted((resources.LIB / "dice" / "dtls").glob("*.py")):
        data = mpy.compile_here(path, path.name, "armv6m")
        assert not [name for name in names if b"\0%s\0" % name.encode() in data], path
        text = fold.rename(fold.fold(path.read_text(), path, resources.LIB), names)
        assert len(text.splitlines()) == len(path.read_text().splitlines()) and ast.parse(text)


def test_our_own_scripts_reach_private_names_and_a_users_program_does_not_change(script):
    name, short = ours()
    path = script(f"x = object()\nx.{name} = 1\n")
    version = mpy.cross_version()
    flavour = mpy.Flavour(version[0] | version[1] << 8)
    assert short.encode() in mpy.compile_here(path, "script.py", None)
    data = mpy.compile_file(path, "script.py", flavour, version)
    assert name.encode() in data and short.encode() not in data


@pytest.mark.parametrize(
    "text", ["x = '{0}'", "setattr(x, '{0}', 1)", "f({0}=1)", "f'{{x.{0}}}'", "import sys\nsys.{0}", "x = {1}"]
)
def test_a_script_with_a_name_that_cannot_be_renamed_is_refused(script, text):
    name, short = ours()
    with pytest.raises(CommandError, match=r"script\.py:\d: \w+ is (renamed|a short name)"):
        mpy.compile_here(script(text.format(name, short) + "\n"), "script.py", None)
