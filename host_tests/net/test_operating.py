# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""docs/operating.md is correct: the commands of its blocks `console try` run one after another, and each ends with status 0.

host_tests/meta/test_readme.py checks the other commands of the page against the options that exist.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operating.md"
_BLOCK = re.compile(r"^```console try\n(.*?)^```", re.MULTILINE | re.DOTALL)
CURL = """#!{python}
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[-1]).read().decode(), end="")
"""


def commands(text):
    """Return the commands of the page that are run."""
    return [line[2:] for block in _BLOCK.findall(text) for line in block.splitlines() if line.startswith("$ ")]


def _run(lines, home):
    """Run commands in a folder; return [(command, exit status, output)] up to the first that fails."""
    (home / "bin").mkdir()
    (home / "bin" / "curl").write_text(CURL.format(python=sys.executable))  # not every computer has one
    (home / "bin" / "curl").chmod(0o755)
    path = f"{home / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DICE_MANAGER": "house.db"}
    done = []
    try:
        for line in lines:
            options = {"cwd": home, "env": environment, "capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
            process = subprocess.run(["bash", "-c", line], **options)
            done.append((line, process.returncode, process.stdout + process.stderr))
            if process.returncode:
                break
    finally:
        for registry in home.glob("*.db"):
            argv = ["bash", "-c", f"dicectl manager stop {registry}"]
            subprocess.run(argv, cwd=home, env=environment, capture_output=True, stdin=subprocess.DEVNULL)
    return done


def test_the_page_works_as_written(in_network, tmp_path):
    lines = commands(PAGE.read_text())
    done = in_network(_run, lines, tmp_path)
    for line, status, output in done:
        assert status == 0, f"{line}: {output}"
    assert [line for line, _, _ in done] == lines and len(lines) > 20
    printed = {line: output for line, _, output in done}
    assert printed["curl --fail --silent http://127.0.0.1:9690/healthz"] == "ok\n"
    assert (tmp_path / "dice.yml").read_text().count("alert:") > 10
    assert "would be expelled: lamp-1, lamp-2, lamp-3" in printed["dicectl group remove lamps 'lamp-*' --dry-run"]
    assert (tmp_path / "lamps" / "lamp-1" / "node.json").exists() and "lamp-1" in (tmp_path / "lamps.csv").read_text()


def test_a_command_that_fails_is_found(in_network, tmp_path):
    assert commands("```console try\n$ a\nb\n$ c\n```\n```sh\n$ d\n```\n") == ["a", "c"]
    assert [status for _, status, _ in in_network(_run, ["true", "false", "true"], tmp_path)] == [0, 1]
