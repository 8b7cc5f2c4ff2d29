# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A registry in a file of SQLite: who may read it, what is in which file, and what is left of keys that were deleted."""

import os
import shutil
import sqlite3
import stat
import threading

import pytest

from dice.group.manager import SENDER
from dicectl import system
from dicectl.errors import CommandError
from dicectl.manager.registry import new_registry
from dicectl.manager.registry.base import Occupied, RegistryError
from dicectl.manager.registry.sqlite import SqliteRegistry, lock, read_audit
from host_tests.registries import group


@pytest.fixture
def registry(sqlite_backend):
    opened = sqlite_backend.open()
    yield opened
    opened.close()


@pytest.fixture
def traces(sqlite_backend):
    return lambda registry, secrets: sqlite_backend.traces(secrets)


def test_the_files_are_readable_only_by_their_owner(registry):
    for path in registry.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_deleted_and_replaced_keys_are_in_no_file(registry, traces):
    """Neither in the file, nor in the log, nor in the index of the log, whoever compiled SQLite."""
    assert registry.run("PRAGMA secure_delete")[0][0] == 1
    manager = group(registry)
    devices = [registry.enrol(f"lamp-{number}") for number in range(40)]
    manager.add([identity for identity, _ in devices], SENDER, 0)
    stays, goes = devices[:20], devices[20:]
    old = []
    for identity, key in goes:
        state = manager.state.copy()
        old += [key, state.tgk, state.rand]
        assert traces(registry, [key, state.tgk]), "this test looks for what is not there"
        with registry.together():
            manager.remove([identity], 0)
            registry.wipe(registry.name(identity))
        assert traces(registry, old) == []
    state = manager.state.copy()
    manager.rekey(0)
    changed = [getattr(state, field) for field in ("rand", "tgk") if getattr(state, field) != getattr(manager.state, field)]
    assert changed and traces(registry, changed) == []
    assert len(traces(registry, [key for _, key in stays])) == 20, "each once, in the file itself"


def test_a_key_deleted_while_somebody_reads_the_log_is_gone_after_the_next_change(registry, traces):
    _, key = registry.enrol("lamp")
    registry.enrol("other")
    reader = sqlite3.connect(registry.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM audit").fetchall()
    registry.wipe("lamp")
    assert registry.find(b"lamp") is None
    reader.close()
    registry.rename("other", "another")
    assert traces(registry, [key]) == []


def test_a_key_deleted_by_a_manager_that_was_killed_then_is_gone_when_the_next_one_starts(registry, traces, tmp_path, monkeypatch):
    _, key = registry.enrol("lamp")
    monkeypatch.setattr(registry, "checkpoint", lambda: False)
    registry.wipe("lamp")
    (tmp_path / "copy").mkdir()
    for path in registry.path.parent.glob("house.db*"):
        (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
        (tmp_path / "copy" / path.name).chmod(0o600)
    monkeypatch.undo()
    assert any(key in path.read_bytes() for path in (tmp_path / "copy").iterdir()), "this test looks for what is not there"
    again = SqliteRegistry(tmp_path / "copy" / "house.db")
    assert not any(key in path.read_bytes() for path in (tmp_path / "copy").iterdir()) and not again.devices()
    again.close()


def test_a_file_that_is_no_registry_is_refused_and_not_changed(tmp_path):
    text = tmp_path / "text.db"
    text.write_text("these are notes, not a registry")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (x)")
    for path in (text, other):
        path.chmod(0o600)
        before = path.read_bytes()
        with pytest.raises(CommandError, match="no registry"):
            SqliteRegistry(path)
        assert path.read_bytes() == before
    with pytest.raises(CommandError, match="cannot write beside"):
        SqliteRegistry(tmp_path / "missing" / "house.db")
    with pytest.raises(CommandError, match="there is no"):
        read_audit(tmp_path / "none.db")


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", ".lock"])
def test_a_registry_that_others_can_read_or_write_is_refused(tmp_path, suffix):
    path = tmp_path / "house.db"
    SqliteRegistry(path).close()
    trap = tmp_path / f"house.db{suffix}"
    trap.touch(0o600)
    for mode in (0o644, 0o660, 0o606):
        trap.chmod(mode)
        with pytest.raises(CommandError, match=f"chmod 600 {trap}"):
            SqliteRegistry(path)
    trap.chmod(0o600)
    SqliteRegistry(path).close()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", ".lock"])
def test_links_are_refused_and_not_followed(tmp_path, suffix):
    other = tmp_path / "other"
    other.write_bytes(b"untouched")
    other.chmod(0o644)
    (tmp_path / f"house.db{suffix}").symlink_to(other)
    with pytest.raises(CommandError, match="is a link"):
        SqliteRegistry(tmp_path / "house.db")
    assert (other.read_bytes(), stat.S_IMODE(other.stat().st_mode)) == (b"untouched", 0o644)


def test_a_copy_of_the_file_alone_is_complete_a_second_after_a_change(registry, tmp_path):
    """As `cp` makes it, while the manager runs."""
    timers = []
    registry.later = lambda seconds, function: timers.append((seconds, function))
    registry.enrol("lamp")
    registry.enrol("other")
    assert [seconds for seconds, _ in timers] == [1.0]
    timers.pop()[1]()
    copy = tmp_path / "copy" / "house.db"
    copy.parent.mkdir()
    shutil.copy(registry.path, copy)
    copy.chmod(0o600)
    with sqlite3.connect(copy) as database:  # a manager asks before it uses such a copy
        assert database.execute("SELECT name FROM device ORDER BY name").fetchall() == [("lamp",), ("other",)]
    assert len(read_audit(copy)) == 2
    assert os.path.getsize(f"{registry.path}-wal") == 0


def test_a_deleted_key_is_gone_at_once_also_while_other_changes_wait_for_their_checkpoint(registry, traces):
    registry.later = lambda seconds, function: None
    _, key = registry.enrol("lamp")
    manager = group(registry)
    manager.add([registry.enrol("other")[0]], SENDER, 0)
    old = [key, manager.state.tgk, manager.state.rand]
    assert {number for _, number in traces(registry, old)} == {0, 1, 2}
    registry.wipe("lamp")
    manager.remove(list(manager.state.members), 0)
    assert traces(registry, old) == []


def test_a_change_is_written_to_the_disk_before_it_is_reported(registry):
    modes = {name: registry.run(f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert modes == {"journal_mode": [("wal",)], "synchronous": [(2,)], "foreign_keys": [(1,)]}  # 2: FULL


def test_a_checkpoint_that_is_disturbed_is_made_later(registry):
    timers = []
    registry.later = lambda seconds, function: timers.append(function)
    reader = sqlite3.connect(registry.path, isolation_level=None)
    registry.enrol("lamp")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM audit").fetchall()
    registry.enrol("other")
    timers.pop()()
    assert len(timers) == 1 and os.path.getsize(f"{registry.path}-wal") > 0
    reader.close()
    timers.pop()()
    assert not timers and os.path.getsize(f"{registry.path}-wal") == 0


def test_a_program_that_locks_the_file_for_a_moment_fails_no_change(registry):
    registry.enrol("lamp")
    other = sqlite3.connect(registry.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.05, other.rollback)
    timer.start()
    registry.enrol("other")
    timer.join()
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RegistryError, match="database is locked"):
        registry.enrol("lost")
    other.close()
    assert list(registry.devices()) == ["lamp", "other"]


def test_a_disk_that_is_full_fails_the_change_and_nothing_else(registry):
    registry.enrol("lamp")
    pages = registry.run("PRAGMA page_count")[0][0]
    registry.run(f"PRAGMA max_page_count = {pages}")
    made = 0
    with pytest.raises(Exception, match="full"):
        for number in range(1000):
            registry.enrol(f"lamp-{number}")
            made += 1
    assert len(registry.devices()) == made + 1 == len(registry.read_devices())
    assert str(registry.write_error) == "database or disk is full"
    registry.run(f"PRAGMA max_page_count = {pages + 1000}")
    registry.enrol("next")
    assert registry.write_error is None and registry.audit()[-1]["number"] == made + 2


@pytest.mark.parametrize("pages", [1, 4, 8, 12, 16, 20])
def test_a_full_disk_is_named_and_leaves_no_new_registry(tmp_path, monkeypatch, pages):
    """It was "no registry, or damaged: choose another file", beside an empty one."""
    path = tmp_path / "house.db"
    connect = sqlite3.connect

    def small(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", small)
        with pytest.raises(CommandError, match=f"^cannot write {path}: the disk is full"):
            new_registry.create(path)
    assert list(tmp_path.iterdir()) == []
    new_registry.create(path)
    assert "house.db" in {each.name for each in tmp_path.iterdir()}


def test_a_disk_that_is_full_once_the_tables_are_there_leaves_no_new_registry_either(tmp_path, monkeypatch):
    path = tmp_path / "house.db"

    def fail(_registry):
        raise RegistryError("database or disk is full")

    monkeypatch.setattr(new_registry.own_keys, "private", fail)
    with pytest.raises(CommandError, match=f"^cannot write {path}: the disk is full"):
        new_registry.create(path)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_discarded_meanwhile_is_no_lock(tmp_path, monkeypatch):
    """Else two managers could have the same registry: one with the old file, one with a new one."""
    path = tmp_path / "house.db"
    monkeypatch.setattr(system, "try_lock", lambda descriptor: os.unlink(f"{path}.lock") or True)
    with pytest.raises(Occupied):
        lock(path)
