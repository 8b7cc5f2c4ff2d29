# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The emulator is compiled for this Python, or left as it came."""

import shutil
import sysconfig

import pytest

from dicectl.emulator import compile as emulator_speed

_SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


@pytest.fixture
def folder(tmp_path):
    """A folder with two C sources, as the wheel has them beside what it comes with."""
    if not shutil.which("gcc"):
        pytest.skip("no gcc: apt-get install gcc")
    for name in ("_one", "_two"):
        (tmp_path / f"{name}.c").write_text(f"int {name};")
        (tmp_path / f"{name}.abi3.so").touch()
    return tmp_path


def _compiled(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".c" and ".abi3" not in path.name)


def test_all_is_compiled(folder):
    """Under the names that Python prefers to those of the stable ABI."""
    assert emulator_speed.compile_all(folder)
    assert _compiled(folder) == [f"_one{_SUFFIX}", f"_two{_SUFFIX}"]


def test_all_or_nothing(folder):
    """Modules of both kinds do not go together: one source that does not compile leaves everything as it came."""
    (folder / "_two.c").write_text("no C")
    assert not emulator_speed.compile_all(folder)
    assert _compiled(folder) == []


def test_what_python_cannot_load_is_thrown_away(folder, monkeypatch):
    """So that the emulator works in any case."""
    monkeypatch.setattr(emulator_speed, "_TRY", "import no_such_module")
    assert not emulator_speed.compile_all(folder)
    assert _compiled(folder) == []


def test_it_is_done_once(folder, monkeypatch, capsys):
    """And again only for other sources; a wheel that was made for one version needs nothing."""
    monkeypatch.setattr(emulator_speed, "_folder", lambda: folder)
    emulator_speed.main()
    assert "Compiling the emulator" in capsys.readouterr().out
    emulator_speed.main()
    assert capsys.readouterr().out == ""
    (folder / f"_one{_SUFFIX}").unlink()
    emulator_speed.main()
    assert "Compiling the emulator" in capsys.readouterr().out
    monkeypatch.setattr(emulator_speed, "_folder", lambda: None)
    emulator_speed.main()
    assert capsys.readouterr().out == ""


def test_without_a_compiler_it_says_what_is_missing(folder, monkeypatch, capsys):
    """One line, and what to do."""
    monkeypatch.setattr(emulator_speed, "compile_all", lambda folder: False)
    monkeypatch.setattr(emulator_speed, "_folder", lambda: folder)
    emulator_speed.main()
    assert "apt-get install gcc python3-dev" in capsys.readouterr().out
