# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`make check` omits the tests that its markers name, `make test` omits those on demand, and the gate runs `make test`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from host_tests import conftest

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import pytest
def test_quick(): pass
@pytest.mark.long
def test_long(): pass
@pytest.mark.on_demand
def test_on_demand(): pass
"""

SHARED = """
import pathlib, time, pytest
@pytest.fixture(scope="module")
def costly():
    with open("made", "a") as file: file.write("x")
@pytest.mark.parametrize("number", range(6))
def test_that_shares(costly, number): time.sleep(0.05)
@pytest.mark.parametrize("number", range(20))
def test_alone(number): time.sleep(0.05)
"""


def recipe(target):
    """Return the commands of a target of the Makefile."""
    return re.search(rf"^{target}:.*\n((?:\t.*\n|\w.*\n)*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]


def markers():
    """Return {name: text} of the markers in pyproject.toml."""
    listed = (ROOT / "pyproject.toml").read_text().split("\nmarkers = [\n")[1].split("\n]\n")[0]
    return dict(line.strip(' ",').split(": ", 1) for line in listed.splitlines())


def pytest_run(folder, *options):
    """Run pytest with our conftest on the tests in a folder; return the finished process."""
    argv = [sys.executable, "-m", "pytest", "-p", "host_tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    argv += ["-v", *options, str(folder)]
    return subprocess.run(argv, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def test_make_check_omits_the_tests_with_the_markers_that_say_so():
    omitted = set(re.search(r'-m "not \((.*)\)"', recipe("check"))[1].split(" or "))
    assert omitted == set(markers())
    in_make_test = {name for name, text in markers().items() if text.endswith("`make check` leaves it out, `make test` runs it")}
    assert in_make_test == omitted - {"on_demand"}


def test_make_test_omits_nothing_itself():
    arguments = recipe("test").replace("python -m pytest", "")
    assert "$(PYTEST)" in arguments
    assert " -m " not in arguments and "--deselect" not in arguments and "--ignore" not in arguments


def test_the_gate_runs_lint_and_all_tests_without_skips():
    gate = (ROOT / ".ci" / "run").read_text()
    commands = [line for line in gate.splitlines()[-6:] if line and not line.startswith("#")]
    assert commands == ["tshark --version >/dev/null", "make --jobs 2 lint .venv/collected", "DICE_NO_SKIP=1 make test"]


@pytest.mark.parametrize(
    "options, wanted",
    [([], ["quick", "long"]), (["-m", "not long"], ["quick"]), (["-m", "on_demand"], ["on_demand"])],
    ids=["all", "not long", "on_demand"],
)
def test_tests_on_demand_run_only_if_named(tmp_path, options, wanted):
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    long: x\n    on_demand: x\n")
    done = pytest_run(tmp_path, *options)
    assert re.findall(r"test_it\.py::test_(\w+) PASSED", done.stdout) == wanted, done.stdout + done.stderr


def test_what_the_tests_of_a_module_share_is_made_by_one_process_and_other_tests_run_in_all(tmp_path):
    """See _name_group() in host_tests/conftest.py."""
    (tmp_path / "test_it.py").write_text(SHARED)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    dist = re.search(r"^PYTEST = .*--numprocesses \S+ (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    done = pytest_run(tmp_path, "--numprocesses", "2", *dist)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "made").read_text() == "x"
    ran = re.findall(r"^\[(gw\d)\].* PASSED test_it\.py::test_(\w+)\[\d+\](@test_it)?", done.stdout, re.MULTILINE)
    assert len(ran) == 26
    assert len({worker for worker, name, _ in ran if name == "that_shares"}) == 1
    assert {group for _, name, group in ran if name == "that_shares"} == {"@test_it"}
    assert {worker for worker, name, _ in ran if name == "alone"} == {"gw0", "gw1"}


def test_the_files_that_begin_first_exist():
    files = {path.stem for path in (ROOT / "host_tests").rglob("test_*.py")}
    assert set(conftest.FIRST) <= files
