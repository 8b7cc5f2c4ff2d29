# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The alert command of a manager: what it is given, and what it cannot do to the manager. The command is real."""

import asyncio
import json
import shlex
import sys

import pytest

from dicectl.errors import CommandError
from dicectl.manager.operating import alerts
from host_tests.patience import PATIENCE_S

SCRIPT = """
import json, os, sys, time
given = json.load(sys.stdin)
with open({log!r}, "a") as log:
    environment = {{name: value for name, value in os.environ.items() if name.startswith("DICE_")}}
    log.write(json.dumps({{"pid": os.getpid(), **given, **environment}}) + chr(10))
while os.path.exists({hold!r}):
    time.sleep(0.01)
sys.exit({status})
"""


class Command:
    """The command: it notes what it is given, ends with `status`, and not as long as the file `hold` is there."""

    def __init__(self, folder, status=0):
        self.hold = folder / "hold"
        self._log = folder / "log"
        script = folder / "alert.py"
        script.write_text(SCRIPT.format(log=str(self._log), hold=str(self.hold), status=status))
        self.line = shlex.join([sys.executable, str(script)])

    def starts(self):
        """Return what each start was given."""
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []

    async def until(self, reached):
        for _ in range(int(PATIENCE_S / 0.01)):
            if reached(self.starts()):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(self.starts())


def silent(device, **more):
    return {"event": "silent", "device": device, "groups": ["lamps"], "text": f"{device} is silent for 12 min", **more}


def test_the_command_is_given_the_event_as_json_and_in_its_environment(tmp_path):
    async def main():
        command = Command(tmp_path)
        runner = alerts.Alerts(command.line)
        runner.add(silent("lamp-4; rm -rf $HOME"))
        await runner._task
        (start,) = command.starts()
        assert start["events"] == [silent("lamp-4; rm -rf $HOME")] and start["missed"] == 0
        assert start["DICE_EVENT"] == "silent" and start["DICE_DEVICE"] == "lamp-4; rm -rf $HOME"
        assert start["DICE_GROUP"] == "lamps" and start["DICE_COUNT"] == "1" and "12 min" in start["DICE_TEXT"]
        runner.add({"event": "re-key failed", "group": "lamps", "text": "the re-key of lamps has failed"})
        await runner._task
        assert command.starts()[1]["DICE_GROUP"] == "lamps" and command.starts()[1]["DICE_DEVICE"] == ""
        assert runner.error is None

    asyncio.run(main())


def test_one_command_runs_at_a_time_and_is_given_all_that_has_happened_meanwhile(tmp_path):
    """Two hundred lamps that lose power together start it three times, not two hundred times."""

    async def main():
        command = Command(tmp_path)
        command.hold.touch()
        runner = alerts.Alerts(command.line)
        runner.add(silent("lamp-0"))
        await command.until(len)
        for number in range(150):
            runner.add(silent(f"lamp-{number}"))
            runner.add({**silent(f"lamp-{number}"), "event": "back"})  # of each device, the newest counts
        await asyncio.sleep(0.05)
        assert len(command.starts()) == 1
        command.hold.unlink()
        await runner._task
        _, second, third = command.starts()
        assert len(second["events"]) == 100 and len(third["events"]) == 50
        assert {event["event"] for event in second["events"]} == {second["DICE_EVENT"]} == {"back"}
        assert second["DICE_COUNT"] == "100" and second["DICE_DEVICE"] == "" and len(second["DICE_TEXT"]) <= 1000

    asyncio.run(main())


def test_what_waits_is_bounded(tmp_path):
    async def main():
        command = Command(tmp_path)
        command.hold.touch()
        runner = alerts.Alerts(command.line)
        runner.add(silent("first"))
        await command.until(len)
        for number in range(5000):
            runner.add(silent(f"lamp-{number}"))
        assert len(runner._pending) == alerts.PENDING_MAX
        command.hold.unlink()
        await command.until(lambda starts: len(starts) > 1)
        assert command.starts()[1]["missed"] == 4000
        runner.close()

    asyncio.run(main())


def test_a_command_that_hangs_is_ended_and_the_manager_goes_on_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr(alerts, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(alerts, "RETRY_S", (0.01,))

    async def main():
        command = Command(tmp_path)
        command.hold.touch()
        runner = alerts.Alerts(command.line)
        runner.add(silent("lamp-1"))
        turns = 0
        while not runner.error:
            await asyncio.sleep(0.01)
            turns += 1
        assert turns >= 10 and "more than 0.5 s" in str(runner.error)
        command.hold.unlink()
        await runner._task
        assert [start["events"] for start in command.starts()] == [[silent("lamp-1")]] * 2, "it was given again"

    asyncio.run(main())


def test_a_command_that_fails_is_started_again_with_the_same_events(tmp_path, monkeypatch):
    """They were lost: a network that is away silences a lamp and `curl` at once."""
    monkeypatch.setattr(alerts, "RETRY_S", (0.01,))

    async def main():
        command = Command(tmp_path, status=3)
        runner = alerts.Alerts(command.line)
        runner.add(silent("lamp-1"))
        runner.add(silent("lamp-2"))
        await command.until(lambda starts: len(starts) == 2)
        assert "ended with status 3" in str(runner.error)
        runner.add({**silent("lamp-1"), "event": "back"})
        Command(tmp_path)
        await runner._task
        assert runner.error is None and runner.problems() == [] and runner.lost == 0
        told = {event["device"]: event["event"] for start in command.starts() for event in start["events"]}
        assert told == {"lamp-1": "back", "lamp-2": "silent"}, "a newer event replaces an older one"
        assert {event["device"] for event in command.starts()[1]["events"]} == {"lamp-1", "lamp-2"}

    asyncio.run(main())


def test_events_are_tried_a_few_times_and_then_lost_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(alerts, "RETRY_S", (0, 0))

    async def main():
        command = Command(tmp_path)
        runner = alerts.Alerts(command.line)
        argv, runner._argv = runner._argv, ["/nonexistent"]
        for number in range(120):
            runner.add(silent(f"lamp-{number}"))
        starts = []
        start = runner._start

        async def counted(events, missed):
            starts.append(len(events))
            await start(events, missed)

        runner._start = counted
        await runner._task
        assert isinstance(runner.error, FileNotFoundError) and runner.lost == 120
        assert starts == [100] * alerts.TRIES_MAX + [20] * alerts.TRIES_MAX
        assert "120 are lost" in runner.problems()[0]
        runner._argv = argv
        runner.add(silent("later"))
        await runner._task
        assert [start["missed"] for start in command.starts()] == [120] and runner.lost == 120 and runner.problems() == []

    asyncio.run(main())


def test_what_waits_for_a_command_that_fails_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(alerts, "PENDING_MAX", 5)
    monkeypatch.setattr(alerts, "RETRY_S", (0.01,))

    async def main():
        runner = alerts.Alerts(Command(tmp_path, status=1).line)
        for number in range(20):
            runner.add(silent(f"lamp-{number}"))
            await asyncio.sleep(0.02)
            assert len(runner._pending) <= 5
        runner.close()
        assert runner.lost >= 10

    asyncio.run(main())

    asyncio.run(main())


@pytest.mark.parametrize("line", ["", "'", "no-such-program --now"])
def test_a_command_that_cannot_be_started_is_refused_at_once(line):
    with pytest.raises(CommandError, match="--alert-command"):
        alerts.Alerts(line)
