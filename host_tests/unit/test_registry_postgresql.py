# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A registry on PostgreSQL: connections that are lost, former leaders, what remains of deleted keys, and what errors say."""

import os
import signal
import time

import pytest

from dice.group.manager import SENDER
from dicectl.errors import CommandError
from dicectl.manager.registry import postgresql as implementation
from dicectl.manager.registry.base import NotLeader, Occupied, RegistryError, StoredSession
from dicectl.manager.registry.opening import open_registry, read_audit
from host_tests import postgresql
from host_tests.registries import PostgresqlBackend, group, plain


@pytest.fixture
def backend(postgresql_backend, monkeypatch):
    monkeypatch.setattr(implementation, "_RETRY_S", 0)
    return postgresql_backend


@pytest.fixture
def registry(backend):
    opened = backend.open()
    yield opened
    opened.close()


def end_sessions(backend, registry):
    """Let the server end the session of a registry; wait until it has."""
    ((pid,),) = registry.run("SELECT pg_backend_pid()")
    backend.sql(f"SELECT pg_terminate_backend({pid}, 10000)")


def test_a_connection_that_is_lost_between_changes_costs_one_call(backend, registry):
    registry.enrol("first")
    end_sessions(backend, registry)
    with pytest.raises(RegistryError, match=r"terminating connection|closed"):
        registry.enrol("lost")
    assert registry.write_error
    registry.enrol("second")
    assert list(registry.devices()) == ["first", "second"] and registry.write_error is None
    assert len(registry.read_devices()) == 2
    assert [entry["number"] for entry in registry.read_audit(0, None)] == [1, 2]


def test_a_connection_that_is_lost_within_a_change_undoes_all_of_it(backend, registry):
    with pytest.raises(RegistryError), registry.together():
        registry.enrol("first")
        end_sessions(backend, registry)
        with pytest.raises(RegistryError):
            registry.enrol("second")
        with pytest.raises(RegistryError, match="lost during this change"):
            registry.enrol("third")  # not on a connection of its own
    assert registry.devices() == {} and backend.sql("SELECT * FROM device") == []
    registry.enrol("fourth")


def test_while_the_database_is_away_calls_fail_at_once_and_memory_answers(postgres, monkeypatch):
    with postgresql.server() as server:
        backend = PostgresqlBackend(server)
        registry = backend.open()
        manager = group(registry)
        identity, key = registry.enrol("lamp")
        registry.later = lambda seconds, function: None
        manager.add([identity, registry.enrol("other")[0]], SENDER, 0)
        server.stop(signal.SIGKILL)
        for _ in range(20):
            with pytest.raises(RegistryError):
                registry.enrol("lost")
        began = time.monotonic()
        for _ in range(1000):  # between two attempts
            with pytest.raises(RegistryError):
                registry.enrol("lost")
        assert time.monotonic() - began < 5
        manager.acknowledge(identity, 1, 0)  # waits
        registry.store_sessions({identity: StoredSession("a", b"", 1.0)})
        assert registry.find(identity) == key and registry.devices()["lamp"] == identity
        assert registry.name(identity) == "lamp" and registry.since("lamps") > 0 and registry.audit(registry.last_entry) == []
        with pytest.raises(RegistryError):
            registry.flush()
        server.start()
        monkeypatch.setattr(registry, "_retry_at", 0)
        registry.flush()
        assert registry.states()[0].state.members[identity].held == 1 and len(registry.sessions()) == 1
        assert plain(registry.read_states()[0].state)["members"] == plain(manager.state)["members"]
        registry.close()


def test_a_server_that_hangs_is_given_up_soon(postgres):
    with postgresql.server() as server:
        name = server.database()
        registry = open_registry(server.tcp(name))
        registry.enrol("first")
        ((pid,),) = registry.run("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGSTOP)
        server.pause()
        began = time.monotonic()
        with pytest.raises(RegistryError):
            registry.enrol("lost")
        assert time.monotonic() - began < 30
        began = time.monotonic()
        with pytest.raises(RegistryError):
            registry.enrol("lost")
        assert time.monotonic() - began < 30
        os.kill(pid, signal.SIGCONT)
        server.resume()
        registry.close()


def lose_commit(registry, monkeypatch, arrives):
    """Lose the connection at the next COMMIT, before or after the server has executed it."""
    original = registry._connection

    class Losing:
        def __getattr__(self, name):
            return getattr(original, name)

        def exec_driver_sql(self, text):
            if text == "COMMIT":
                if arrives:
                    original.exec_driver_sql(text)
                original.connection.dbapi_connection.close()
                original.exec_driver_sql("SELECT 1")
            return original.exec_driver_sql(text)

    registry._connection = Losing()


@pytest.mark.parametrize("arrives", [False, True], ids=["undone", "made"])
def test_a_commit_whose_outcome_is_unknown_is_looked_up(registry, monkeypatch, arrives):
    """The call fails; the next one reads everything anew, tells the service, and fails too; then all goes on."""
    manager = group(registry)
    switch, _ = registry.enrol("switch")
    manager.add([switch], SENDER, 0)
    reloaded = []
    registry.on_reload = lambda: (reloaded.append(1), manager.restore(registry.states()[0].state, 0))

    def together():
        with registry.together():
            registry.enrol("new")

    for change in (lambda: manager.rekey(0), together):
        before = plain(manager.state), dict(registry.devices())
        lose_commit(registry, monkeypatch, arrives)
        with pytest.raises(RegistryError):
            change()
        assert (plain(manager.state), registry.devices()) == before, "in memory it is not made, as it is said"
        with pytest.raises(RegistryError, match="all was read anew"), registry.together():
            registry.log("next")
        assert reloaded.pop()
        assert (plain(manager.state), registry.devices()) == before or arrives
        assert plain(registry.read_states()[0].state) == plain(manager.state)
        assert {name: identity for identity, name, _ in registry.read_devices()} == registry.devices()
    assert ("new" in registry.devices()) == arrives and manager.state.epoch == 1 + arrives
    manager.rekey(0)
    registry.enrol("last")
    numbers = [entry["number"] for entry in registry.read_audit(0, None)]
    assert numbers == [*range(1, len(numbers) + 1)]


def test_what_waits_is_written_once_if_the_outcome_of_its_commit_is_unknown(registry, monkeypatch):
    manager = group(registry)
    switch, _ = registry.enrol("switch")
    manager.add([switch], SENDER, 0)
    registry.later = lambda seconds, function: None
    manager.state.active = True
    manager.acknowledge(switch, 1, 0)
    lose_commit(registry, monkeypatch, True)
    with pytest.raises(RegistryError):
        registry.flush()
    with pytest.raises(RegistryError, match="read anew"):
        registry.flush()
    registry.flush()
    assert registry.read_states()[0].state.members[switch].held == 1 and not registry._waiting
    numbers = [entry["number"] for entry in registry.read_audit(0, None)]
    assert numbers == [*range(1, len(numbers) + 1)]


def test_a_new_connection_waits_for_the_end_of_the_old_session(backend, registry):
    """Otherwise a COMMIT that the server has not executed yet could follow."""
    import psycopg

    registry._disconnect()
    other = psycopg.connect(backend.name, autocommit=True)
    other.execute(implementation._LOCK)
    with pytest.raises(RegistryError, match="has not ended yet"):
        registry.enrol("lamp")
    other.close()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            registry.enrol("lamp")
            break
        except RegistryError:
            continue
    assert "lamp" in registry.devices()


def test_a_former_leader_writes_nothing_more(backend):
    numbers = {"first": 1}
    fences = []

    def fence_of(name):
        def fence(execute):
            assert execute("SELECT 1") == (1,)
            fences.append(name)
            if numbers[name] != max(numbers.values()):
                raise NotLeader("another manager has taken over")

        return fence

    first = open_registry(backend.name, fence=fence_of("first"))
    manager = group(first)
    switch, other = (first.enrol(name)[0] for name in ("switch", "other"))
    manager.add([switch, other], SENDER, 0)
    count = len(fences)
    first.flush()
    manager.rekey(0)
    assert len(fences) == count + 1, "once in each transaction"
    timers = []
    first.later = lambda seconds, function: timers.append(function)
    manager.acknowledge(switch, 2, 0)
    numbers["second"] = 2
    second = open_registry(backend.name, fence=fence_of("second"))  # although the first one's session is still there
    before = backend.sql("SELECT * FROM audit"), backend.sql("SELECT * FROM member"), backend.sql("SELECT * FROM group_state")
    for change in (lambda: manager.rekey(0), lambda: first.enrol("late"), first.flush, lambda: first.store_setting("a", 1)):
        for _ in range(2):
            with pytest.raises(RegistryError):
                change()
    for timer in timers:
        timer()
    assert isinstance(first.write_error, NotLeader)
    after = backend.sql("SELECT * FROM audit"), backend.sql("SELECT * FROM member"), backend.sql("SELECT * FROM group_state")
    assert after == before
    second.enrol("next")
    first.close()
    second.close()


def test_a_second_writer_without_an_election_is_refused(backend, registry):
    with pytest.raises(Occupied):
        backend.open()
    registry.enrol("lamp")


def test_registries_in_other_schemas_and_databases_are_others(backend, registry):
    other = PostgresqlBackend(backend.server)
    other.open().close()
    backend.sql("CREATE SCHEMA house")
    user = "CREATE ROLE house LOGIN; ALTER ROLE house SET search_path = house; GRANT ALL ON SCHEMA house TO house"
    backend.sql(*[f"DO $$ BEGIN {statement}; END $$" for statement in user.split("; ")])
    second = open_registry(backend.name.replace("postgres@", "house@"), fence=lambda execute: None)
    second.enrol("mine")
    registry.enrol("lamp")
    assert list(second.devices()) == ["mine"] and list(registry.devices()) == ["lamp"]
    second.close()


def test_deleted_keys_are_in_no_table_after_a_checkpoint(backend, registry):
    """They stay in dead rows until then, and in the write-ahead log after it: docs/security.md."""
    manager = group(registry)
    devices = {name: registry.enrol(name) for name in ("lamp", "other")}
    manager.add([identity for identity, _ in devices.values()], SENDER, 0)
    identity, key = devices["lamp"]
    registry.store_sessions({identity: StoredSession("a", b"the token of lamp", 1.0)})
    old = [key, manager.state.tgk, b"the token of lamp"]
    with registry.together():
        manager.remove([identity], 0)
        registry.wipe("lamp")
    assert {number for _, number in backend.traces(old)} == {0, 1, 2}, "this test looks for what is not there"
    registry.checkpoint()
    assert backend.traces(old) == [] and not registry.deleted
    registry.enrol("next")
    registry.wipe("next")
    registry.checkpoint()
    assert registry.deleted, "once a minute at most"


def test_a_checkpoint_waits_for_no_reader(backend, registry, monkeypatch):
    import psycopg

    registry.enrol("lamp")
    registry.wipe("lamp")
    with psycopg.connect(backend.name) as reader:
        reader.execute("SELECT * FROM device")
        began = time.monotonic()
        registry.checkpoint()
        assert registry.deleted and time.monotonic() - began < 20
    registry.enrol("next")
    monkeypatch.setattr(registry, "_vacuumed_at", -60)
    registry.checkpoint()
    assert not registry.deleted


def test_errors_quote_no_row_and_the_server_logs_no_key_of_an_encrypted_registry(backend):
    registry = backend.open(key=b"k" * 32)
    manager = group(registry)
    _, key = registry.enrol("lamp")
    identity, _ = registry.enrol("other")
    manager.add([identity], SENDER, 0)
    backend.sql("ALTER TABLE device ADD CONSTRAINT narrow CHECK (name <> 'bad')")
    with pytest.raises(RegistryError, match="violates check constraint") as failure:
        registry.enrol("bad")
    assert "\\x" not in str(failure.value) and "Failing row" not in str(failure.value)
    log = backend.server.log.read_text(errors="replace")
    assert "INSERT INTO device" in log, "this test looks for what is not there"
    for secret in (key, manager.state.tgk, manager.state.rand):
        assert secret.hex() not in log
    registry.close()


def test_commits_are_durable_even_if_the_database_says_otherwise(backend):
    name = backend.name.split("/")[3].split("?")[0]
    for mode, wanted in (("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")):
        backend.sql(f"ALTER DATABASE {name} SET synchronous_commit = {mode}")
        registry = backend.open()
        assert registry.run("SHOW synchronous_commit") == [(wanted,)]
        registry.close()


def test_urls_that_would_show_a_password_or_trust_any_server_are_not_used():
    with pytest.raises(CommandError, match=r"put it into ~/.pgpass"):
        open_registry("postgresql://dice:secret@db/dice")
    with pytest.raises(CommandError, match="is no registry"):
        open_registry("mysql://db/dice")
    for url, mode in (
        ("postgresql://dice@db.example.org/dice", "verify-full"),
        ("postgresql://dice@db.example.org/dice?sslmode=verify-ca", "verify-ca"),
        ("postgresql://dice@localhost/dice", None),
        ("postgresql:///dice", None),
        ("postgresql:///dice?host=/run/postgresql", None),
        ("postgresql:///dice?host=db.example.org", "verify-full"),
    ):
        assert implementation.parse(url).query.get("sslmode") == mode, url


def test_a_server_that_cannot_be_reached_is_named_in_one_line(tmp_path):
    for action in (open_registry, read_audit):
        with pytest.raises(CommandError, match=r"cannot (use|read) postgresql:///dice") as failure:
            action(f"postgresql:///dice?host={tmp_path}")
        assert "\n" not in failure.value.message
