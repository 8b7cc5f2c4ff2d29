# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl deploy` refuses by its contents what no device may have, and copies what devices need."""

import json
import re
import sqlite3

import pytest

from dice.group.gsa_encode import encode
from dicectl import resources
from dicectl.__main__ import cli
from dicectl.board import sync
from dicectl.errors import USAGE, CommandError
from dicectl.manager import authority, group_file
from dicectl.manager.registry import key_file
from dicectl.manager.registry.sqlite import SqliteRegistry

SECRET = {
    "house.db": "keys of all devices",
    "house.db=data.bin": "keys of all devices",
    "house.db-wal": "keys of all devices",
    "backup": "keys of all devices",
    "ca": "ca/ca.key contains a private key",
    "ca/ca.key=own.key": "ca/ca.key contains a private key",
    "locked/ca.key": "locked/ca.key contains a private key",
    "house.key": "house.key contains 32 bytes, as the key of a registry.*house.key=own.key",
    "dice-key": "dice-key contains 32 bytes, as the key of a registry",
    "lamps.json": "lamps.json contains the group's master key",
}
BAD_JSON = (b"", b"{", b"{'a': 1}", b"\xff", b'\xef\xbb\xbf{"a": 1}', '{"a": 1}'.encode("utf-16"), b"[" * 100_000)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder, which is the current one, with the keys of a house and the files of two devices."""
    monkeypatch.chdir(tmp_path)
    registry = SqliteRegistry(tmp_path / "house.db")
    registry.enrol("lamp")
    registry.close()
    (tmp_path / "house.db-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(28))
    with sqlite3.connect("backup") as copy:
        copy.execute("CREATE TABLE device (key BLOB)")
    authority.new(tmp_path / "ca", "home")
    authority.new(tmp_path / "locked", "home", passphrase=b"secret")
    key_file.create("house.key")
    key_file.create("dice-key")
    group = group_file.new("lamps")
    (tmp_path / "lamps.json").write_text(json.dumps(group))
    (tmp_path / "proj").mkdir()
    for name in ("switch", "panel"):
        group_file.add_sender(group, name)
        (tmp_path / "proj" / f"{name}.gsa").write_bytes(encode(group_file.gsa(group, name)))
    (tmp_path / "other.gsa").write_bytes(_of_another_group())
    return tmp_path


def _of_another_group():
    group = group_file.new("fans")
    group_file.add_sender(group, "switch")
    return encode(group_file.gsa(group, "switch"))


def refused(*arguments):
    """Return why a deploy of these is wrong usage."""
    with pytest.raises(CommandError) as caught:
        sync.gather(arguments, "")
    assert caught.value.exit_code == USAGE
    return caught.value.format_message()


@pytest.mark.parametrize(("argument", "said"), SECRET.items())
def test_keys_that_no_device_may_have_are_refused(folder, argument, said):
    """Only the suffix of a group file was: a registry was copied with the keys of all devices."""
    why = refused(argument)
    assert re.search(said, why) and "no device may have" in why


def test_a_dry_run_refuses_too(folder):
    """Before a board is looked for."""
    with pytest.raises(CommandError, match="no device may have"):
        cli.main(["deploy", "--dry-run", "house.db"], standalone_mode=False)


@pytest.mark.parametrize("arguments", [["proj"], ["proj/switch.gsa", "proj/panel.gsa=data.bin"]])
def test_two_gsas_of_one_group_are_refused(folder, arguments):
    """A folder with the GSAs of two devices put the sender's keys on the second one: its nonces would repeat."""
    why = refused(*arguments)
    assert "switch.gsa" in why and "panel.gsa" in why and "of one group" in why


def test_the_files_of_a_device_are_copied(folder):
    """GSAs of several groups, a node.json, a public certificate, and a key of its own."""
    (folder / "node.json").write_text(json.dumps({"name": "lamp", "identity": "lamp", "key": "00" * 16}))
    (folder / "list.json").write_text("[1]")
    (folder / "number.json").write_text("5")
    arguments = ["proj/switch.gsa", "other.gsa", "node.json", "list.json", "number.json", "ca/ca.der", "ca/ca.pem"]
    assert len(sync.gather([*arguments, "house.key=own.key"], "")) == 8
    assert sync.gather([str(resources.APP), str(resources.EXAMPLES)], "")


@pytest.mark.parametrize("data", BAD_JSON, ids=range(len(BAD_JSON)))
@pytest.mark.parametrize("argument", ["bad.json", "bad.txt=app.json"])
def test_json_that_no_board_can_read_is_refused(folder, argument, data):
    for name in ("bad.json", "bad.txt"):
        (folder / name).write_bytes(data)
    assert "is not JSON, or is damaged" in refused(argument)


@pytest.mark.parametrize("argument", ["=x", "", "=", "/"])
def test_a_path_is_needed(folder, argument):
    """An empty one was the current folder, and / was read with all of its files."""
    assert "has no" in refused(argument)
