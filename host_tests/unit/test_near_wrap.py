# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The portable tests pass also where the ticks of a board wrap, 2**30 ms, and where half of that is over (see near_wrap.py)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from host_tests.near_wrap import PERIOD

FOLDER = Path(__file__).resolve().parents[1] / "portable"
WRAPS = {"the wrap after 1 ms": PERIOD - 1, "the wrap after 2.5 s": PERIOD - 2500, "half of the period": PERIOD // 2 - 1}
REAL_TIME = ("test_aio_", "test_slip_ip", "test_espnow")  # their ticks are those of the event loop


def portable(offset, files, **more):
    """Run some portable tests in a process of their own; return the CompletedProcess."""
    environment = {**os.environ, "DICE_TICKS_NEAR_WRAP": str(offset), **more}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", "-x", *map(str, files)]
    return subprocess.run(argv, env=environment, capture_output=True, text=True)


def files(real_time):
    return [path for path in sorted(FOLDER.glob("test_*.py")) if path.name.startswith(REAL_TIME) == real_time]


@pytest.mark.long
@pytest.mark.parametrize("name", WRAPS)
def test_portable_tests_pass(name):
    done = portable(WRAPS[name], files(real_time=False))
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.long
def test_portable_tests_of_endpoints_pass():
    done = portable(WRAPS["the wrap after 2.5 s"], files(real_time=True))
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.parametrize("name", ["test_coap_exchange.py"])
def test_code_that_forgets_that_ticks_wrap_is_found(name):
    """With a plain subtraction in place of ticks_diff, the same tests fail: so the wrap does fall inside them."""
    assert portable(0, [FOLDER / name], DICE_TICKS_PLAIN="1").returncode == 0
    assert portable(PERIOD - 1, [FOLDER / name], DICE_TICKS_PLAIN="1").returncode == 1
