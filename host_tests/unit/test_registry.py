# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The registry of a manager, on both kinds of databases: what is stored is read back, with its audit log, or nothing of it."""

import json
import time

import pytest

from dice.group.manager import ANSWERING, LISTENER, SENDER
from dicectl.errors import CommandError
from dicectl.manager.registry.base import Occupied, RegistryError, StoredSession
from host_tests.registries import group, plain


@pytest.fixture
def registry(backend):
    opened = backend.open()
    yield opened
    opened.close()


@pytest.mark.parametrize("address", [bytes((239, 1, 2, 3)), b"\xff\x15" + bytes(12) + b"\x0a\xbc"], ids=["IPv4", "IPv6"])
def test_stored_groups_and_devices_are_read_back(backend, address):
    registry = backend.open()
    manager = group(registry, "lamps", address)
    devices = {name: registry.enrol(name) for name in ("switch", "lamp-1", "lamp-2")}
    manager.add([devices["switch"][0]], SENDER, 0)
    manager.add([devices["lamp-1"][0]], ANSWERING, 0)
    manager.add([devices["lamp-2"][0]], LISTENER, 0)
    manager.acknowledge(devices["switch"][0], 2, 0)
    manager.report(devices["switch"][0], 2, 70, False, 0)
    manager.remove([devices["lamp-2"][0]], 0)
    registry.close()
    again = backend.open()
    (stored,) = again.states()
    assert plain(stored.state) == plain(manager.state)
    assert stored.rekey_s == 0 and time.time() - stored.since < 60
    assert {name: (i, again.find(i)) for name, i in again.devices().items()} == devices
    assert again.find(b"nobody") is None
    again.close()


def test_identities_and_keys_are_random_and_different(registry):
    made = [registry.enrol(f"lamp-{number}") for number in range(50)]
    assert len({identity for identity, _ in made}) == len({key for _, key in made}) == 50
    assert all(len(key) == 16 for _, key in made)
    with pytest.raises(CommandError, match="there is a device lamp-1 already"):
        registry.enrol("lamp-1")


def test_a_second_manager_is_refused(backend, registry):
    with pytest.raises(Occupied, match="another manager"):
        backend.open()
    registry.enrol("lamp")  # the first one continues


def test_the_audit_log_has_every_change_and_no_secret(backend, registry):
    manager = group(registry)
    identity, key = registry.enrol("switch")
    manager.add([identity], SENDER, 0)
    manager.acknowledge(identity, 1, 0)
    manager.rekey(0)
    manager.remove([identity], 0)
    registry.rename("switch", "old")
    registry.wipe("old")
    entries = backend.audit()
    change = [(entry["event"], entry["group"], entry["device"]) for entry in entries]
    assert change == [
        ("group", "lamps", None),
        ("enrolled", None, "switch"),
        ("added", "lamps", "switch"),
        ("epoch", "lamps", None),
        ("acknowledged", "lamps", "switch"),
        ("active", "lamps", None),
        ("epoch", "lamps", None),
        ("removed", "lamps", "switch"),
        ("epoch", "lamps", None),
        ("renamed", None, "switch"),
        ("wiped", None, "old"),
    ]
    assert [entry["new_master_key"] for entry in entries if entry["event"] == "epoch"] == [True, False, True]
    text = json.dumps(entries)
    assert not any(secret.hex() in text for secret in (key, manager.state.tgk, manager.state.rand))
    assert entries == registry.audit() == registry.read_audit(0, None)


def test_the_audit_log_is_append_only(backend, registry):
    registry.enrol("lamp")
    statements = ["DELETE FROM audit", "UPDATE audit SET event = 'nothing'"]
    for statement in statements + ["TRUNCATE audit"] * (backend.kind == "postgresql"):
        with pytest.raises(Exception, match="append-only"):
            backend.sql(statement)
    assert len(registry.read_audit(0, None)) == 1


def test_a_change_that_fails_is_rolled_back(registry, monkeypatch):
    manager = group(registry)
    identity, _ = registry.enrol("switch")
    manager.add([identity], SENDER, 0)
    before, log = plain(manager.state), registry.audit()
    monkeypatch.setattr(registry, "log", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        manager.rekey(0)
    monkeypatch.undo()
    assert plain(manager.state) == before
    assert plain(registry.states()[0].state) == before
    assert registry.audit() == log
    manager.rekey(0)
    assert registry.states()[0].state.epoch == 2


def test_a_block_that_fails_is_undone_in_memory_too(registry):
    registry.enrol("lamp")
    before = dict(registry.devices()), registry.audit(), registry.last_entry
    with pytest.raises(ZeroDivisionError), registry.together():
        registry.enrol("other")
        registry.rename("lamp", "first")
        group(registry)
        registry.store_setting("managers", [1])
        assert registry.find(registry.devices()["other"])
        raise ZeroDivisionError
    assert (registry.devices(), registry.audit(), registry.last_entry) == before
    assert registry.setting("managers") is None and registry.states() == []
    assert registry.read_audit(0, None) == before[1]
    with pytest.raises(KeyError):
        registry.since("lamps")


def test_a_part_that_failed_spoils_the_whole_change(registry):
    """Also if somebody catches its exception: PostgreSQL answers COMMIT with ROLLBACK then."""
    registry.enrol("lamp")
    identity = registry.devices()["lamp"]
    with pytest.raises(RegistryError), registry.together():
        with pytest.raises(RegistryError):
            registry.store_device(identity, "other", bytes(16))
        registry.log("told")
    assert registry.write_error
    assert [entry["event"] for entry in registry.read_audit(0, None)] == ["enrolled"]
    registry.enrol("next")
    assert registry.write_error is None


def test_errors_contain_no_secret(registry):
    identity, key = registry.enrol("lamp")
    secret = b"\x11\x22\x33\x44" * 4
    with pytest.raises(RegistryError) as failure, registry.transaction():
        registry.store_device(identity, "other", secret)
    text = repr(failure.value) + str(failure.value)
    assert secret.hex() not in text and repr(secret)[2:-1] not in text and "other" not in text
    assert key.hex() not in repr(registry) and repr(key)[2:-1] not in repr(StoredSession([], key, 1.0))


def test_groups_are_deleted_and_their_periods_changed(backend, registry):
    manager = group(registry)
    identity, _ = registry.enrol("lamp")
    manager.add([identity], SENDER, 0)
    registry.set_rekey("lamps", 77)
    assert registry.states()[0].rekey_s == 77
    registry.restamp("lamps", 5.0)
    assert registry.since("lamps") == registry.states()[0].since == 5.0
    manager.rekey(0)
    assert time.time() - registry.since("lamps") < 60
    registry.delete_group("lamps")
    registry.wipe("lamp")
    assert registry.states() == [] and backend.sql("SELECT * FROM member") == []
    assert [entry["event"] for entry in registry.audit()][-3:] == ["epoch", "deleted", "wiped"]


def test_sessions_are_stored_and_go_with_their_device(backend):
    registry = backend.open()
    lamp, other = (registry.enrol(name)[0] for name in ("lamp", "other"))
    first = {lamp: StoredSession(["10.0.0.1", 5], b"t" * 16, 1.5), other: StoredSession("ff", b"", 2.5)}
    registry.store_sessions({**first, b"unknown": StoredSession("x", b"y", 1)})
    assert registry.sessions() == first
    registry.store_sessions({lamp: StoredSession(["10.0.0.2", 6], b"u" * 16, 3.5, "asleep", 9.5)})
    registry.close()
    registry = backend.open()
    assert registry.sessions() == {**first, lamp: StoredSession(["10.0.0.2", 6], b"u" * 16, 3.5, "asleep", 9.5)}
    registry.store_sessions({lamp: StoredSession("again", b"v" * 16, 4.5), other: None})
    registry.wipe("other")
    assert registry.sessions() == {lamp: StoredSession("again", b"v" * 16, 4.5)}
    registry.wipe("lamp")
    assert registry.sessions() == {}
    registry.close()


def test_a_session_is_stored_after_a_change_that_was_undone(registry):
    lamp, _ = registry.enrol("lamp")
    for number in range(3):
        with pytest.raises(ZeroDivisionError), registry.together():
            registry.wipe("lamp") if number == 1 else registry.store_sessions({lamp: StoredSession("a", b"", number)})
            raise ZeroDivisionError
        registry.store_sessions({lamp: StoredSession("b", b"", number)})
        assert registry.sessions() == {lamp: StoredSession("b", b"", number)}


def test_settings_are_json_values(backend):
    registry = backend.open()
    registry.store_setting("managers", [{"host": "a", "port": 1}])
    registry.store_setting("managers", [{"host": "b", "port": 2}])
    registry.close()
    registry = backend.open()
    assert registry.setting("managers") == [{"host": "b", "port": 2}] and registry.setting("none") is None
    registry.close()


def test_members_keep_their_order(backend):
    registry = backend.open()
    manager = group(registry)
    identities = [registry.enrol(f"lamp-{number}")[0] for number in range(12)]
    for identity in identities[::-1]:
        manager.add([identity], LISTENER, 0)
    manager.remove([identities[5]], 0)
    manager.add([identities[5]], SENDER, 0)
    registry.close()
    registry = backend.open()
    (stored,) = registry.states()
    assert list(stored.state.members) == list(manager.state.members) and list(stored.state.members)[-1] == identities[5]
    registry.close()


def test_the_log_is_read_in_parts_and_its_latest_entries_from_memory(backend, monkeypatch):
    registry = backend.open()
    for number in range(20):
        registry.log("told", device=str(number))
    assert [entry["number"] for entry in registry.audit(3, 4)] == [4, 5, 6, 7]
    registry.close()
    registry = backend.open()
    assert registry.last_entry == 20
    assert [entry["number"] for entry in registry.audit(3, 4)] == [4, 5, 6, 7], "from the database"
    registry.log("new")
    monkeypatch.setattr(registry, "read_audit", lambda *_: 1 / 0)
    assert [entry["event"] for entry in registry.audit(20)] == ["new"]
    assert registry.audit(21) == registry.audit(99) == []
    registry.close()


@pytest.mark.parametrize("event", [None, "told"])
def test_a_log_that_is_pruned_says_so_and_its_numbers_go_on(backend, event):
    clock = [1000.0]
    registry = backend.open(now=lambda: clock[0])
    for number in range(10):
        clock[0] += 1
        registry.log("told" if number % 2 else "said")
    assert registry.prune(1006.5, event, limit=1) == 1
    assert registry.prune(1006.5, event) == (2 if event else 5)
    assert registry.prune(1006.5, event) == 0
    numbers = [entry["number"] for entry in registry.read_audit(0, None)]
    assert numbers == ([1, 3, 5, 7, 8, 9, 10, 11, 12] if event else [7, 8, 9, 10, 11, 12])
    pruned = registry.read_audit(10, None)
    assert [(entry["event"], entry["entries"], entry["before"], entry.get("only")) for entry in pruned] == [
        ("pruned", 1, 1006.5, event),
        ("pruned", 2 if event else 5, 1006.5, event),
    ]
    clock[0] = 5000.0
    assert registry.prune(4000.0) == len(numbers)
    registry.close()
    registry = backend.open()
    registry.log("next")
    assert [entry["number"] for entry in registry.audit(0)] == [13, 14]
    with pytest.raises(Exception, match="append-only"):
        backend.sql("DELETE FROM audit")
    registry.close()
