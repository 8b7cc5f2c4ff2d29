# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Runs each file of host_tests/portable under the `micropython` command, with a heap like a board's: from the sources as they are,
and compiled as for a board, with constants folded."""

import subprocess
from pathlib import Path

import pytest

from dicectl import resources
from dicectl.firmware import mpy
from dicectl.firmware import unix_port as micropython
from host_tests import vectors

FOLDER = Path(__file__).resolve().parents[1] / "portable"
HEAP = "256k"  # pointers have 8 bytes on the unix port: a board needs about half
FILES = sorted(path.stem for path in FOLDER.glob("test_*.py"))


@pytest.fixture(scope="session")
def vector_folder():
    return vectors.extract()


@pytest.fixture(scope="session")
def compiled_folder(tmp_path_factory):
    """A folder of .mpy files, as on a board; the asserts of the tests stay in."""
    folder = tmp_path_factory.mktemp("compiled")
    micropython.compile_to(folder)
    for source in FOLDER.glob("*.py"):
        if source.name != "conftest.py":
            (folder / f"{source.stem}.mpy").write_bytes(mpy.compile_here(source, source.name, None, level=0))
    return folder


@pytest.mark.parametrize("name", FILES)
def test_portable_from_source(name, vector_folder, tmp_path):
    passes(
        ["-X", f"heapsize={HEAP}", str(FOLDER / "run.py"), name],
        f"{resources.LIB}:{resources.ON_DEVICE}",
        vector_folder,
        tmp_path,
    )


@pytest.mark.parametrize("name", FILES)
def test_portable_compiled(name, compiled_folder, vector_folder, tmp_path):
    passes(["-X", f"heapsize={HEAP}", "-m", "run", name], compiled_folder, vector_folder, tmp_path)


def test_what_is_compiled_has_no_modules_of_constants(compiled_folder):
    assert (compiled_folder / "dice" / "record.mpy").exists()
    assert not [name for name in ("codes", "limits", "reasons") if (compiled_folder / "dice" / f"{name}.mpy").exists()]


def passes(arguments, path, vector_folder, tmp_path):
    environment = micropython.environment(path)
    environment.update(DICE_VECTORS=str(vector_folder), DICE_SCRATCH=str(tmp_path))
    arguments = [micropython.find(), *arguments]
    done = subprocess.run(arguments, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_runner_fails_with_its_tests(tmp_path):
    (tmp_path / "test_broken.py").write_text("def test_right():\n    pass\n\n\ndef test_wrong():\n    assert 1 == 2\n")
    (tmp_path / "test_empty.py").write_text("")
    for name in ("test_broken", "test_empty", "test_absent"):
        arguments = [micropython.find(), str(FOLDER / "run.py"), name]
        done = subprocess.run(
            arguments, env=micropython.environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1, name
