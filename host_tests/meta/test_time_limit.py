# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""No test hangs: at its time limit it fails, its child processes are killed, and the next test runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HANGING = """
import asyncio, subprocess, time
import pytest
from host_tests import time_limit

time_limit.AGAIN_S = 1
pytestmark = pytest.mark.timeout(0.5)

@pytest.mark.timeout(3)
def test_waits_for_a_child():
    program = "sleep 3600 & echo $! $$ > ids; wait"
    with subprocess.Popen(["sh", "-c", program], start_new_session=True):
        pass

def test_waits_in_asyncio():
    def spin():
        asyncio.get_running_loop().call_soon(spin)
    async def main():
        spin()
        await asyncio.sleep(3600)
    asyncio.run(main())

def test_swallows_its_failure():
    try:
        time.sleep(3600)
    except BaseException:
        time.sleep(3600)

@pytest.fixture
def fixture():
    yield
    time.sleep(3600)

def test_fails_and_its_fixture_hangs(fixture):
    assert False

@pytest.mark.timeout(3600)
def test_next():
    pass
"""


def running(number):
    """Return whether a process runs. A zombie does not."""
    try:
        return Path("/proc", number, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.long
@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_a_test_that_hangs_fails_and_leaves_no_process(tmp_path, options):
    (tmp_path / "test_it.py").write_text(HANGING)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    plugins = ["-p", "host_tests.conftest", "-p", "no:cacheprovider"]
    argv = [sys.executable, "-m", "pytest", *plugins, "--rootdir", str(tmp_path), str(tmp_path), *options]
    done = subprocess.run(argv, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "= 4 failed, 1 passed, 1 error in" in done.stdout, done.stdout
    assert done.stdout.count("Failed: Timeout (>0.5s)") >= 3 and "Failed: Timeout (>3.0s)" in done.stdout
    ids = (tmp_path / "ids").read_text().split()
    assert len(ids) == 2 and not any(map(running, ids))
