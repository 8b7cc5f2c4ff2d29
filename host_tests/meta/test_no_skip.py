# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The gate cannot pass with tests left out: DICE_NO_SKIP turns every kind of skip into a failure that gives the reason."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPS = {
    "in a test": "import pytest\ndef test_it():\n    pytest.skip('no teapot')\n",
    "in a fixture": "import pytest\n@pytest.fixture\ndef it():\n    pytest.skip('no teapot')\ndef test_it(it): pass\n",
    "marked": "import pytest\n@pytest.mark.skip(reason='no teapot')\ndef test_it(): pass\n",
    "marked if": "import pytest\n@pytest.mark.skipif(True, reason='no teapot')\ndef test_it(): pass\n",
    "a module": "import pytest\npytest.skip('no teapot', allow_module_level=True)\n",
    "an import": "import pytest\npytest.importorskip('teapot', reason='no teapot')\n",
}


def outcome(folder, texts, no_skip):
    """Run pytest on files with these texts; return the finished process."""
    for number, text in enumerate(texts):
        (folder / f"test_{number}.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = {key: value for key, value in os.environ.items() if key != "DICE_NO_SKIP"}
    environment |= {"PYTHONPATH": str(ROOT), **({"DICE_NO_SKIP": "1"} if no_skip else {})}
    options = ["-p", "host_tests.conftest", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--rootdir", str(folder)]
    argv = [sys.executable, "-m", "pytest", *options, str(folder)]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_skip_of_every_kind_is_a_failure(tmp_path):
    done = outcome(tmp_path, SKIPS.values(), True)
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert "1 failed, 5 errors" in last and "skipped" not in last, done.stdout
    assert len(re.findall(r"DICE_NO_SKIP is set.*no teapot", done.stdout)) >= len(SKIPS)


def test_a_skip_without_the_variable_is_a_skip(tmp_path):
    done = outcome(tmp_path, SKIPS.values(), False)
    assert (done.returncode, "= 6 skipped in" in done.stdout) == (0, True), done.stdout + done.stderr


def test_other_outcomes_are_unchanged(tmp_path):
    text = "import pytest\ndef test_it(): pass\n@pytest.mark.xfail\ndef test_wrong(): assert False\n"
    done = outcome(tmp_path, [text], True)
    assert "1 passed, 1 xfailed" in done.stdout, done.stdout + done.stderr
