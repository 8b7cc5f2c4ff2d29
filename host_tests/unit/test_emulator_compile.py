# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The emulator is compiled for this Python into the cache, once. If that is not possible, the installed one is used."""

import shutil
import subprocess
import sys
import sysconfig

import pytest

from dicectl.emulator import compile
from dicectl.emulator.compiled import use

_SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
_SOURCE = """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "NAME", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_NAME(void) { return PyModule_Create(&module); }
"""


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Replace the emulator's C sources by two others, with an empty cache."""
    if not shutil.which("gcc"):
        pytest.skip("no gcc: apt-get install gcc")
    monkeypatch.setenv("DICE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compile, "_TRY", "")
    monkeypatch.setattr(compile, "_LOOP", tmp_path / "_simulator.pyx")
    (tmp_path / "_simulator.pyx").write_text("no Cython")  # which takes seconds to compile
    paths = [tmp_path / f"{name}.c" for name in ("_one", "_two")]
    for path in paths:
        path.write_text(_SOURCE.replace("NAME", path.stem))
    monkeypatch.setattr(compile, "sources", lambda: paths)
    return paths


def compiled():
    folder = compile.modules()
    return sorted(path.name for path in folder.iterdir()) if folder else None


def run():
    """Return (whether the emulator is compiled, the reports)."""
    reported = []
    return compile.ensure(reported.append), reported


def test_all_sources_are_compiled_once(sources):
    """They are compiled again only if a source changes."""
    compile._LOOP.write_text("def execute_batch(simulator, tick_batch):\n    pass\n")
    assert compiled() is None
    assert run() == (True, ["compiling the emulator for this Python"])
    assert compiled() == [f"_one{_SUFFIX}", f"_simulator{_SUFFIX}", f"_two{_SUFFIX}"]
    assert run() == (True, [])
    sources[0].write_text(sources[0].read_text() + "\n")
    assert compiled() is None
    assert run()[1]
    compile._LOOP.write_text("other Cython")
    assert compiled() is None


def test_without_cython_the_emulators_own_loop_is_used(sources):
    assert run() == (True, ["compiling the emulator for this Python"])
    assert compiled() == [f"_one{_SUFFIX}", f"_two{_SUFFIX}"]


def test_compiled_modules_take_precedence_over_installed_ones(sources, tmp_path):
    """Only in rp2040py.native."""
    run()
    program = (
        "import sys; from dicectl.emulator import compiled; compiled.use(sys.argv[1])\n"
        "import rp2040py.native._one as one; print(one.__file__)\n"
        "import rp2040py.native._bit as bit; print(bit.__file__)\n"
        "try:\n    import _two\nexcept ImportError:\n    print('no _two')"
    )
    done = subprocess.run([sys.executable, "-c", program, compile.modules()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours, installed, absent = done.stdout.splitlines()
    assert ours == str(compile.modules() / f"_one{_SUFFIX}")
    assert "site-packages" in installed
    assert absent == "no _two"


def test_one_source_that_does_not_compile_disables_all_compiled_modules(sources):
    """Compiled and installed modules do not work together."""
    sources[1].write_text("no C")
    assert not run()[0]
    assert compiled() is None


def test_modules_that_python_cannot_load_are_not_used(sources, monkeypatch):
    """They are not compiled again either."""
    monkeypatch.setattr(compile, "_TRY", "import no_such_module")
    assert not run()[0]
    assert compiled() == []
    assert run() == (False, [])


def test_a_wheel_for_one_python_version_is_not_compiled(sources, monkeypatch):
    monkeypatch.setattr(compile, "sources", list)
    assert run() == (True, [])
    assert compile.modules() is None
    use(compile.modules())


def test_the_emulator_works_without_a_compiler_or_a_cache(sources, monkeypatch, capsys, tmp_path):
    """`make` names the missing packages."""
    monkeypatch.setenv("PATH", str(tmp_path))
    compile.main()
    assert "apt-get install gcc python3-dev" in capsys.readouterr().out
    assert compiled() is None
    (tmp_path / "file").touch()
    monkeypatch.setenv("DICE_CACHE", str(tmp_path / "file"))
    assert not run()[0]
