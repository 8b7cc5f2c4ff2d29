# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The audit log by command and in a running manager: parts of it, exported, and pruned by age."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from dice.group.manager import LISTENER
from dicectl.__main__ import cli
from dicectl.manager import control
from dicectl.manager.registry import opening
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.retention import ACKNOWLEDGED_KEEP_S, CHUNK, DATE, FOLLOWED_DAYS, HELD_BACK_S, KEEP, Retention
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import VirtualNetwork
from host_tests.registries import group
from host_tests.unit.memory_registry import MemoryRegistry

DAY_S = 86_400


@pytest.fixture
def log(backend, monkeypatch):
    """A registry with an entry for each of ten days, which began at 1,000 days, as the commands see it now, on day 1,010."""
    now = [1000.0 * DAY_S]
    monkeypatch.setattr("time.time", lambda: now[0])
    registry = backend.open(now=lambda: now[0])
    for number in range(10):
        registry.log("told", device=f"lamp-{number}")
        now[0] += DAY_S
    registry.close()
    return backend


def run(*arguments, status=0):
    """Run `dicectl manager audit`; return the lines it prints."""
    result = CliRunner().invoke(cli, ["manager", "audit", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.output.splitlines()


def numbers(*arguments):
    return [json.loads(line)["number"] for line in run(*arguments, "--json")]


def test_parts_of_the_log_are_printed(log, monkeypatch):
    monkeypatch.setattr(opening, "_PART", 3)  # so that it is read in parts
    assert numbers(log.name) == [*range(1, 11)]
    assert numbers(log.name, "--last", 2) == [9, 10]
    assert numbers(log.name, "--since", "3d") == [8, 9, 10]
    assert numbers(log.name, "--since", "36h", "--last", 5) == [10]
    assert numbers(log.name, "--since", "1972-10-05") == [9, 10]
    assert len(run(log.name)) == 10 and "lamp-9" in run(log.name, "--last", 1)[0]
    assert "is no time" in " ".join(run(log.name, "--since", "yesterday", status=2))


def test_the_log_is_exported_into_a_new_private_file(log, tmp_path):
    path = tmp_path / "out.jsonl"
    run(log.name, "--export", path, "--last", 4)
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [7, 8, 9, 10]
    assert path.stat().st_mode & 0o777 == 0o600
    run(log.name, "--export", path, status=2)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    run(log.name, "--export", tmp_path / "link", status=2)
    assert not (tmp_path / "target").exists()


def test_the_log_is_pruned_without_a_manager(log, tmp_path):
    path = tmp_path / "old.jsonl"
    assert run(log.name, "--prune", "4d", "--dry-run", "--json") == ['{"pruned": 6, "dry_run": true}']
    assert numbers(log.name) == [*range(1, 11)]
    run(log.name, "--prune", "4d", "--last", 3, status=2)
    run(log.name, "--dry-run", status=2)
    assert run(log.name, "--prune", "4d", "--export", path)[-1] == "6 entries are deleted"
    assert len(path.read_text().splitlines()) == 6
    assert numbers(log.name) == [7, 8, 9, 10, 11]
    assert run(log.name, "--prune", "4d") == ["0 entries are deleted"]
    assert "pruned" in run(log.name, "--last", 1)[0] and "entries 6" in run(log.name, "--last", 1)[0]


def test_the_time_for_which_entries_are_kept_is_set_without_a_manager(log):
    assert run(log.name, "--keep", "365d") == ["entries are kept for 365 days"]
    registry = log.open()
    assert registry.setting(KEEP) == 365 * DAY_S and registry.setting(DATE) >= 1010 * DAY_S
    registry.close()
    run(log.name, "--keep", "0")
    assert len(run(log.name)) == 10


def test_a_running_manager_prunes_its_log_itself(log, tmp_path):
    async def main():
        registry = log.open()
        service = ManagerService(registry, tmp_path / "socket")
        server = await control.serve(tmp_path / "socket", service.do)
        try:
            options = (log.name, "--prune", "4d", "--control", tmp_path / "socket", "--json")
            lines = await asyncio.get_running_loop().run_in_executor(None, lambda: run(*options))
            assert lines == ['{"pruned": 6, "dry_run": false}']
            options = (log.name, "--keep", "5d", "--control", tmp_path / "socket")
            await asyncio.get_running_loop().run_in_executor(None, lambda: run(*options))
            assert registry.setting(KEEP) == 5 * DAY_S
            registry.log("next")
            assert [entry["number"] for entry in registry.read_audit(0, None)] == [7, 8, 9, 10, 11, 12]
        finally:
            server.close()
            service.kdc.close()
            registry.close()

    asyncio.run(main())


def test_a_date_that_has_jumped_ahead_prunes_nothing_until_the_operator_says_that_it_is_right(log, tmp_path):
    now = [1010.0 * DAY_S]
    registry = log.open(now=lambda: now[0])
    registry.store_setting(KEEP, 90 * DAY_S)

    def numbers():
        return [entry["number"] for entry in registry.read_audit(0, None)]

    service = ManagerService(registry, tmp_path / "socket")
    retention = Retention(registry)
    now[0] += 120 * DAY_S
    assert not retention.prune(120) and numbers() == [*range(1, 11)]
    (problem,) = [problem for problem in service.problems() if "audit" in problem]
    assert "120 days ahead" in problem and "as on 1972-10-06" in problem and "dicectl manager audit --keep 90d" in problem
    now[0] -= 120 * DAY_S
    assert not retention.prune(120) and numbers() == [*range(1, 11)] and retention.problems() == []
    now[0] += 120 * DAY_S
    for _ in range(int((120 * DAY_S - HELD_BACK_S) / (FOLLOWED_DAYS * DAY_S)) + 1):
        assert retention.problems()
        retention.prune(DAY_S)
    assert retention.problems() == []
    registry.log("told")
    now[0] += 120 * DAY_S
    service.do({"do": "audit_keep", "keep_s": 100 * DAY_S})
    assert retention.problems() == [] and not retention.prune() and len(numbers()) == 1  # which says how many were pruned
    service.kdc.close()
    registry.close()


def test_acknowledgements_are_kept_for_thirty_days_and_other_entries_as_configured():
    """In a year, with a re-key each day, the rows of acknowledgements do not grow beyond those of thirty days."""

    async def main(keep_s):
        loop = asyncio.get_running_loop()
        registry = MemoryRegistry(now=loop.time)
        retention = Retention(registry)
        registry.store_setting(KEEP, keep_s)
        retention.start(loop.call_later)
        manager = group(registry)
        devices = [registry.enrol(f"lamp-{number}")[0] for number in range(5)]
        manager.add(devices, LISTENER, 0)
        for _ in range(100):
            for identity in devices:
                manager.acknowledge(identity, manager.state.epoch, 0)
            await asyncio.sleep(DAY_S)
            manager.rekey(0)
        retention.stop()
        events = [entry["event"] for entry in registry.read_audit(0, None)]
        return events.count("acknowledged"), events.count("epoch")

    for keep_s, epochs in ((0, 101), (40 * DAY_S, 41)):
        acknowledged, kept = VirtualNetwork(lambda sides: 0).run(lambda keep_s=keep_s: main(keep_s))
        days = ACKNOWLEDGED_KEEP_S // DAY_S
        assert 5 * (days - 1) <= acknowledged <= 5 * (days + 1)
        assert abs(kept - epochs) <= 1


def test_a_long_log_is_pruned_in_parts_and_an_error_is_survived():
    timers, calls, checkpoints = [], [], []

    class Long:
        last_entry = 0

        def store_setting(self, name, value):
            assert (name, value) == (DATE, 1e9)

        def now(self):
            return 1e9

        def setting(self, name):
            return None

        def checkpoint(self):
            checkpoints.append(1)
            raise RegistryError("disk I/O error")

        def prune(self, before, event, limit):
            calls.append((before, event, limit))
            if len(calls) == 3:
                raise RegistryError("disk I/O error")
            return CHUNK if len(calls) < 2 else 0

    retention = Retention(Long())
    retention.start(lambda seconds, function: timers.append((seconds, function)))
    waits = []
    for _ in range(8):
        seconds, function = timers.pop(0)
        waits.append(seconds)
        function()
    assert waits == [60.0, 60.0, 1.0, 60.0, 3600.0, 60.0, 3600.0, 60.0] and (len(calls), len(checkpoints)) == (4, 4)
    assert calls[0] == (1e9 - ACKNOWLEDGED_KEEP_S, "acknowledged", CHUNK)
    retention.stop()
    while timers:
        timers.pop()[1]()
    assert (len(calls), len(checkpoints)) == (4, 4)
