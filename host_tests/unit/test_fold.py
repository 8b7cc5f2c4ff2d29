# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Imports of constants become private constants on the same line. Imports that cannot be folded are refused or kept."""

import ast
import gc
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dicectl import resources
from dicectl.errors import CommandError
from dicectl.firmware import fold, mpy

LIMITS = """\
from ._compat import const

GRACE_MS = const(60_000)  # of grace
KEY_MAX = const(1 << 23)
NO = const(-1)
"""
ERRORS = (
    "from ._compat import const\n\nDATA = const(1)\n_SECRET = const(2)\nTABLE = {}\n\n\nclass DiceError(Exception):\n    pass\n"
)


@pytest.fixture
def lib(tmp_path):
    """Return a library with a module of constants and a module that also has other definitions."""
    package = tmp_path / "lib" / "dice"
    (package / "group").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "limits.py").write_text(LIMITS)
    (package / "errors.py").write_text(ERRORS)
    (package / "group" / "__init__.py").write_text("from ..limits import GRACE_MS\n\nK08 = 1\n")
    return package.parent


def folded(lib, text, name="dice/module.py"):
    """Return a module folded. Assert that its line numbers are kept and that it is valid Python."""
    result = fold.fold(text, lib / name, lib)
    assert len(result.splitlines()) == len(text.splitlines())
    ast.parse(result)
    return result


def test_an_imported_constant_becomes_a_private_constant(lib):
    assert folded(lib, "from .limits import GRACE_MS\nwait(GRACE_MS)\n") == "_GRACE_MS = const(60_000)\nwait(_GRACE_MS)\n"
    assert folded(lib, "from .limits import KEY_MAX, NO\nx = -NO\n") == "_KEY_MAX = const(1 << 23); _NO = const(-1)\nx = -_NO\n"


def test_relative_and_absolute_imports_are_folded(lib):
    for text, name in (
        ("from ..limits import GRACE_MS\n", "dice/group/member.py"),
        ("from ..limits import GRACE_MS\n", "dice/group/__init__.py"),
        ("from .limits import GRACE_MS\n", "dice/__init__.py"),
        ("from dice.limits import GRACE_MS\n", "main.py"),
    ):
        assert folded(lib, text, name) == "_GRACE_MS = const(60_000)\n"


def test_a_program_outside_of_the_library_is_folded(lib, tmp_path):
    assert fold.fold("from dice.errors import DATA\n", tmp_path / "main.py", lib) == "_DATA = const(1)\n"
    assert fold.fold("from dice.errors import DATA\n", tmp_path / "main.py") == "from dice.errors import DATA\n"
    assert (
        fold.fold("from .limits import X\nfrom limits import Y\n", tmp_path / "a.py", lib)
        == "from .limits import X\nfrom limits import Y\n"
    )


def test_names_that_are_no_public_constants_stay_imported(lib):
    text = "from .errors import DATA, TABLE, DiceError as E\nx = {DATA: TABLE}\n"
    assert folded(lib, text) == "from .errors import TABLE, DiceError as E; _DATA = const(1)\nx = {_DATA: TABLE}\n"
    text = "from . import errors\nfrom .errors import _SECRET\nfrom .group import GRACE_MS, K08\n"
    assert folded(lib, text) == text


def test_line_numbers_are_kept(lib):
    text = "from .errors import (\n    DATA,  # why\n    DiceError,\n)  # and\n\nprint(DATA)\n"
    assert folded(lib, text) == "from .errors import DiceError; _DATA = const(1)  # and\n\n\n\n\nprint(_DATA)\n"


def test_other_uses_of_the_name_are_kept(lib):
    lines = (
        ("from .errors import DATA as D", "_D = const(1)"),
        ("def f(x=D, *, e='D é', **o):", "def f(x=_D, *, e='D é', **o):"),
        ("    é = 'é'; f(D=D, e=é.D)", "    é = 'é'; f(D=_D, e=é.D)"),
        ("    o['D'] = {D: (D)}; o.D = D  # D", "    o['D'] = {_D: (_D)}; o.D = _D  # D"),
    )
    assert folded(lib, "\n".join(before for before, _ in lines)) == "\n".join(after for _, after in lines)


def test_a_private_alias_keeps_its_name(lib):
    assert folded(lib, "from .errors import DATA as _D\nx = _D\n") == "_D = const(1)\nx = _D\n"


def test_a_constant_imported_in_several_functions_is_defined_once(lib):
    """The compiler accepts each constant only once."""
    text = "def f():\n    from .limits import NO\n    return NO\n\n\ndef g():\n    from .limits import NO\n    return NO\n"
    result = folded(lib, text)
    assert result == "def f():\n    _NO = const(-1)\n    return _NO\n\n\ndef g():\n    pass\n    return _NO\n"


def test_const_is_not_imported_if_the_compiler_does_not_need_it(lib):
    assert folded(lib, "from ._compat import const, ticks\n\nX = const(1)\n_Y = const(X + 1)\n").startswith(
        "from ._compat import ticks\n"
    )
    assert folded(lib, "from micropython import const\n\nX = const(1)\n") == "\n\nX = const(1)\n"
    for text in ("X = const(f())", "f(const)", "def f():\n    return const(1)", "X = const('text')"):
        text = f"from ._compat import const\n\n{text}\n"
        assert folded(lib, text) == text


BOUND = (
    "def f({0}):\n    pass",
    "{0} = 2",
    "for {0} in x:\n    pass",
    "[{0} for {0} in x]",
    "def {0}():\n    pass",
    "class {0}:\n    pass",
    "import {0}",
    "from x import {0}",
    "try:\n    pass\nexcept E as {0}:\n    pass",
    "def f():\n    global {0}",
    "({0} := 2)",
    "match x:\n    case {0}:\n        pass",
    "_{0} = 2",
    "x = _{0}",
    "x = f'{{{0}}}'",
)


@pytest.mark.parametrize("text", BOUND)
def test_a_name_with_a_second_meaning_is_refused_or_kept(lib, text):
    """Refused if its home is not shipped, else it stays imported."""
    bad = f"x = 0\nfrom .limits import GRACE_MS\n{text.format('GRACE_MS')}\n"
    with pytest.raises(fold.FoldError, match=r"module\.py:2: GRACE_MS of limits\.py cannot be folded: .*GRACE_MS"):
        folded(lib, bad)
    left = f"from .errors import DATA\n{text.format('DATA')}\n"
    assert folded(lib, left) == left


def test_a_name_imported_from_two_homes_is_refused(lib):
    (lib / "dice" / "codes.py").write_text("from ._compat import const\n\nGRACE_MS = const(1)\n")
    with pytest.raises(fold.FoldError, match="imported from elsewhere in line 2"):
        folded(lib, "from .limits import GRACE_MS\nfrom .codes import GRACE_MS\n")


@pytest.mark.parametrize("text", ["from . import limits", "from dice import limits", "import dice.limits", "from .limits import *"])
def test_importing_a_module_of_constants_is_refused(lib, text):
    with pytest.raises(fold.FoldError, match=r"module\.py:1: import constants by name: no board has limits\.py"):
        folded(lib, text + "\n")


def test_the_constants_of_a_home_are_found_and_private_ones_refused(lib):
    assert fold.constants(lib / "dice" / "errors.py") == {"DATA": "1"}
    assert fold.constants(lib / "dice" / "limits.py") == {"GRACE_MS": "60_000", "KEY_MAX": "1 << 23", "NO": "-1"}
    assert fold.only_constants(lib / "dice" / "limits.py")
    for name in ("errors.py", "__init__.py"):
        assert not fold.only_constants(lib / "dice" / name)
    (lib / "dice" / "limits.py").write_text(LIMITS + "_PRIVATE = const(1)\n")
    os.utime(lib / "dice" / "limits.py", ns=(1, 1))
    assert not fold.only_constants(lib / "dice" / "limits.py")


def test_a_folded_copy_is_as_new_as_its_newest_source(lib, tmp_path):
    (lib / "dice" / "module.py").write_text("from .limits import GRACE_MS\n")
    (lib / "dice" / "plain.py").write_text("x = 1\n")
    later = time.time_ns() + 10**12  # newer than any source
    os.utime(lib / "dice" / "limits.py", ns=(later, later))
    fold.copy(lib, ["dice/module.py", "dice/plain.py"], tmp_path / "to")
    assert (tmp_path / "to" / "dice" / "module.py").read_text() == "_GRACE_MS = const(60_000)\n"
    assert os.stat(tmp_path / "to" / "dice" / "module.py").st_mtime_ns == later
    assert os.stat(tmp_path / "to" / "dice" / "plain.py").st_mtime_ns < later


def test_compiling_reports_an_import_that_cannot_be_folded(tmp_path):
    source = tmp_path / "main.py"
    source.write_text("from dice.limits import GRACE_MS\nGRACE_MS += 1\n")
    with pytest.raises(CommandError, match=r"main\.py:1: GRACE_MS of limits\.py cannot be folded"):
        mpy.compile_here(source, "main.py", None)


def test_a_folded_constant_takes_no_space(tmp_path):
    """The compiled module contains neither its name nor an import."""
    source, plain = tmp_path / "main.py", tmp_path / "plain.py"
    source.write_text("from dice.limits import GRACE_MS\nx = GRACE_MS\n")
    plain.write_text("x = 60_000\n")
    assert mpy.compile_here(source, "main.py", None) == mpy.compile_here(plain, "main.py", None)


def test_threads_fold_at_the_same_time():
    """As compile_to() does; if Python code runs while CPython 3.11 parses, another thread may run and parse too."""

    class Cycle:
        def __init__(self):
            self.itself = self

        def __del__(self):
            sum(range(20))

    def collect(_phase, _info):
        Cycle()

    files = sorted((resources.LIB / "dice").rglob("*.py"))
    before, switch_s = gc.get_threshold(), sys.getswitchinterval()
    gc.callbacks.append(collect)
    try:
        gc.set_threshold(50)
        sys.setswitchinterval(1e-6)
        with ThreadPoolExecutor(4) as pool:
            for _ in range(3):
                mpy._converted.cache_clear()
                assert all(pool.map(mpy.folded, files))
    finally:
        gc.callbacks.remove(collect)
        gc.set_threshold(*before)
        sys.setswitchinterval(switch_s)


def test_a_finalizer_that_parses_does_not_disturb_folding():
    """As the traceback of an error in a finalizer does, to underline its place."""
    busy = []

    def collect(_phase, _info):
        if not busy:
            busy.append(True)
            ast.parse("f(1)")
            busy.clear()

    before = gc.get_threshold()
    gc.callbacks.append(collect)
    try:
        gc.set_threshold(50)
        mpy._converted.cache_clear()
        assert all(map(mpy.folded, sorted((resources.LIB / "dice" / "dtls").glob("*.py"))))
    finally:
        gc.callbacks.remove(collect)
        gc.set_threshold(*before)
    assert gc.isenabled()
