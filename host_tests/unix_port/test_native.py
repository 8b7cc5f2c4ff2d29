# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The native module `_dice` for x64 in MicroPython's unix port: vectors, refusals, and the portable tests of AES-CCM with it."""

import re
import subprocess

import pytest

from dicectl import resources
from dicectl.errors import CommandError
from dicectl.firmware import native, unix_port
from host_tests import vectors, vectors_p256

PORTABLE = resources.ROOT / "host_tests" / "portable"
CASES = resources.ROOT / "host_tests" / "emulated"


@pytest.fixture(scope="module", params=native.VARIANTS)
def module(request):
    """Return the path of _dice.mpy."""
    try:
        return native.build("x64", request.param)
    except CommandError as failure:
        pytest.skip(failure.format_message())


def run(module, name, folder, tmp_path):
    """Run a test module in the unix port with _dice.mpy and the vectors in a folder; return its output."""
    environment = unix_port.environment(":".join(map(str, (module.parent, CASES, PORTABLE, resources.LIB))))
    environment.update(DICE_VECTORS=str(folder), DICE_SCRATCH=str(tmp_path))
    argv = [unix_port.find(), str(PORTABLE / "run.py"), name]
    done = subprocess.run(argv, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ("native_cases", "native_edges", "native_member", "test_ccm", "test_vectors_ccm", "test_record"))
def test_it_passes(module, name, tmp_path):
    assert re.search(rf"^{name}: [1-9]\d* tests, 0 failed$", run(module, name, vectors.extract(), tmp_path), re.MULTILINE)


def test_all_vectors_of_p256(module, tmp_path):
    """On other instruction sets emulated/test_native_on_targets.py runs them, on demand."""
    said = run(module, "native_vectors", vectors_p256.whole(), tmp_path)
    assert re.search(r"^native_vectors: 6 tests, 0 failed$", said, re.MULTILINE), said
    assert sum(map(int, re.findall(r": (\d+) cases$", said, re.MULTILINE))) > 1000
