# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The table that a manager shows on a terminal. The service is a double, the table is real."""

import json
from types import SimpleNamespace

from rich.console import Console

from dicectl.manager.operating.dashboard import Dashboard


class FakeService:
    """A service with two groups; one of them waits for a member."""

    registry = SimpleNamespace(audit=lambda after=0: [], last_entry=0)
    managers = ("halls", "lamps")

    def do(self, request):
        """Answer a request as manager.service.ManagerService does."""
        if request["do"] == "show":
            return {"name": request["group"], "epoch": 4, "active": request["group"] == "halls"}
        late = request["group"] == "lamps"
        members = [{"device": "switch", "role": "sender", "id": 1, "epoch": 4, "state": "connected", "heard_s": 3}]
        members += [{"device": "cat", "role": "listener", "id": None, "epoch": 4, "state": "asleep", "heard_s": 9, "back_s": 240}]
        members += [{"device": "lamp", "role": "listener", "id": None, "epoch": 3, "state": "left", "heard_s": 60}] * late
        return members + [{"device": "fan", "role": "listener", "id": None, "epoch": 4, "state": "silent", "heard_s": 720}] * late


def rows(table):
    """Return the rows of the table as printed."""
    console = Console(width=120)
    with console.capture() as captured:
        console.print(table)
    return [line.split() for line in captured.get().splitlines() if line.strip()]


def test_groups_and_devices_with_trouble_come_first():
    head, _, *members = rows(Dashboard(FakeService(), False).table())
    assert head == ["group", "epoch", "member", "role", "id", "has", "epoch", "state"]
    connected = ["connected,", "heard", "3", "s", "ago"]
    asleep = ["asleep,", "back", "in", "4", "min"]
    assert members == [
        ["lamps", "4", "(pending)", "fan", "listener", "4", "silent", "for", "12", "min"],
        ["lamps", "4", "(pending)", "lamp", "listener", "3", "left", "1", "min", "ago"],
        ["halls", "4", "cat", "listener", "4", *asleep],
        ["lamps", "4", "(pending)", "cat", "listener", "4", *asleep],
        ["halls", "4", "switch", "sender", "1", "4", *connected],
        ["lamps", "4", "(pending)", "switch", "sender", "1", "4", *connected],
    ]


def test_events_are_printed_with_their_time(capsys):
    dashboard = Dashboard(FakeService(), "json")
    dashboard.happened({"event": "silent", "at": 0, "text": "lamp is silent for 12 min", "device": "lamp"})
    dashboard.happened({"event": "back", "at": 0, "text": "lamp is back", "device": "lamp"})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["level"], line["event"], line["device"]) for line in lines] == [
        ("warning", "silent", "lamp"),
        ("info", "back", "lamp"),
    ]
    Dashboard(FakeService()).happened({"event": "silent", "at": 0, "text": "lamp is silent for 12 min", "device": "lamp"})
    assert "lamp is silent for 12 min" in capsys.readouterr().out
