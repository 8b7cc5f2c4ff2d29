# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Prepares for the portable tests under pytest what host_tests/unix_port prepares under MicroPython."""

import os
import sys

import pytest

from dicectl import resources
from host_tests import near_wrap, vectors

if os.environ.get("DICE_TICKS_NEAR_WRAP"):
    near_wrap.install(int(os.environ["DICE_TICKS_NEAR_WRAP"]), bool(os.environ.get("DICE_TICKS_PLAIN")))
sys.path.append(str(resources.ON_DEVICE))  # lossy_network, which `dicectl bench` uses too


@pytest.fixture(scope="session", autouse=True)
def _portable_environment(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("DICE_VECTORS", str(vectors.extract()))
    patch.setenv("DICE_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
    yield
    patch.undo()
