# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The programs that `dicectl node` runs: started again, or ended with all others; and the app.json that it writes."""

import errno
import json
import sys

import pytest

from dicectl.errors import CommandError
from dicectl.firmware import unix_node
from dicectl.firmware.unix_node import Program, configure, run

FOREVER = "import time\nprint('up', flush=True)\ntime.sleep(600)"


def python(name, code, **options):
    return Program(name, [sys.executable, "-c", code], **options)


def until_lines(programs, count):
    """Run programs until they have printed so many lines; return the lines."""
    said = []

    def say(name, line):
        said.append(f"{name} {line}")
        if len(said) == count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(programs, say)
    return said


def test_a_node_that_ends_is_started_again_and_others_go_on(monkeypatch):
    monkeypatch.setattr(unix_node, "_AGAIN_S", 0.01)
    other = python("other", FOREVER)
    said = until_lines([python("node", "print('on'); print('off', end=''); raise SystemExit(3)"), other], 7)
    assert [line for line in said if line.startswith("node")][:4] == [
        "node on",
        "node off",
        "node ended with status 3; it starts again, as a board does",
        "node on",
    ]
    assert "other up" in said and other.process.poll() is not None, "it was left behind"


def test_a_program_that_must_last_ends_all():
    other = python("other", FOREVER)
    with pytest.raises(CommandError, match="the manager has ended: the port is taken"):
        run([other, python("the manager", "raise SystemExit('dicectl: the port is taken')", lasts=True)], lambda *_: None)
    assert other.process.poll() is not None


def test_a_program_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(unix_node, "_END_S", 0.1)
    stubborn = python("node", "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + FOREVER)
    until_lines([stubborn], 1)
    assert stubborn.process.returncode == -9


def test_a_program_that_is_missing_is_named():
    with pytest.raises(CommandError, match="cannot run /nowhere: No such file"):
        run([Program("node", ["/nowhere"])], lambda *_: None)


def test_options_are_written_beside_those_that_are_there(tmp_path):
    path = tmp_path / "app.json"
    assert configure(tmp_path, interface=None, hops=2) == {"sensor": "simulated", "hops": 2}
    assert configure(tmp_path, interface="eth1", hops=2) == {"interface": "eth1"}
    assert configure(tmp_path, hops=None) == {}
    assert json.loads(path.read_text()) == {"sensor": "simulated", "hops": 2, "interface": "eth1"}
    for text in ("{", "[]", "5"):
        path.write_text(text)
        with pytest.raises(CommandError, match=r"app.json is not a file of options, or is damaged: .*; correct it, or remove it"):
            configure(tmp_path)


def test_options_are_replaced_in_one_step(tmp_path, monkeypatch):
    """A file system that is full costs none of those that are there."""

    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    configure(tmp_path, hops=2)
    before = (tmp_path / "app.json").read_bytes()
    monkeypatch.setattr("dice.store.sync", full)
    with pytest.raises(CommandError, match=r"cannot write .*app.json"):
        configure(tmp_path, hops=3)
    assert (tmp_path / "app.json").read_bytes() == before
