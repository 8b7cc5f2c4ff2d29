# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager restore` into PostgreSQL: of a file, and of what pg_restore has made. The database is real."""

import json
import shutil
import subprocess

import pytest

from dice.group.manager import LISTENER, SENDER
from dicectl.manager.registry import key_file
from dicectl.manager.registry.opening import open_registry
from dicectl.manager.registry.sqlite import SqliteRegistry
from host_tests.registries import group, plain
from host_tests.unit.test_backup import dicectl


def contents(registry):
    """Return all that a registry holds, but for what it is a copy of."""
    return {
        "devices": registry.read_devices(),
        "changes": registry.read_key_changes(),
        "told": registry.read_told(),
        "groups": [(plain(stored.state), stored.rekey_s, stored.since) for stored in registry.states()],
        "settings": {name: value for name, value in registry.read_settings().items() if name != "restored"},
        "audit": registry.read_audit(0, None),
    }


def fill(path, key=None):
    """Make a registry with devices, a group, a key that changes and a list of managers; return its contents."""
    registry = SqliteRegistry(path, key=key)
    manager = group(registry)
    with registry.together():
        members = [registry.enrol(f"lamp-{number}")[0] for number in range(1200)]
    manager.add(members[:1], SENDER, 0)
    manager.add(members[1:], LISTENER, 0)
    registry.begin_key_change(members[3])
    registry.store_setting("managers", {"number": 3, "list": [{"host": "a", "port": 1}]})
    registry.tell({members[4]: 3})
    held = contents(registry)
    registry.close()
    return held


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_file_moves_into_an_empty_database_and_is_known_as_a_copy(tmp_path, postgres, is_encrypted):
    key = None
    if is_encrypted:
        key_file.create(tmp_path / "house.key")
        key = key_file.load(tmp_path / "house.key")
    held = fill(tmp_path / "house.db", key)
    url = postgres.database()
    assert "would be" in dicectl("restore", tmp_path / "house.db", url, "--dry-run")
    said = json.loads(dicectl("restore", tmp_path / "house.db", url, "--json"))
    assert (said["groups"], said["devices"], said["members"], said["former"]) == (1, 1200, 1200, None)
    assert "is not empty" in dicectl("restore", tmp_path / "house.db", url, status=2)
    for _ in range(2):
        registry = open_registry(url, key=key)
        assert contents(registry) == held and registry.restored, "the manager has not begun new keys yet"
        registry.close()
    registry = open_registry(url, key=key)
    registry.settled()
    registry.close()
    registry = open_registry(url, key=key)
    assert contents(registry) == held and not registry.restored
    registry.enrol("later")
    registry.close()
    assert contents(SqliteRegistry(tmp_path / "house.db", key=key)) == held, "the file is as it was"


def test_what_is_no_whole_registry_or_is_in_use_is_refused_and_leaves_the_database_empty(tmp_path, postgres):
    fill(tmp_path / "house.db")
    url = postgres.database()
    live = SqliteRegistry(tmp_path / "house.db")
    assert "another manager runs" in dicectl("restore", tmp_path / "house.db", url, status=1)
    live.enrol("newest")
    shutil.copy2(tmp_path / "house.db", tmp_path / "part.db")
    live.close()
    assert "was copied while a manager ran on it" in dicectl("restore", tmp_path / "part.db", url, status=2)
    text = tmp_path / "text.db"
    text.write_text("no registry, " * 200)
    text.chmod(0o600)
    dicectl("restore", text, url, status=2)
    assert "has no registry" in dicectl("restore", url, url, status=2)
    assert "with its URL twice" in dicectl("restore", url, tmp_path / "x.db", status=2)
    dicectl("restore", tmp_path / "house.db", url)


def test_a_database_that_pg_restore_has_filled_can_be_accepted_as_a_copy(tmp_path, postgres):
    """Its manager gave out keys as if nothing had been lost."""
    first, second = postgres.database(), postgres.database()
    registry = open_registry(first)
    registry.enrol("lamp")
    registry.close()
    program = postgres.programs / "pg_dump"
    dump = subprocess.run([program, "--dbname", first], capture_output=True, check=True).stdout
    subprocess.run([program.with_name("psql"), "--quiet", "--dbname", second], input=dump, check=True, capture_output=True)
    assert "would be" in dicectl("restore", second, second, "--dry-run")
    registry = open_registry(second)
    assert list(registry.devices()) == ["lamp"] and not registry.restored
    assert "another manager writes" in dicectl("restore", second, second, status=1)
    registry.close()
    assert json.loads(dicectl("restore", second, second, "--json"))["devices"] == 1
    registry = open_registry(second)
    assert registry.restored
    registry.close()
