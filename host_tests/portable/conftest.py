# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Gives the portable tests under pytest what host_tests/unix_port gives them under MicroPython."""

import pytest

from host_tests import vectors


@pytest.fixture(scope="session", autouse=True)
def _portable_environment(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("DICE_VECTORS", str(vectors.extract()))
    patch.setenv("DICE_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
    yield
    patch.undo()
