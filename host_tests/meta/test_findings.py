# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""host_tests/README.md names a test for each finding, and each of these tests exists."""

import ast
import re
from pathlib import Path

from host_tests.each import each

HERE = Path(__file__).resolve().parents[1]
PAGE = (HERE / "README.md").read_text()
ROW = re.compile(r"^\| ([DWF]?\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")
ROWS = ROW.findall(PAGE)
TESTS = sorted({test for _, _, cell in ROWS for test in TEST.findall(cell)})

NUMBERS = {
    *(f"D{number}" for number in range(1, 18)),
    *(f"W{number}" for number in range(1, 15)),
    *("05", "06", "07", "09", "11", "13", "14", "26"),
    *("F20", "F21", "F24", "F26", "F27"),
}
NONE = "none: "  # begins the third cell of a finding that no test shows


def names_in(path):
    """Return the names of the tests in a file; one with parameters has one name."""
    functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {function.name for function in functions if function.name.startswith("test_")}


def test_each_finding_has_a_row():
    assert {number for number, _, _ in ROWS} == NUMBERS
    assert len(ROWS) == len(re.findall(r"^\| (?!finding )", PAGE, re.MULTILINE)), "a row is not understood"


def test_each_row_names_tests_and_nothing_else_or_says_why_there_is_none():
    for number, _, cell in ROWS:
        wrong = [part for part in cell.split("<br>") if not TEST.fullmatch(part)]
        assert cell.startswith(NONE) or not wrong, (number, wrong)


@each(TESTS)
def test_each_test_exists(test):
    path, name = test
    assert (HERE / path).is_file(), path
    assert not name or name in names_in(HERE / path), f"{path} has no {name}"


def test_the_password_of_a_wifi_is_not_committed_by_mistake():
    """D15: wifi.json is written in the clone, as the pages say, and `git add .` included it."""
    assert "wifi.json" in (HERE.parent / ".gitignore").read_text().splitlines()
