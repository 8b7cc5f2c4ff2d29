# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Registries of older programs are taken over in one transaction, and have the same tables as new ones; newer ones are refused."""

import os
import sqlite3

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from dice.group.gsa import UNKNOWN
from dice.group.manager import LISTENER, Manager
from dicectl.errors import CommandError
from dicectl.manager.registry import migrations, schema
from dicectl.manager.registry.sqlite import SqliteRegistry, read_audit
from host_tests.registries import group, plain

# The tables of version 2, as its program created them; version 1 had no column `offered`.
VERSION_2 = """
CREATE TABLE device (identity BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, key BLOB NOT NULL, made REAL NOT NULL);
CREATE TABLE roster (name TEXT PRIMARY KEY, gid BLOB, address BLOB, port INTEGER, layout INTEGER, lifetime_s INTEGER,
    epoch INTEGER, active INTEGER, grace_s INTEGER, tgk BLOB, cs_id BLOB, rand BLOB,
    rekey_s INTEGER NOT NULL, since REAL NOT NULL);
CREATE TABLE member (roster TEXT REFERENCES roster, identity BLOB REFERENCES device, role TEXT, id INTEGER, held INTEGER,
    sent INTEGER, offered INTEGER NOT NULL, PRIMARY KEY (roster, identity));
CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, event TEXT NOT NULL, roster TEXT, device TEXT,
    detail TEXT NOT NULL);
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_written_once BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
PRAGMA user_version = 2;
INSERT INTO device VALUES (CAST('switch-1' AS BLOB), 'switch', x'00112233445566778899aabbccddeeff', 5.5),
    (CAST('lamp-1' AS BLOB), 'lamp', x'ff112233445566778899aabbccddeeff', 6.5);
INSERT INTO roster VALUES ('lamps', x'01020304', x'ef010203', 5000, 0, 86400, 7, 1, 60, x'aa112233445566778899aabbccddeeff',
    x'01020304', x'bb112233445566778899aabbccddeeff', 43200, 99.5);
INSERT INTO member VALUES ('lamps', CAST('lamp-1' AS BLOB), 'listener', NULL, 7, 0, 0),
    ('lamps', CAST('switch-1' AS BLOB), 'sender', 3, 7, 281474976710655, 7);
INSERT INTO audit (at, event, roster, device, detail) VALUES (1.5, 'group', 'lamps', NULL, '{"gid": "01020304"}'),
    (2.5, 'added', 'lamps', 'switch', '{"role": "sender", "id": 3}');
"""
VERSION_1 = VERSION_2 + "ALTER TABLE member DROP COLUMN offered; PRAGMA user_version = 1;"


def old_file(path, script, in_log=False):
    """Create a file of an older program in WAL mode, as that left it; or all of it in the write-ahead log, if that was killed."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(f"BEGIN; {script} COMMIT;")
    if in_log:
        for name in (path.name, f"{path.name}-wal"):
            (path.parent / "killed" / name).write_bytes((path.parent / name).read_bytes())
    database.close()
    for file in path.parent.rglob("house.db*"):
        file.chmod(0o600)
    return path


@pytest.mark.parametrize("script", [VERSION_1, VERSION_2], ids=["1", "2"])
@pytest.mark.parametrize("in_log", [False, True], ids=["closed", "killed"])
def test_an_older_file_is_taken_over(tmp_path, script, in_log):
    path = tmp_path / "house.db"
    (tmp_path / "killed").mkdir()
    old_file(path, script, in_log)
    if in_log:
        path = tmp_path / "killed" / "house.db"
    entries = read_audit(path)
    for _ in range(2):
        registry = SqliteRegistry(path)
        (stored,) = registry.states()
        assert (stored.rekey_s, stored.since, registry.since("lamps")) == (43200, 99.5, 99.5)
        state = stored.state
        assert (state.name, state.gid, state.address, state.port, state.layout) == ("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, 0)
        assert (state.lifetime_s, state.epoch, state.active, state.grace_s, state.suite) == (86400, 7, True, 60, 0xC0A8)
        assert (state.tgk[0], state.cs_id, state.rand[0]) == (0xAA, b"\1\2\3\4", 0xBB)
        offered = 65535 if script is VERSION_1 else 0
        assert list(state.members) == [b"lamp-1", b"switch-1"], "in the order in which they were added"
        assert vars(state.members[b"lamp-1"]) == {"role": LISTENER, "id": None, "held": 7, "sent": 0, "offered": offered}
        assert vars(state.members[b"switch-1"]) == {
            "role": "sender", "id": 3, "held": 7, "sent": (1 << 48) - 1, "offered": offered or 7
        }  # fmt: skip
        assert registry.devices() == {"lamp": b"lamp-1", "switch": b"switch-1"}
        assert registry.find(b"switch-1")[:2] == b"\0\x11"
        assert registry.audit() == entries == read_audit(path) and len(entries) == 2
        registry.close()
    registry = SqliteRegistry(path)
    registry.log("next")
    assert registry.audit(2)[0]["number"] == 3
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), sqlite3.connect(path) as database:
        database.execute("DELETE FROM audit")
    registry.close()


@pytest.mark.parametrize("script", [VERSION_1, VERSION_2], ids=["1", "2"])
def test_migrated_tables_are_those_of_a_new_file(tmp_path, script):
    def described(path):
        with sqlite3.connect(path) as database:
            tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
            tables = [name for name in tables if name != "sqlite_sequence"]
            columns = {name: database.execute(f"PRAGMA table_info({name})").fetchall() for name in tables}
            keys = {name: database.execute(f"PRAGMA foreign_key_list({name})").fetchall() for name in tables}
            unique = {name: [row[2:] for row in database.execute(f"PRAGMA index_list({name})")] for name in tables}
            triggers = sorted(row[0] for row in database.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'"))
            return columns, keys, unique, triggers, database.execute("PRAGMA user_version").fetchall()

    old = old_file(tmp_path / "house.db", script)
    SqliteRegistry(old).close()
    SqliteRegistry(tmp_path / "new.db").close()
    for mine, wanted in zip(described(old), described(tmp_path / "new.db")):
        assert mine == wanted


def test_tables_are_as_the_metadata_say(backend):
    registry = backend.open()
    context = MigrationContext.configure(registry._connection, opts={"compare_type": True})
    assert compare_metadata(context, schema.METADATA) == []
    assert context.get_current_revision() == schema.REVISION
    assert migrations.known(schema.REVISION) and not migrations.known("9")
    registry.close()


def test_the_registry_of_the_first_version_did_not_say_who_has_an_epoch(tmp_path):
    """So no sequence number is known until a report."""
    path = old_file(tmp_path / "house.db", VERSION_1)
    for _ in range(2):
        registry = SqliteRegistry(path)
        manager = Manager(registry.states()[0].state, registry.commit, os.urandom, 0)
        assert manager.gsa(b"lamp-1").senders == [(3, UNKNOWN)]
        registry.close()
    registry = SqliteRegistry(path)
    manager = Manager(registry.states()[0].state, registry.commit, os.urandom, 0)
    for _ in range(2):
        manager.rekey(0)
    manager.gsa(b"switch-1")
    manager.rekey(0)
    assert manager.gsa(b"lamp-1").senders == [(3, 10 << 48)]
    registry.close()


def test_a_file_whose_migration_fails_is_unchanged(tmp_path, monkeypatch):
    path = old_file(tmp_path / "house.db", VERSION_1)
    with sqlite3.connect(path) as database:
        before = list(database.iterdump())
    original = migrations.upgrade

    def interrupted(*arguments):
        original(*arguments)
        raise OSError("power failure")

    monkeypatch.setattr(migrations, "upgrade", interrupted)
    with pytest.raises(OSError):
        SqliteRegistry(path)
    with sqlite3.connect(path) as database:
        assert list(database.iterdump()) == before
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
    monkeypatch.undo()
    SqliteRegistry(path).close()


def test_a_newer_registry_is_refused_in_one_line_and_not_changed(backend):
    registry = backend.open()
    group(registry)
    before = plain(registry.states()[0].state)
    registry.close()
    backend.sql("UPDATE alembic_version SET version_num = '9'")
    with pytest.raises(CommandError, match=r"was written by a newer dicectl \(revision 9\): update this one") as failure:
        backend.open()
    assert "\n" not in failure.value.message
    backend.sql(f"UPDATE alembic_version SET version_num = '{schema.REVISION}'")
    registry = backend.open()
    assert plain(registry.states()[0].state) == before
    registry.close()


def test_an_older_program_refuses_a_migrated_file(tmp_path):
    """It takes files whose user_version is 1 or 2."""
    SqliteRegistry(tmp_path / "house.db").close()
    with sqlite3.connect(tmp_path / "house.db") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (3,)


def test_tables_of_another_program_are_refused_and_not_changed(backend):
    backend.open().close()
    tables = "device", "group_state", "audit"
    backend.sql(*[f"ALTER TABLE {name} RENAME TO other_{name}" for name in tables])
    with pytest.raises(CommandError, match="is no registry"):
        backend.open()
    backend.sql(*[f"SELECT * FROM other_{name}" for name in tables])


def test_alembic_is_imported_only_for_a_migration(tmp_path):
    """It takes a tenth of a second."""
    import subprocess
    import sys

    code = f"""
import sys
from dicectl.manager.registry.sqlite import SqliteRegistry
for _ in range(2):
    SqliteRegistry({str(tmp_path / "house.db")!r}).close()
assert "sqlalchemy" in sys.modules
sys.exit("alembic" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, dicectl.cli.group, dicectl.cli.manager, dicectl.member.host_member, dicectl.manager.control\n"
    subprocess.run([sys.executable, "-c", code + "sys.exit('sqlalchemy' in sys.modules)"], check=True)


def test_a_database_of_revision_3_needs_no_more_than_its_tables(postgresql_backend):
    """The table `leader` may be there before, and belongs to the election."""
    postgresql_backend.sql("CREATE TABLE leader (one SMALLINT)")
    registry = postgresql_backend.open()
    assert "leader" in sa.inspect(registry._connection).get_table_names()
    registry.close()
    postgresql_backend.open().close()
