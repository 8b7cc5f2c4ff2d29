# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""D4: `dicectl manager backup` and `restore`, and copies of a registry that were made by other means."""

import contextlib
import json
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from dicectl import private_file
from dicectl.cli.manager import command
from dicectl.errors import CommandError
from dicectl.manager.registry import backup, key_file
from dicectl.manager.registry.sqlite import SqliteRegistry
from host_tests.ports import free_port
from host_tests.registries import new


def dicectl(*arguments, status=0):
    """Run `dicectl manager`; return its output, or its error."""
    done = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if not status:
        assert done.exit_code == 0, done.output
        return done.output
    assert isinstance(done.exception, CommandError) and done.exception.exit_code == status, repr(done.exception)
    return done.exception.format_message()


@pytest.fixture
def house(tmp_path):
    """Return the path of a registry that a manager has open, with a device in a group."""
    registry = SqliteRegistry(tmp_path / "house.db")
    registry.enrol("lamp-1")
    registry.create(new(), 0)
    yield tmp_path / "house.db"
    if registry._connection:
        registry.close()


def test_d4_a_backup_is_complete_private_and_verified_while_a_manager_runs(house, tmp_path):
    """A copy of the file alone was empty: what was written was in the log beside it."""
    target = tmp_path / "monday.db"
    said = json.loads(dicectl("backup", target, house, "--json"))
    assert (said["groups"], said["devices"], said["members"]) == (1, 1, 0) and said["entries"] >= 2 and said["last"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(tmp_path.glob("monday*")) == [target], "one file"
    assert backup.backup_at(house) == pytest.approx(target.stat().st_mtime, abs=60)
    copy = SqliteRegistry(target)
    assert list(copy.devices()) == ["lamp-1"] and copy.restored
    copy.close()


def test_d4_a_backup_replaces_nothing_and_leaves_nothing(house, tmp_path):
    target = tmp_path / "monday.db"
    target.write_text("precious")
    assert "exists" in dicectl("backup", target, house, status=2)
    assert target.read_text() == "precious"
    empty = tmp_path / "empty.db"
    empty.touch(0o600)
    assert "is empty" in dicectl("backup", tmp_path / "x.db", empty, status=2)
    text = tmp_path / "text.db"
    text.write_text("no registry, " * 200)
    text.chmod(0o600)
    dicectl("backup", tmp_path / "x.db", text, status=1)
    assert "cannot read" in dicectl("backup", tmp_path / "x.db", tmp_path / "none.db", status=2)
    assert "pg_dump" in dicectl("backup", tmp_path / "x.db", "postgresql://a/b", status=2)
    assert not (tmp_path / "x.db").exists()


def test_d4_a_copy_of_the_file_alone_is_refused_and_can_be_accepted(house, tmp_path):
    """It was served without a word."""
    moved = tmp_path / "moved.db"
    shutil.copy2(house, moved)
    dicectl("audit", moved)  # nothing that reads it makes it look whole
    for arguments in (("backup", tmp_path / "copy.db", moved), ("restore", moved, tmp_path / "other.db")):
        assert "was copied while a manager ran on it" in dicectl(*arguments, status=2), "it would look whole, with 0 groups"
    assert "was copied while a manager ran on it" in dicectl("restore", moved, tmp_path / "other.db", "--dry-run", status=2)
    assert sorted(path.name for path in tmp_path.glob("[co]*.db")) == []
    with pytest.raises(CommandError, match=r"was copied while a manager ran on it.*dicectl manager restore"):
        SqliteRegistry(moved)
    assert "was copied while a manager ran on it" in dicectl("run", moved, "--port", free_port(), "--host", "x", status=2)
    assert sorted(tmp_path.glob("moved.db*")) == [moved, tmp_path / "moved.db.lock"]
    dicectl("restore", moved, moved)
    registry = SqliteRegistry(moved)
    assert registry.restored
    registry.close()


def test_d4_a_restored_registry_is_not_changed_by_the_log_of_a_file_that_was_removed(tmp_path):
    """A manager that is killed leaves its log beside the file; SQLite would replay it over whatever takes the place of the file."""
    backup, lost, path = tmp_path / "monday.db", tmp_path / "lost.db", tmp_path / "house.db"
    registry = SqliteRegistry(path)
    registry.enrol("lamp-1")
    dicectl("backup", backup, path)
    registry.later = lambda *_: None  # it is killed before its next checkpoint
    registry.enrol("later")
    assert Path(f"{path}-wal").stat().st_size
    shutil.copy2(f"{path}-wal", f"{lost}-wal")
    registry.close()
    dicectl("restore", backup, lost)
    registry = SqliteRegistry(lost)
    assert registry.restored and list(registry.devices()) == ["lamp-1"]
    registry.close()


def test_a_killed_manager_and_one_that_has_ended_start_again(house, tmp_path):
    """With the log beside it a file is whole, and without a mark it needs none."""
    for end in ("", "-wal"):
        shutil.copy2(f"{house}{end}", tmp_path / f"killed.db{end}")
    for _ in range(2):
        registry = SqliteRegistry(tmp_path / "killed.db")
        assert list(registry.devices()) == ["lamp-1"] and not registry.restored
        registry.close()
        assert not (tmp_path / "killed.db-wal").exists()
    shutil.copy2(tmp_path / "killed.db", tmp_path / "moved.db")
    registry = SqliteRegistry(tmp_path / "moved.db")
    assert not registry.restored
    registry.close()


def test_d4_a_copy_of_the_file_alone_has_what_was_written_a_second_ago(house):
    """Or at once, in a registry without a loop."""
    with sqlite3.connect(f"{house.resolve().as_uri()}?immutable=1", uri=True) as database:
        assert database.execute("SELECT name FROM device").fetchall() == [("lamp-1",)]


def test_d4_restore_keeps_the_former_registry_and_marks_the_new_one(house, tmp_path):
    target = tmp_path / "monday.db"
    dicectl("backup", target, house)
    assert "another manager runs" in dicectl("restore", target, house, status=1)
    registry = SqliteRegistry(tmp_path / "live.db")
    registry.enrol("later")
    registry.close()
    said = json.loads(dicectl("restore", target, tmp_path / "live.db", "--json"))
    assert said["devices"] == 1
    former = SqliteRegistry(said["former"])
    assert list(former.devices()) == ["later"] and not former.restored
    former.close()
    restored = SqliteRegistry(tmp_path / "live.db")
    assert list(restored.devices()) == ["lamp-1"] and restored.restored
    restored.close()
    again = SqliteRegistry(tmp_path / "live.db")
    assert again.restored, "the manager has not begun new keys yet"
    again.settled()
    again.close()
    last = SqliteRegistry(tmp_path / "live.db")
    assert not last.restored
    last.close()
    assert target.exists(), "a backup can be restored again"


def test_restore_refuses_what_is_no_registry_and_changes_nothing(house, tmp_path):
    text = tmp_path / "text.db"
    text.write_text("no registry, " * 200)
    text.chmod(0o600)
    target = tmp_path / "live.db"
    dicectl("restore", text, target, status=2)
    dicectl("backup", tmp_path / "monday.db", house)
    os.truncate(tmp_path / "monday.db", 9000)
    dicectl("restore", tmp_path / "monday.db", target, status=2)
    assert not target.exists() and not (tmp_path / "live.db.new").exists()


def test_a_dry_run_of_restore_verifies_and_changes_nothing(house, tmp_path):
    dicectl("backup", tmp_path / "monday.db", house)
    assert "would be" in dicectl("restore", tmp_path / "monday.db", tmp_path / "live.db", "--dry-run")
    assert not (tmp_path / "live.db").exists()


def test_a_backup_of_an_encrypted_registry_is_encrypted(tmp_path):
    """With its key file it is as good as any."""
    key_file.create(tmp_path / "house.key")
    key = key_file.load(tmp_path / "house.key")
    registry = SqliteRegistry(tmp_path / "house.db", key=key)
    _, secret = registry.enrol("lamp-1")
    dicectl("backup", tmp_path / "monday.db", tmp_path / "house.db")
    registry.close()
    assert secret not in (tmp_path / "monday.db").read_bytes()
    copy = SqliteRegistry(tmp_path / "monday.db", key=key)
    assert list(copy.devices()) == ["lamp-1"]
    copy.close()


def test_d4_a_dry_run_of_a_restoration_checks_what_the_restoration_checks(house, tmp_path):
    target = tmp_path / "monday.db"
    dicectl("backup", target, house)
    assert "another manager runs" in dicectl("restore", target, house, "--dry-run", status=1)
    assert "another manager runs" in dicectl("restore", target, house, status=1)
    dicectl("restore", target, tmp_path / "other.db", "--dry-run")
    assert not list(tmp_path.glob("other*"))
    target.chmod(0o644)
    assert "chmod 600" in dicectl("restore", target, tmp_path / "other.db", "--dry-run", status=2)


SERVICE = 61_234  # the user of a service


@pytest.mark.skipif(not private_file.is_root(), reason="only root has files of others")
def test_d4_root_copies_restores_and_changes_the_registry_of_a_service(tmp_path):
    """The unit has a user of its own: root was refused, or left a file that the service could not open."""
    folder = tmp_path / "state"
    folder.mkdir(0o700)
    house, target = folder / "house.db", tmp_path / "monday.db"
    registry = SqliteRegistry(house)
    registry.enrol("lamp-1")
    registry.create(new(), 0)
    registry.close()
    for path in (folder, *folder.iterdir()):
        os.chown(path, SERVICE, SERVICE)
    dicectl("backup", target, house)
    assert target.stat().st_uid == 0
    dicectl("audit", house, "--prune", "30d")
    dicectl("key", tmp_path / "house.key")
    dicectl("encrypt", house, "--key-file", tmp_path / "house.key")
    dicectl("decrypt", house, "--key-file", tmp_path / "house.key")
    dicectl("restore", target, house)
    house.unlink()
    dicectl("restore", target, house)
    dicectl("new", folder / "second.db")
    owners = {path.name: path.stat().st_uid for path in folder.iterdir()}
    assert set(owners.values()) == {SERVICE}, owners
    with as_user(SERVICE, tmp_path):
        for name in ("house.db", "second.db"):
            SqliteRegistry(folder / name).close()


@contextlib.contextmanager
def as_user(user, folder):
    """Be another user, in no group of root's, who can reach `folder`."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.parents) if not path.stat().st_mode & 0o001}
    for path, mode in modes.items():
        path.chmod(mode | 0o001)
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        for path, mode in modes.items():
            path.chmod(mode)
