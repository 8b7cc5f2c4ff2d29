# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Runs each file of host_tests/portable under the `micropython` command, with a heap like that of a board.

Each runs twice: from source, and compiled as for a board, with constants folded.
"""

import subprocess
from pathlib import Path

import pytest

from dicectl import resources
from dicectl.firmware import mpy, unix_port
from host_tests import vectors

FOLDER = Path(__file__).resolve().parents[1] / "portable"
HEAP = "256k"  # pointers have 8 bytes on the unix port; a board needs about half
WHOLE = "512k"  # for test_names, which loads all of dice
FILES = sorted(path.stem for path in FOLDER.glob("test_*.py"))


@pytest.fixture(scope="session")
def vector_folder():
    return vectors.extract()


@pytest.fixture(scope="session")
def compiled_folder(tmp_path_factory):
    """Return a folder of .mpy files as on a board; the tests keep their assert statements."""
    folder = tmp_path_factory.mktemp("compiled")
    unix_port.compile_to(folder)
    for source in FOLDER.glob("*.py"):
        if source.name != "conftest.py":
            (folder / f"{source.stem}.mpy").write_bytes(mpy.compile_here(source, source.name, None, level=0))
    return folder


@pytest.mark.parametrize("name", FILES)
def test_portable_tests_pass_from_source(name, vector_folder, tmp_path):
    assert_passes(
        ["-X", f"heapsize={WHOLE if name == 'test_names' else HEAP}", str(FOLDER / "run.py"), name],
        f"{resources.LIB}:{resources.ON_DEVICE}",
        vector_folder,
        tmp_path,
    )


@pytest.mark.xdist_group("compiled")
@pytest.mark.parametrize("name", FILES)
def test_portable_tests_pass_compiled(name, compiled_folder, vector_folder, tmp_path):
    assert_passes(["-X", f"heapsize={HEAP}", "-m", "run", name], compiled_folder, vector_folder, tmp_path)


@pytest.mark.xdist_group("compiled")
def test_the_compiled_library_contains_no_modules_of_constants(compiled_folder):
    assert (compiled_folder / "dice" / "record.mpy").exists()
    assert not [name for name in ("codes", "limits", "reasons") if (compiled_folder / "dice" / f"{name}.mpy").exists()]


def assert_passes(arguments, path, vector_folder, tmp_path):
    environment = unix_port.environment(path)
    environment.update(DICE_VECTORS=str(vector_folder), DICE_SCRATCH=str(tmp_path))
    arguments = [unix_port.find(), *arguments]
    done = subprocess.run(arguments, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_runner_fails_if_a_test_fails_or_is_missing(tmp_path):
    (tmp_path / "test_broken.py").write_text("def test_right():\n    pass\n\n\ndef test_wrong():\n    assert 1 == 2\n")
    (tmp_path / "test_empty.py").write_text("")
    for name in ("test_broken", "test_empty", "test_absent"):
        arguments = [unix_port.find(), str(FOLDER / "run.py"), name]
        done = subprocess.run(arguments, env=unix_port.environment(tmp_path), cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1, name
