# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A manager makes a registry only if somebody wants one (D4): on an empty file in the wrong place it would know no device."""

import re

import pytest
from click.testing import CliRunner

from dicectl.__main__ import cli
from dicectl.cli import manager_new
from dicectl.manager.registry import new_registry
from dicectl.manager.registry.opening import open_registry, read_audit
from host_tests.ports import free_port


def run(*arguments, status=0, answer=None):
    """Run dicectl; return its output without the frame of errors."""
    result = CliRunner().invoke(cli, [str(word) for word in arguments], input=answer)
    assert result.exit_code == status, result.output
    return " ".join(re.sub("[│╭╮╰╯─]", "", result.output).split())


def empty_file(path):
    """A disk that was full."""
    path.touch(0o600)


def empty_registry(path):
    """One that a manager has made and that nobody has used."""
    open_registry(path).close()


@pytest.mark.parametrize("make", [lambda path: None, empty_file, empty_registry], ids=["missing", "no bytes", "unused"])
def test_a_registry_without_contents_is_not_served_unasked(tmp_path, make):
    path = tmp_path / "house.db"
    make(path)
    before = path.read_bytes() if path.exists() else None
    said = run("manager", "run", path, "--port", free_port(), "--host", "127.0.0.1", status=2)
    assert "look where the registry is, or create one with dicectl manager new" in said
    assert (path.read_bytes() if path.exists() else None) == before
    assert "would be created" in run("manager", "new", path, "--dry-run")
    assert (path.read_bytes() if path.exists() else None) == before
    run("manager", "new", path)
    assert [entry["event"] for entry in read_audit(path)] == ["created", "own-key"]
    assert new_registry.why_empty(path) == "", "it is wanted: the manager starts on it"
    assert "already exists" in run("manager", "new", path, status=2)
    assert "already exists" in run("manager", "new", path, "--dry-run", status=2)


@pytest.mark.parametrize("answer, made", [("y\n", True), ("n\n", False)])
def test_on_a_terminal_it_asks(tmp_path, monkeypatch, answer, made):
    path = tmp_path / "house.db"
    monkeypatch.setattr(manager_new.sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    asked = []
    monkeypatch.setattr(manager_new.click, "confirm", lambda question, err: asked.append(question) or answer == "y\n")
    if made:
        manager_new.admit(path, None, False)
        manager_new.admit(path, None, False)
    else:
        with pytest.raises(manager_new.CommandError, match="no registry was created"):
            manager_new.admit(path, None, False)
    assert len(asked) == 1 and "does not exist" in asked[0] and path.exists() == made


def test_a_registry_with_contents_and_what_is_none_are_left_to_the_manager(tmp_path):
    path = tmp_path / "house.db"
    new_registry.create(path)
    manager_new.admit(path, None, True)
    assert len(read_audit(path)) == 2
    (tmp_path / "other").write_text("no database at all")
    (tmp_path / "other").chmod(0o600)
    assert new_registry.why_empty(tmp_path / "other") == ""


def test_an_encrypted_one_is_created_so(tmp_path):
    run("manager", "key", tmp_path / "key")
    run("manager", "new", tmp_path / "house.db", "--key-file", tmp_path / "key")
    with pytest.raises(manager_new.CommandError, match="encrypted"):
        open_registry(tmp_path / "house.db")
