# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The table that a manager shows on a terminal. The service is a double, the table is real."""

from types import SimpleNamespace

from rich.console import Console

from dicectl.manager.dashboard import Dashboard


class FakeService:
    """A service with two groups; one of them waits for a member."""

    registry = SimpleNamespace(audit=lambda after=0: [], last_entry=0)
    managers = ("halls", "lamps")

    def do(self, request):
        """Answer a request as manager.service.ManagerService does."""
        if request["do"] == "show":
            return {"name": request["group"], "epoch": 4, "active": request["group"] == "halls"}
        late = request["group"] == "lamps"
        members = [{"device": "switch", "role": "sender", "id": 1, "epoch": 4, "connected": True}]
        return members + [{"device": "lamp", "role": "listener", "id": None, "epoch": 3, "connected": False}] * late


def rows(table):
    """Return the rows of the table as printed."""
    console = Console(width=120)
    with console.capture() as captured:
        console.print(table)
    return [line.split() for line in captured.get().splitlines() if line.strip()]


def test_groups_and_devices_with_trouble_come_first():
    head, _, *members = rows(Dashboard(FakeService(), False).table())
    assert head == ["group", "epoch", "member", "role", "id", "has", "epoch", "session"]
    assert members == [
        ["lamps", "4", "(pending)", "lamp", "listener", "3", "-"],
        ["halls", "4", "switch", "sender", "1", "4", "open"],
        ["lamps", "4", "(pending)", "switch", "sender", "1", "4", "open"],
    ]
