# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The tasks of a running manager survive what fails for a moment, and report it; if one ends, the program ends (invariant 6)."""

import asyncio
import json
import sqlite3
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import dice
from dice.aio.wait import now
from dice.dtls.kx_psk import Psk
from dice.errors import PeerError
from dicectl.__main__ import cli as command
from dicectl.errors import CommandError
from dicectl.manager import control
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.sqlite import SqliteRegistry
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import VirtualNetwork
from host_tests import ports
from host_tests.unit.memory_registry import MemoryRegistry

DAY_S = 86_400


def failing_once(function, error):
    """Return a function that raises the error, and then calls `function`."""
    errors = [error]

    def call(*arguments):
        if errors:
            raise errors.pop()
        return function(*arguments)

    return call


def in_virtual_time(scenario, tmp_path):
    """Run `scenario(service)` with a service that re-keys a group each hour; its wall clock is `service.wall`, a list of one."""

    async def inside():
        loop = asyncio.get_running_loop()
        wall = [1_800_000_000]
        service = ManagerService(MemoryRegistry(lambda: wall[0] + loop.time()), tmp_path / "house.db")
        service.wall = wall
        service.do({"do": "new", "group": "lamps", "rekey_s": 3600})
        service.do({"do": "provision", "name": "desk", "groups": {"lamps": "sender"}})
        task = asyncio.ensure_future(service.rekey_when_due())
        await scenario(service)
        assert not task.done()
        task.cancel()
        service.kdc.close()

    VirtualNetwork(lambda sides: 0).run(inside)


@pytest.mark.parametrize(
    "error", [RegistryError("disk I/O error"), sqlite3.OperationalError("locked"), MemoryError(), KeyError("x")]
)
def test_a_failed_read_costs_no_re_key_and_is_shown(tmp_path, error):
    async def scenario(service):
        await asyncio.sleep(100)
        since = service.registry.since
        service.registry.since = failing_once(since, error)
        await asyncio.sleep(5)
        service.registry.since = since
        assert service.do({"do": "show", "group": "lamps"})["error"] in (str(error), repr(error))
        assert "the re-key of lamps" in service.troubles()
        await asyncio.sleep(3600)
        shown = service.do({"do": "show", "group": "lamps"})
        assert (shown["epoch"], shown["error"]) == (2, "")

    in_virtual_time(scenario, tmp_path)


def test_a_re_key_that_fails_stays_due_and_is_shown(tmp_path, monkeypatch):
    async def scenario(service):
        def full():
            raise RegistryError("database or disk is full")

        service.registry.before_write = full
        await asyncio.sleep(3700)
        service.registry.before_write = None
        shown = service.do({"do": "show", "group": "lamps"})
        assert shown["epoch"] == 1 and "disk is full" in shown["error"]
        await asyncio.sleep(2)
        assert service.do({"do": "show", "group": "lamps"})["epoch"] == 2

    in_virtual_time(scenario, tmp_path)


@pytest.mark.parametrize("jump_s", [-30 * DAY_S, -3000, -60, 60, 3000, 30 * DAY_S, 30 * 365 * DAY_S])
def test_a_clock_that_is_set_costs_one_re_key_at_most_and_delays_none(tmp_path, jump_s):
    async def scenario(service):
        await asyncio.sleep(1000)
        service.wall[0] += jump_s
        await asyncio.sleep(2605)
        epoch = service.do({"do": "show", "group": "lamps"})["epoch"]
        assert epoch == 2
        await asyncio.sleep(3600)
        assert service.do({"do": "show", "group": "lamps"})["epoch"] == 3

    in_virtual_time(scenario, tmp_path)


async def started(tmp_path):
    """Return a service with real sockets, and the port of its devices."""
    service = ManagerService(SqliteRegistry(tmp_path / "house.db"), tmp_path / "house.db")
    port = ports.free_port()
    await service.start(port, "127.0.0.1", timer_ms=200)
    return service, port


def test_a_look_up_that_fails_once_costs_one_handshake(tmp_path):
    async def main():
        service, port = await started(tmp_path)
        made = service.do({"do": "provision", "name": "desk", "groups": {}})
        psk = Psk(made["identity"].encode(), bytes.fromhex(made["key"]))
        devices = service.registry._devices
        service.registry._devices = SimpleNamespace(get=failing_once(devices.get, RegistryError("disk I/O error")))
        with pytest.raises(PeerError):
            await dice.connect(("127.0.0.1", port), psk, timer_ms=200)
        service.registry._devices = devices
        assert "a look-up of a key" in service.troubles()
        connection = await dice.connect(("127.0.0.1", port), psk, timer_ms=200)
        connection.close()
        await service.watch(0.1)
        service.close()
        service.registry.close()

    asyncio.run(main())


@pytest.mark.parametrize("part", ["devices", "rekey", "control"])
def test_a_part_that_ends_ends_the_manager_audibly(tmp_path, part):
    async def main():
        service, _ = await started(tmp_path)
        if part == "devices":
            service._serving.cancel()
        elif part == "rekey":
            service._rekeying.cancel()
        else:
            service._server.close()
        with pytest.raises(CommandError, match="the manager ends"):
            for _ in range(3):
                await service.watch(0.1)
        service.close()
        service.registry.close()

    asyncio.run(main())


def test_the_command_fails_with_one_line_if_its_service_fails(tmp_path, monkeypatch):
    serve = dice.serve

    async def broken(*arguments, **options):
        service = await serve(*arguments, **options)

        async def wait_closed():
            raise OSError(19, "No such device")

        service.wait_closed = wait_closed
        return service

    monkeypatch.setattr(dice, "serve", broken)
    result = CliRunner().invoke(
        command, ["manager", "run", str(tmp_path / "house.db"), "--new", "--port", str(ports.free_port()), "--host", "x"]
    )
    assert result.exit_code == 1
    assert "No such device" in " ".join(result.output.replace("│", "").split()) and "Traceback" not in result.output


def test_the_command_survives_a_registry_that_cannot_be_read_for_a_moment(tmp_path, monkeypatch):
    """It warns, and goes on until the registry fails no more; then this test ends it."""
    audit = SqliteRegistry.audit
    calls = []

    def fails(registry, after=0):
        calls.append(after)
        if len(calls) in (1, 2):
            raise RegistryError("disk I/O error")
        if len(calls) == 4:
            raise KeyboardInterrupt
        return audit(registry, after)

    monkeypatch.setattr(SqliteRegistry, "audit", fails)
    arguments = ["manager", "run", str(tmp_path / "house.db"), "--new", "--port", str(ports.free_port()), "--host", "x", "--json"]
    result = CliRunner().invoke(command, arguments)
    lines = [json.loads(line) for line in result.output.splitlines()]
    (trouble,) = [line for line in lines if line["event"] == "trouble"]
    assert (trouble["level"], trouble["what"], trouble["error"]) == ("warning", "the registry", "RegistryError: disk I/O error")
    assert len(calls) == 4


def test_a_request_that_fails_is_answered_and_ends_nothing(tmp_path):
    async def main():
        def handle(request):
            if request["do"] == "good":
                return 1
            raise {"os": OSError(5, "x"), "memory": MemoryError(), "value": ValueError("y"), "key": KeyError("z")}[request["do"]]

        path = tmp_path / "house.db"
        server = await control.serve(path, handle)
        for wrong in ("os", "memory", "value", "key"):
            with pytest.raises(CommandError, match="the manager failed: "):
                await asyncio.to_thread(control.call, path, wrong)
        reader, writer = await asyncio.open_unix_connection(str(path) + ".socket")
        writer.write(b"[]\n" + b"no JSON\n")
        assert "failed" in json.loads(await reader.readline())["failure"]
        writer.close()
        assert await asyncio.to_thread(control.call, path, "good") == 1
        server.close()

    asyncio.run(main())


@pytest.mark.parametrize("error", [MemoryError(), OSError(5), ValueError("x"), RegistryError("disk I/O error")], ids=repr)
def test_the_delivery_of_keys_survives_each_exception(tmp_path, error):
    """Also of one that comes from Manager.deadline()."""

    async def scenario(service):
        manager = service.managers["lamps"]
        manager.deadline = failing_once(manager.deadline, error)
        service.do({"do": "rekey", "group": "lamps"})
        await asyncio.sleep(200)
        shown = service.do({"do": "show", "group": "lamps"})
        assert (shown["epoch"], shown["active"]) == (2, True)
        assert service.kdc.errors() == {"lamps": error}

    in_virtual_time(scenario, tmp_path)


@pytest.mark.parametrize("error", [MemoryError(), OSError(5), ValueError("x")], ids=repr)
def test_the_watch_over_silent_devices_survives_each_exception(tmp_path, error):
    async def scenario(service):
        presence = service.kdc.presence
        presence.connected(b"lamp", now())
        presence.timeout = failing_once(presence.timeout, error)
        await asyncio.sleep(DAY_S)
        assert presence.state(b"lamp") == "silent" and service.kdc.error is error

    in_virtual_time(scenario, tmp_path)


@pytest.mark.parametrize("error", [MemoryError(), OSError(5), ValueError("x"), PeerError(None, 51)], ids=repr)
def test_a_push_that_fails_is_tried_again(tmp_path, error):
    class Session:
        ended = False
        requests = 0

        async def request(self, *request):
            self.requests += 1
            if self.requests == 1:
                raise error

        def close(self):
            pass

    async def scenario(service):
        session = Session()
        (identity,) = service.managers["lamps"].state.members
        service.kdc.connected[identity] = session
        service.kdc.changed("lamps")
        await asyncio.sleep(60)
        assert session.requests > 1
        del service.kdc.connected[identity]

    in_virtual_time(scenario, tmp_path)


def test_a_registry_that_cannot_be_written_is_a_problem_until_it_can(tmp_path):
    """So /healthz and `manager status` are well again without a change that somebody makes."""

    async def scenario(service):
        def full():
            raise RegistryError("database or disk is full")

        assert service.problems() == []
        service.registry.before_write = full
        with pytest.raises(CommandError, match="disk is full"):
            service.do({"do": "provision", "name": "late", "groups": {}})
        for _ in range(3):
            assert service.problems() == ["the registry cannot be written: database or disk is full"]
            await asyncio.sleep(6)
        service.registry.before_write = None
        await asyncio.sleep(6)
        assert service.problems() == []

    in_virtual_time(scenario, tmp_path)
