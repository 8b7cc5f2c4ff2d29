# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""manager/operating/standby.py: what a manager answers while it waits, and how it begins. The leader is a double."""

import asyncio
import json
import threading
from types import SimpleNamespace

import pytest

from dicectl import sd_notify
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager import control
from dicectl.manager.election import lease
from dicectl.manager.election.fenced import Alone
from dicectl.manager.operating import log_format as log
from dicectl.manager.operating.standby import Standby, locked

ADDRESS = {"host": "b.house", "port": 5684}


class Double(Alone):
    """A leader that wins when the test lets it; `looped_at` has each time at which the event loop said that it runs."""

    number = None

    def __init__(self):
        self.wins = False
        self.active = (1, "a (process 1)", 1_800_000_000.0)
        self.loops = 0
        self.started = False

    def campaign(self):
        return self.wins

    def start(self):
        self.started = True

    def looped(self):
        self.loops += 1


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(lease, "POLL_S", 0.01)
    monkeypatch.setattr(lease, "LOOP_S", 0.01)


def run(scenario, tmp_path, log_format=log.PLAIN):
    """Run `scenario(standby, leader, ask, waiting)`; `ask(request)` sends a request by the socket, from a thread."""

    async def main():
        leader = Double()
        standby = Standby(leader, tmp_path / "b", ADDRESS, log_format)
        waiting = asyncio.ensure_future(standby.wait())
        await asyncio.sleep(0.05)

        async def ask(request, **more):
            return await asyncio.get_running_loop().run_in_executor(None, lambda: control.call(tmp_path / "b", request, **more))

        return await scenario(standby, leader, ask, waiting)

    return asyncio.run(main())


def test_it_says_who_is_active_and_refuses_the_rest_in_one_line(tmp_path, capsys):
    async def scenario(standby, leader, ask, waiting):
        status = await ask("status")
        assert status["role"] == "standby" and "a (process 1), since 20" in status["waits"] and status["problems"] == []
        assert status["host"] == "b.house"
        for request in ({"request": "rekey", "group": "lamps"}, {"request": "groups"}):
            with pytest.raises(CommandError) as raised:
                await ask(**request)
            said = raised.value.format_message()
            assert "standby: the active manager is a (process 1)" in said and "\n" not in said and raised.value.exit_code == FAILED
        leader.active, leader.error = None, "connection refused"
        assert "connection refused" in (await ask("status"))["problems"][0]
        leader.error = None
        assert "about to" in (await ask("status"))["waits"]
        leader.wins = True
        assert await waiting is True
        with pytest.raises(CommandError, match="no manager runs"):
            await ask("status")

    run(scenario, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert (2 <= len(lines) <= 5 and lines[0].endswith("2027-01-15 08:00:00")) or "standby: the active manager is a" in lines[0]
    assert lines[-1].endswith("this manager is the active one now")


def test_it_ends_on_request_without_having_led(tmp_path):
    async def scenario(standby, leader, ask, waiting):
        await ask("stop")
        assert await waiting is False and not leader.started

    run(scenario, tmp_path)


def test_it_is_ready_when_it_waits_and_not_when_it_has_yet_to_serve(tmp_path, monkeypatch):
    """`--detach` returned when the first manager of a database led, and its control socket was not there yet."""
    sent = []
    monkeypatch.setattr(sd_notify, "notify", lambda *states: sent.extend(states))

    async def scenario(standby, leader, ask, waiting):
        await asyncio.sleep(0.05)
        assert sent.count(sd_notify.READY) == 1
        leader.wins = True
        await waiting
        sent.clear()
        assert await Standby(leader, tmp_path / "a", ADDRESS).wait() and sd_notify.READY not in sent

    run(scenario, tmp_path)


def test_its_lines_can_be_json(tmp_path, capsys):
    async def scenario(standby, leader, ask, waiting):
        leader.wins = True
        await waiting

    run(scenario, tmp_path, log.JSON)
    assert all(json.loads(line)["event"] == "standby" for line in capsys.readouterr().out.splitlines())


def test_systemd_learns_that_it_is_alive_while_the_registry_is_opened(tmp_path, monkeypatch):
    """A database that is slow, or a migration, takes longer than the 30 s of WatchdogSec: it was killed while it took over."""
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    sent = []
    monkeypatch.setattr(sd_notify, "notify", lambda *states: sent.append(states))

    async def scenario(standby, leader, ask, waiting):
        leader.wins = True
        await waiting
        sent.clear()
        opens = threading.Event()
        leader.looped = lambda: opens.set() if len(sent) > 6 else None
        await standby.lead(lambda: opens.wait(10) or pytest.fail("nothing was said"))
        assert sent.count((sd_notify.ALIVE,)) > 2 and (sd_notify.status("opening the registry"),) in sent

    run(scenario, tmp_path)


def test_its_event_loop_runs_while_the_registry_is_opened(tmp_path):
    """A registry of thousands takes seconds to read, in which the lease would end."""
    import time

    async def scenario(standby, leader, ask, waiting):
        leader.wins = True
        await waiting
        assert await standby.lead(lambda: time.sleep(0.3) or "opened") == "opened"
        assert leader.started and leader.loops > 5

        def fails():
            raise CommandError("cannot use it", USAGE)

        with pytest.raises(CommandError, match="cannot use it"):
            await standby.lead(fails)

    run(scenario, tmp_path)


def test_two_managers_of_one_computer_need_two_sockets(tmp_path):
    with locked(tmp_path / "a"), locked(tmp_path / "b"), pytest.raises(CommandError, match="--control"), locked(tmp_path / "a"):
        pass
    with locked(tmp_path / "a"):
        pass


def test_its_page_says_that_it_is_not_ready(tmp_path):
    """A probe leaves a standby alone as long as it could take the place of the active one."""
    seen = []

    async def scenario(standby, leader, ask, waiting):
        standby._http = SimpleNamespace(standby=lambda text, problems: seen.append((text, problems)))
        await asyncio.sleep(0.05)
        leader.error = "connection refused"
        await asyncio.sleep(0.05)
        leader.wins = True
        await waiting

    run(scenario, tmp_path)
    assert seen[0][0].startswith("standby: the active manager is a") and seen[0][1] == []
    assert "connection refused" in seen[-1][1][0]
