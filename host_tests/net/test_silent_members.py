# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Members that die, stop, sleep and leave, as the operator of the manager sees them. All programs are real."""

import contextlib
import json
import os
import re
import shlex
import signal
import sys

import pytest

from dicectl.manager import control
from host_tests.net.test_manager_command import ManagedSite

PERIOD_S = 10
SILENT_S = 21  # the period, a tenth of it, and 10 s
SLACK_S = 60  # of a busy machine
ALERT = "import sys; open('alerts', 'a').write(sys.stdin.read() + chr(10))"


class Site(ManagedSite):
    """A site whose members report often."""

    def manager(self):
        alert = shlex.join([sys.executable, "-c", ALERT])
        super().manager("--report-every", f"{PERIOD_S}s", "--alert-command", alert)

    def signal(self, name, number):
        os.kill(self.processes[name].pid, number)

    def members(self):
        """Return the members without starting a command: this is asked often."""
        return {member["device"]: member for member in control.call(self.folder / "house.db", "members", group="lamps")}

    def states(self):
        return {name: member["state"] for name, member in self.members().items()}

    def alerts(self):
        """Return (event, device) of all events that the alert command was given."""
        path = self.folder / "alerts"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(event["event"], event["device"]) for line in lines for event in json.loads(line)["events"]]


def _life(folder):
    with contextlib.closing(Site(folder)) as site:
        return _scenario(site)


def _scenario(site):
    seen = {}
    site.manager()
    site("group", "new", "lamps")
    site("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
    for name in ("lamp-1", "lamp-2", "lamp-3"):
        site.node(name, "--group", "lamps")
    site.node("cat", "--group", "lamps", sleep_s=600, awake_s=1)
    site.until(lambda: [site.states()[f"lamp-{n}"] for n in (1, 2, 3)] == ["connected"] * 3, "the lamps")
    site.until(lambda: site.states()["cat"] == "asleep", "the sleep")
    site("group", "send", "lamps", "on", "--as", "desk")
    site.until(lambda: site.states()["desk"] == "left", "the end of the command")
    seen["sleeper"] = site.members()["cat"]

    site.kill("lamp-1")
    site.signal("lamp-2", signal.SIGSTOP)
    for name in ("lamp-1", "lamp-2"):
        site.until(lambda name=name: site.states()[name] == "silent", name)
        seen[name] = site.members()[name]["heard_s"]
    seen["offline"] = site("group", "members", "lamps", "--offline")
    seen["list"] = site("provision", "list")
    seen["metrics"] = site.metrics()
    seen["rekeyed"] = site("group", "rekey", "lamps")
    seen["shown"] = site("group", "show", "lamps", "--json")
    site.until(lambda: {("silent", "lamp-1"), ("silent", "lamp-2")} <= set(site.alerts()), "the alerts")

    site.signal("lamp-2", signal.SIGCONT)
    site.until(lambda: site.members()["lamp-2"]["epoch"] == seen["shown"]["epoch"], "lamp-2 is back")
    site.until(lambda: ("back", "lamp-2") in site.alerts(), "the alert that it is back")
    seen["back"] = site.states()["lamp-2"]

    site.signal("lamp-3", signal.SIGSTOP)
    site.kill("manager")
    site.manager()
    seen["restarted"] = site("group", "rekey", "lamps", "--no-wait")
    seen["log"] = site.log("manager")
    return seen


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    from host_tests.net.conftest import _run

    return _run(False, _life, tmp_path_factory.mktemp("house"))


@pytest.mark.parametrize("name", ["lamp-1", "lamp-2"])
def test_a_member_that_is_killed_or_stopped_is_silent_within_the_stated_time(life, name):
    """D1: "connected" for 31 minutes, then the operator stopped looking."""
    assert SILENT_S <= life[name] <= SILENT_S + 5 + SLACK_S


def test_members_that_are_offline_are_listed_with_why(life):
    lines = life["offline"].splitlines()
    assert [re.split(r"  +", line)[0] for line in lines] == ["lamp-1", "lamp-2", "desk", "cat"], lines
    states = (r"silent for \d+ \w+", r"silent for \d+ \w+", r"left \d+ \w+ ago", r"asleep, back in \d+ min")
    for line, state in zip(lines, states, strict=True):
        assert re.search(state + "$", line), line
    assert re.search(r"lamp-3 +\w+ +connected, heard \d+ s ago +lamps", life["list"])
    assert 0 < life["sleeper"]["back_s"] <= 601


def test_a_re_key_does_not_wait_for_members_that_are_away(life):
    """D13: 90 s."""
    found = r"epoch 2 in use by all 1 that are awake; 4 will fetch it later: lamp-\d \(silent for .*\), desk \(left"
    assert re.search(found, life["rekeyed"]), life["rekeyed"]
    assert life["shown"]["awake"] == ["lamp-3"] and life["shown"]["in_use"] and not life["shown"]["settled"]


def test_metrics_tell_who_is_silent(life):
    for line in ('dice_members_silent{group="lamps"} 2.0', 'dice_members_awake{group="lamps"} 1.0', "dice_sessions 1.0"):
        assert line in life["metrics"].splitlines(), life["metrics"]
    assert re.search(r'^dice_member_last_heard_seconds{device="lamp-1",group="lamps"} \d+', life["metrics"], re.MULTILINE)


def test_a_member_that_comes_back_gets_the_keys_and_is_connected(life):
    assert life["back"] == "connected"
    assert '"event": "back"' in life["log"] and '"event": "silent"' in life["log"]


def test_after_a_start_the_keys_are_not_said_to_be_in_use(life):
    """D2: "epoch 3 in use" when nobody had it."""
    found = r"\(started \d+ s ago\): .* called back; the old keys are in use until they are here: .*lamp-3"
    assert re.search(found, life["restarted"]), life["restarted"]
