# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The registry of a manager: its contents are complete after any crash, and only one process uses it."""

import json
import multiprocessing
import os
import random
import signal
import sqlite3
import stat
import time

import pytest

from dice.errors import DiceError
from dice.group.gsa import K08, UNKNOWN
from dice.group.manager import ANSWERING, LISTENER, SENDER, GroupState, Manager
from dicectl.errors import CommandError
from dicectl.manager.registry.sqlite import SqliteRegistry, read_audit

KILLS = 300


def new(name="lamps", address=bytes((239, 1, 2, 3))):
    """Return the state of a new group."""
    return GroupState(name, b"\1\2\3\4", address, 5000, K08)


def group(registry, *arguments):
    """Return the Manager of a new group."""
    state = new(*arguments)
    registry.create(state, 0)
    return Manager(state, registry.commit, os.urandom, 0)


def plain(state):
    """Return a group state in a form that can be compared."""
    members = {identity: vars(member) for identity, member in state.members.items()}
    return {**vars(state), "members": members}


@pytest.fixture
def registry(tmp_path):
    opened = SqliteRegistry(tmp_path / "house.db")
    yield opened
    opened.close()


@pytest.mark.parametrize("address", [bytes((239, 1, 2, 3)), b"\xff\x15" + bytes(12) + b"\x0a\xbc"], ids=["IPv4", "IPv6"])
def test_stored_groups_and_devices_are_read_back(tmp_path, address):
    registry = SqliteRegistry(tmp_path / "house.db")
    manager = group(registry, "lamps", address)
    devices = {name: registry.enrol(name) for name in ("switch", "lamp-1", "lamp-2")}
    manager.add([devices["switch"][0]], SENDER, 0)
    manager.add([devices["lamp-1"][0]], ANSWERING, 0)
    manager.add([devices["lamp-2"][0]], LISTENER, 0)
    manager.acknowledge(devices["switch"][0], 2, 0)
    manager.report(devices["switch"][0], 2, 70, False, 0)
    manager.remove([devices["lamp-2"][0]], 0)
    registry.close()
    again = SqliteRegistry(registry.path)
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


def test_the_files_are_readable_only_by_their_owner(registry):
    for path in registry.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def traces(registry, secrets):
    """Return (file, number of the secret) for each secret whose bytes are in a file of the registry."""
    files = [path for path in registry.path.parent.iterdir() if path.is_file()]
    return [(path.name, i) for path in files for i, secret in enumerate(secrets) if bytes(secret) in path.read_bytes()]


def test_deleted_and_replaced_keys_are_in_no_file(registry):
    """Neither in the file, nor in the log, nor in the index of the log, whoever compiled SQLite."""
    assert registry._database.execute("PRAGMA secure_delete").fetchone()[0] == 1
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


def test_a_key_deleted_while_somebody_reads_the_log_is_gone_after_the_next_change(registry):
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


def test_a_key_deleted_by_a_manager_that_was_killed_then_is_gone_when_the_next_one_starts(registry, tmp_path, monkeypatch):
    _, key = registry.enrol("lamp")
    monkeypatch.setattr(registry, "_erase", lambda: None)
    registry.wipe("lamp")
    (tmp_path / "copy").mkdir()
    for path in registry.path.parent.glob("house.db*"):
        (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
        (tmp_path / "copy" / path.name).chmod(0o600)
    monkeypatch.undo()
    assert any(key in path.read_bytes() for path in (tmp_path / "copy").iterdir()), "this test looks for what is not there"
    again = SqliteRegistry(tmp_path / "copy" / "house.db")
    assert traces(again, [key]) == [] and not again.devices()
    again.close()


def test_a_registry_that_others_can_read_or_write_is_refused(tmp_path):
    path = tmp_path / "house.db"
    SqliteRegistry(path).close()
    for mode in (0o644, 0o660, 0o606):
        path.chmod(mode)
        with pytest.raises(CommandError, match="chmod 600"):
            SqliteRegistry(path)
    path.chmod(0o600)
    SqliteRegistry(path).close()


def test_a_second_manager_is_refused(registry):
    with pytest.raises(CommandError, match="another manager runs"):
        SqliteRegistry(registry.path)
    registry.enrol("lamp")  # the first one continues


def test_a_file_that_is_no_registry_is_refused_and_not_changed(tmp_path):
    text = tmp_path / "text.db"
    text.write_text("these are notes, not a registry")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (x)")
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(CommandError, match="no registry"):
            SqliteRegistry(path)
        assert path.read_bytes() == before
    with pytest.raises(CommandError, match="cannot write beside"):
        SqliteRegistry(tmp_path / "missing" / "house.db")
    with pytest.raises(CommandError, match="there is no"):
        read_audit(tmp_path / "none.db")


def test_the_audit_log_has_every_change_and_no_secret(registry):
    manager = group(registry)
    identity, key = registry.enrol("switch")
    manager.add([identity], SENDER, 0)
    manager.acknowledge(identity, 1, 0)
    manager.rekey(0)
    manager.remove([identity], 0)
    registry.rename("switch", "old")
    registry.wipe("old")
    entries = read_audit(registry.path)
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


def test_the_audit_log_is_append_only(registry):
    registry.enrol("lamp")
    for statement in ("DELETE FROM audit", "UPDATE audit SET event = 'nothing'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            registry._database.execute(statement)
    assert len(registry.audit()) == 1


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


# A manager that is killed at any time.


def _work(path, seed, pipe):
    """Change a registry repeatedly, and report each change after it is made."""
    chance = random.Random(seed)
    registry = SqliteRegistry(path)
    states = registry.states()
    manager = Manager(states[0].state, registry.commit, os.urandom, 0) if states else group(registry)
    if seed == 0:
        os.kill(os.getpid(), signal.SIGKILL)  # the group exists, and this was not reported
    while True:
        state = manager.state
        outside = [identity for identity in registry.devices().values() if identity not in state.members]
        inside = list(state.members)
        what = chance.choice(("enrol", "add", "add", "remove", "rekey", "hold", "hold", "hold"))
        try:
            if what == "enrol" and len(outside) + len(inside) < 40:
                registry.enrol(f"device-{len(outside) + len(inside)}")
            elif what == "add" and outside:
                manager.add([chance.choice(outside)], chance.choice((SENDER, ANSWERING, LISTENER)), 0)
            elif what == "remove" and len(inside) > 3:
                manager.remove([chance.choice(inside)], 0)
            elif what == "rekey" and chance.random() < 0.2:
                manager.rekey(0)
            elif what == "hold" and inside:
                identity = chance.choice(inside)
                if manager.gsa(identity):
                    pipe.send(("given", given(manager.gsa(identity), identity)))
                    manager.acknowledge(identity, state.epoch, 0)
            pipe.send(("kept", plain(manager.state)))
        except DiceError:
            pass


def given(gsa, identity):
    """Return the parts of a GSA that leave the manager."""
    return gsa.epoch, bytes(gsa.key), gsa.own_id, identity


def reports(receiving, process, changes, chance):
    """Yield the reports of a process until it is dead. It is killed after this many changes and a short time."""
    while True:
        if changes == 0:
            time.sleep(chance.uniform(0, 0.01))
            process.kill()
            changes = -1
        try:
            kind, change = receiving.recv()
        except EOFError:
            return
        changes -= kind == "kept"
        yield kind, change


@pytest.mark.long
def test_a_registry_killed_at_any_time_loses_no_change_and_issues_nothing_twice(tmp_path):
    context = multiprocessing.get_context("fork")
    path = tmp_path / "house.db"
    chance = random.Random(7)
    keys, owners, last = {}, {}, plain(new())  # a group that is not stored yet is like one without any change
    changes = 0
    for number in range(KILLS):
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(path, number, sending))
        process.start()
        sending.close()
        changes_before = chance.randrange(8) if number else -1  # the first process kills itself
        for kind, change in reports(receiving, process, changes_before, chance):
            if kind == "kept":
                last = change
                changes += 1
                continue
            epoch, key, own_id, identity = change
            assert keys.setdefault(epoch, key) == key, "an epoch has two keys"
            if own_id is not None:
                assert owners.setdefault((epoch, own_id), identity) == identity, "an id was given to two members in one epoch"
        process.join()
        assert process.exitcode == -signal.SIGKILL
        registry = SqliteRegistry(path)
        states = registry.states()
        now = plain(states[0].state) if states else plain(new())
        audit = registry.audit()
        registry.close()
        assert now["epoch"] >= last["epoch"], "an epoch was forgotten"
        if now["epoch"] == last["epoch"]:
            assert now == last or now["members"] != last["members"] or now["active"] != last["active"]
            for identity, member in last["members"].items():  # each reported change is stored; one more change may be
                if identity in now["members"]:
                    assert now["members"][identity]["held"] >= member["held"]
                    assert now["members"][identity]["id"] == member["id"]
        assert [entry["number"] for entry in audit] == list(range(1, len(audit) + 1))
        last = now
    assert len(set(keys.values())) == len(keys), "two epochs have the same key"
    print(f"{changes} changes, {KILLS} kills, {last['epoch']} epochs")
    assert changes > KILLS and last["epoch"] > KILLS // 10


def test_a_registry_of_the_first_version_is_continued(tmp_path):
    """It did not say to whom GSAs were given: anybody may have one, so no sequence number is known until a report."""
    path = tmp_path / "house.db"
    registry = SqliteRegistry(path)
    manager = group(registry)
    switch, lamp = (registry.enrol(name)[0] for name in ("switch", "lamp"))
    manager.add([switch], SENDER, 0)
    registry.close()
    database = sqlite3.connect(path)
    database.executescript("ALTER TABLE member DROP COLUMN offered; PRAGMA user_version = 1;")
    database.close()
    for _ in range(2):
        registry = SqliteRegistry(path)
        (stored,) = registry.states()
        again = Manager(stored.state, registry.commit, os.urandom, 0)
        if lamp not in again.state.members:
            again.add([lamp], LISTENER, 0)
        assert again.gsa(lamp).senders == [(1, UNKNOWN)]
        registry.close()
    registry = SqliteRegistry(path)
    (stored,) = registry.states()
    again = Manager(stored.state, registry.commit, os.urandom, 0)
    again.rekey(0)
    again.gsa(switch)
    again.rekey(0)
    assert again.gsa(lamp).senders == [(1, 3 << 48)]
    registry.close()
