# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`make check` omits the tests that its markers name, `make test` omits those on demand, and the gate runs `make test`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import pytest
def test_quick(): pass
@pytest.mark.long
def test_long(): pass
@pytest.mark.on_demand
def test_on_demand(): pass
"""


def recipe(target):
    """Return the commands of a target of the Makefile."""
    return re.search(rf"^{target}:.*\n((?:\t.*\n|\w.*\n)*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]


def markers():
    """Return {name: text} of the markers in pyproject.toml."""
    listed = (ROOT / "pyproject.toml").read_text().split("\nmarkers = [\n")[1].split("\n]\n")[0]
    return dict(line.strip(' ",').split(": ", 1) for line in listed.splitlines())


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
    assert gate.endswith("\ntshark --version >/dev/null\n\nmake lint\nDICE_NO_SKIP=1 make test\n")


@pytest.mark.parametrize(
    "options, wanted",
    [([], ["quick", "long"]), (["-m", "not long"], ["quick"]), (["-m", "on_demand"], ["on_demand"])],
    ids=["all", "not long", "on_demand"],
)
def test_tests_on_demand_run_only_if_named(tmp_path, options, wanted):
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    long: x\n    on_demand: x\n")
    argv = [sys.executable, "-m", "pytest", "-p", "host_tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    argv += ["-v", *options, str(tmp_path)]
    done = subprocess.run(argv, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert re.findall(r"test_it\.py::test_(\w+) PASSED", done.stdout) == wanted, done.stdout + done.stderr
