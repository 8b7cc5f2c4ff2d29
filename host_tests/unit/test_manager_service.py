# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests to a running manager, in virtual time, with both registries. A request that fails changes nothing."""

import asyncio
import contextlib
import json
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from dicectl.errors import CommandError
from dicectl.manager.group_words import is_done
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import VirtualNetwork
from host_tests.unit.memory_registry import MemoryRegistry


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def open_registry(request, tmp_path):
    """Return a function that opens a new registry."""
    return MemoryRegistry if request.param == "memory" else request.getfixturevalue(f"{request.param}_backend").open


@pytest.fixture
def run_with_service(tmp_path, open_registry):
    """Return a function that runs `scenario(service)` with a service without sockets."""

    def run(scenario):
        async def inside():
            registry = open_registry()
            service = ManagerService(registry, tmp_path / "house.db")
            try:
                return await scenario(service)
            finally:
                service.kdc.close()
                registry.close()

        return VirtualNetwork(lambda sides: 0).run(inside)

    return run


def test_a_device_that_cannot_join_is_not_created(run_with_service):
    async def scenario(service):
        for group in ("lamps", "fans"):
            service.do({"do": "new", "group": group})
        for number in range(50):
            service.do({"do": "provision", "name": f"s{number}", "groups": {"fans": "sender"}})
        with pytest.raises(CommandError, match="E73"):
            service.do({"do": "provision", "name": "late", "groups": {"lamps": "sender", "fans": "sender"}})
        assert "late" not in service.registry.devices()
        assert service.do({"do": "members", "group": "lamps"}) == []
        service.do({"do": "provision", "name": "late", "groups": {"lamps": "sender"}})

    run_with_service(scenario)


def test_a_change_that_cannot_be_stored_is_not_made(run_with_service, monkeypatch):
    async def scenario(service):
        service.do({"do": "new", "group": "lamps"})
        made = service.do({"do": "provision", "name": "desk", "groups": {"lamps": "sender"}})
        original_log = service.registry.log

        def full(*_, **__):
            raise RegistryError("database or disk is full")

        monkeypatch.setattr(service.registry, "log", full)
        for request in (
            {"do": "rekey", "group": "lamps"},
            {"do": "provision", "name": "x", "groups": {}},
            {"do": "wipe", "name": "desk"},
        ):
            with pytest.raises(CommandError, match=r"cannot be written \(database or disk is full\)"):
                service.do(request)
        monkeypatch.setattr(service.registry, "log", original_log)
        assert list(service.registry.devices()) == ["desk"]
        (member,) = service.do({"do": "members", "group": "lamps"})
        assert member["identity"] == made["identity"]
        assert service.do({"do": "show", "group": "lamps"})["epoch"] == 1
        assert service.do({"do": "rekey", "group": "lamps"})["epoch"] == 2

    run_with_service(scenario)


def test_an_epoch_that_could_not_be_activated_is_activated_later(run_with_service, monkeypatch):
    async def scenario(service):
        service.do({"do": "new", "group": "lamps"})
        service.do({"do": "provision", "name": "desk", "groups": {"lamps": "sender"}})
        original_log = service.registry.log
        monkeypatch.setattr(service.registry, "log", lambda *_, **__: 1 / 0)
        await asyncio.sleep(70)
        shown = service.do({"do": "show", "group": "lamps"})
        assert (shown["active"], shown["error"]) == (False, "division by zero")
        monkeypatch.setattr(service.registry, "log", original_log)
        await asyncio.sleep(10)
        assert service.do({"do": "show", "group": "lamps"})["active"]

    run_with_service(scenario)


def test_an_answer_to_a_poll_does_not_grow_with_the_group(run_with_service):
    async def scenario(service):
        service.do({"do": "new", "group": "lamps"})
        service.do({"do": "provision_all", "devices": [{"name": f"lamp-{n}", "groups": {"lamps": "listener"}} for n in range(300)]})
        whole = service.do({"do": "show", "group": "lamps"})
        short = service.do({"do": "show", "group": "lamps", "names_max": 5})
        assert len(json.dumps(short)) < 2000 < len(json.dumps(whole)) and short["cut"] and "counts" not in whole
        kinds = ("missing", "untold", "awake", "away", "returning")
        assert short["counts"] == {kind: len(whole[kind]) for kind in kinds} and short["counts"]["away"] == 300
        assert all(short[kind] == whole[kind][:5] for kind in kinds) and is_done(short) == is_done(whole)
        assert not service.do({"do": "show", "group": "lamps", "names_max": 300})["cut"]

    run_with_service(scenario)


def test_replacing_a_device_expels_the_old_one(run_with_service):
    async def scenario(service):
        service.do({"do": "new", "group": "lamps"})
        service.do({"do": "provision", "name": "desk", "groups": {"lamps": "sender"}})
        old = service.do({"do": "provision", "name": "lamp", "groups": {"lamps": "answering"}})
        before = service.managers["lamps"].state.copy()
        new = service.do({"do": "replace", "name": "lamp"})
        after = service.managers["lamps"].state
        assert new["name"] == old["name"] and new["identity"] != old["identity"] and new["key"] != old["key"]
        assert after.tgk != before.tgk and after.epoch > before.epoch
        assert set(after.members) - set(before.members) == {new["identity"].encode()}
        assert service.registry.find(old["identity"].encode()) is None
        assert list(service.registry.devices()) == ["desk", "lamp"]

    run_with_service(scenario)


def test_keys_are_renewed_before_their_lifetime_ends(run_with_service):
    async def scenario(service):
        service.registry.now = asyncio.get_running_loop().time
        service.do({"do": "new", "group": "lamps", "rekey_s": 3600})
        service.do({"do": "new", "group": "fans", "lifetime_s": 7200})
        service.do({"do": "new", "group": "doors"})
        service.do({"do": "new", "group": "empty", "rekey_s": 60})
        service.do({"do": "provision", "name": "desk", "groups": {"lamps": "sender", "fans": "sender", "doors": "sender"}})
        clock = asyncio.ensure_future(service.rekey_when_due())
        epochs = []
        for _ in range(3):
            epochs.append([shown["epoch"] for shown in service.do({"do": "groups"})])
            await asyncio.sleep(3605)
        clock.cancel()
        assert epochs == [[1, 1, 1, 0], [2, 2, 1, 0], [3, 3, 1, 0]], "half a lifetime is an hour too"

    run_with_service(scenario)


def test_unknown_requests_are_refused(run_with_service):
    async def scenario(service):
        for request in ({"do": "explode"}, {"do": "show"}, {"do": "show", "group": "x", "more": 1}, {}):
            with pytest.raises(CommandError, match="another version"):
                service.do(request)
        with pytest.raises(CommandError, match="none yet: dicectl group new"):
            service.do({"do": "rekey", "group": "lamps"})
        service.do({"do": "new", "group": "lamps", "port": 7000})
        with pytest.raises(CommandError, match="another group has port 7000"):
            service.do({"do": "new", "group": "fans", "port": 7000})

    run_with_service(scenario)


class Killed(BaseException):
    """The manager's process was killed."""


class FailingConnection:
    """A connection of SQLAlchemy whose n-th statement fails, and all later ones if `forever` is set."""

    def __init__(self, connection, countdown, error, forever):
        self._connection = connection
        self._countdown = countdown
        self._error = error
        self._forever = forever

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, statement, *arguments):
        self._count()
        return self._connection.execute(statement, *arguments)

    def exec_driver_sql(self, statement):
        # A killed process executes no ROLLBACK: SQLite rolls back when the file is opened again. A PRAGMA is a checkpoint.
        if statement != "ROLLBACK" and not statement.startswith("PRAGMA"):
            self._count()
        return self._connection.exec_driver_sql(statement)

    def _count(self):
        self._countdown -= 1
        if self._countdown == 0 or (self._countdown < 0 and self._forever):
            raise self._error


@contextlib.contextmanager
def failing(registry, countdown, error, forever=False):
    """Make the n-th access to the storage raise `error`, and all later ones if `forever` is set."""
    if isinstance(registry, MemoryRegistry):
        left = countdown

        def before_write():
            nonlocal left
            left -= 1
            if left == 0 or (left < 0 and forever):
                raise error

        registry.before_write = before_write
        yield
        registry.before_write = None
        return
    connection = registry._connection
    if isinstance(error, RegistryError):
        error = OperationalError("INSERT", {}, sqlite3.OperationalError(str(error)), hide_parameters=True)
    registry._connection = FailingConnection(connection, countdown, error, forever)
    yield
    if isinstance(registry._connection, FailingConnection):
        registry._connection = connection
    elif registry._connection is None:  # COMMIT on PostgreSQL has an outcome that is unknown
        with pytest.raises(RegistryError, match="was read anew"):
            registry.read_devices()


def stored(registry):
    """Return {device: {group: role}} as stored on the disk, without the manager's state in memory."""
    states = [group.state for group in registry.states()]
    devices = registry.read_devices()
    names = {identity: name for identity, name, _ in devices}
    assert {name: identity for identity, name in names.items()} == registry.devices()
    groups = {name: {} for name in names.values()}
    for state in states:
        for identity, member in state.members.items():
            groups[names[identity]][state.name] = member.role
    return groups, {name: key for _, name, key in devices}, [state.epoch for state in states]


CHANGES = (
    {"do": "provision", "name": "new", "groups": {"lamps": "sender", "fans": "listener"}},
    {"do": "replace", "name": "old"},
    {"do": "wipe", "name": "old"},
)


@pytest.mark.parametrize("request_", CHANGES, ids=lambda request: request["do"])
@pytest.mark.parametrize("error", [Killed(), RegistryError("disk I/O error")], ids=["killed", "disk"])
def test_adding_replacing_and_wiping_a_device_is_atomic(run_with_service, request_, error):
    """Interrupted at any statement, the change is not made at all, and the state in memory equals the stored one."""

    async def scenario(service):
        for group in ("lamps", "fans"):
            service.do({"do": "new", "group": group})
        service.do({"do": "provision", "name": "desk", "groups": {"lamps": "sender", "fans": "sender"}})
        service.do({"do": "provision", "name": "old", "groups": {"lamps": "answering", "fans": "listener"}})
        before = stored(service.registry)
        cuts = 0
        while True:
            shown = service.do({"do": "groups"}), service.do({"do": "devices"})
            made = True
            with failing(service.registry, cuts + 1, error):
                try:
                    service.do(dict(request_))
                except (Killed, CommandError):
                    made = False
            if made:
                break
            cuts += 1
            assert stored(service.registry) == before, cuts
            assert (service.do({"do": "groups"}), service.do({"do": "devices"})) == shown, cuts
        after = stored(service.registry)
        assert cuts > 5 and after != before
        return before, after

    (groups, keys, epochs), (groups_after, keys_after, epochs_after) = run_with_service(scenario)
    if request_["do"] == "replace":
        assert groups_after == groups and keys_after["old"] != keys["old"] and keys_after["desk"] == keys["desk"]
        assert epochs_after == [epoch + 1 for epoch in epochs], "more than one new epoch for an expulsion"


def test_an_unreadable_disk_keeps_the_state_in_memory(run_with_service):
    async def scenario(service):
        service.do({"do": "new", "group": "lamps"})
        service.do({"do": "provision", "name": "desk", "groups": {"lamps": "sender"}})
        error = RegistryError("disk I/O error")
        with failing(service.registry, 6, error, forever=True), pytest.raises(CommandError, match="disk I/O error"):
            service.do({"do": "provision", "name": "new", "groups": {"lamps": "sender"}})
        assert service.do({"do": "show", "group": "lamps"})["epoch"] == 1
        assert service.do({"do": "rekey", "group": "lamps"})["epoch"] == 2

    run_with_service(scenario)


def test_a_device_that_was_not_delivered_can_be_replaced(run_with_service):
    """The command was killed after the manager's answer, so the name is taken. The error names the command that replaces it."""

    async def scenario(service):
        service.do({"do": "new", "group": "lamps"})
        service.do({"do": "provision", "name": "desk", "groups": {"lamps": "sender"}})
        with pytest.raises(CommandError, match="dicectl provision replace desk"):
            service.do({"do": "provision", "name": "desk", "groups": {"lamps": "sender"}})
        for _ in range(2):
            assert service.do({"do": "replace", "name": "desk"})["groups"] == ["lamps"]
        (member,) = service.do({"do": "members", "group": "lamps"})
        assert member["role"] == "sender"

    run_with_service(scenario)
