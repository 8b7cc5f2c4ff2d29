# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Prepares for the portable tests under pytest what host_tests/unix_port prepares under MicroPython."""

import sys

import pytest

from dicectl import resources
from host_tests import vectors

sys.path.append(str(resources.ON_DEVICE))  # lossy_network, which `dicectl bench` uses too


@pytest.fixture(scope="session", autouse=True)
def _portable_environment(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("DICE_VECTORS", str(vectors.extract()))
    patch.setenv("DICE_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
    yield
    patch.undo()
