# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Runs each file of host_tests/portable under the `micropython` command, with a heap like a board's."""

import subprocess
from pathlib import Path

import pytest

from dicectl import micropython
from host_tests import vectors

FOLDER = Path(__file__).resolve().parents[1] / "portable"
HEAP = "256k"  # pointers have 8 bytes on the unix port: a board needs about half
FILES = sorted(path.stem for path in FOLDER.glob("test_*.py"))


@pytest.fixture(scope="session")
def vector_folder():
    return vectors.extract()


@pytest.mark.parametrize("name", FILES)
def test_portable(name, vector_folder, tmp_path):
    environment = micropython.environment(f"{micropython.LIB}:{micropython.NODE}")
    environment.update(DICE_VECTORS=str(vector_folder), DICE_SCRATCH=str(tmp_path))
    arguments = [micropython.find(), "-X", f"heapsize={HEAP}", str(FOLDER / "run.py"), name]
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
