# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""firmware/app: the push button that makes a node a switch. Pins and groups are doubles."""

import asyncio
import json
import types

import pytest

from dice.errors import UsageError
from host_tests.unit.test_app import FakeManagedGroup, _node, app, machine  # noqa: F401 - a fixture


class FakeSender:
    """A group of which this node is a sender; `lost` are the numbers of the messages that raise."""

    def __init__(self, *lost):
        self.sent = []
        self.lost = lost

    async def send(self, message):
        self.sent.append(message)
        if len(self.sent) in self.lost:
            raise OSError(113)


def test_a_button_switches_the_groups_at_each_press_and_more_than_once(app, capsys):  # noqa: F811
    """It bounces, its light fails, and a message does not get out."""
    buttons = app("buttons")
    levels = iter([1, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1])
    node = _node(app, {}, FakeManagedGroup(), [])
    node._light = lambda on: 1 / 0
    group, listener = FakeSender(2), FakeSender()

    async def no_sender(message):
        raise UsageError(30)

    listener.send = no_sender
    node.groups = {
        "lamps": types.SimpleNamespace(group=group),
        "fans": types.SimpleNamespace(group=listener),
        "new": FakeManagedGroup(),
    }
    node._button = lambda: next(levels) == 0
    buttons._POLL_S = 0
    with pytest.raises(RuntimeError):  # the levels are over
        asyncio.run(node._watch_button())
    assert group.sent == [b"on"] * 3 + [b"off"] * 3
    assert capsys.readouterr().out.count("trouble: ZeroDivisionError") == 2


def test_a_node_without_a_button_watches_none(app):  # noqa: F811
    asyncio.run(asyncio.wait_for(_node(app, {}, FakeManagedGroup(), [])._watch_button(), 5))


@pytest.mark.parametrize("name, pins, pin", [("BUTTON", None, 14), ("BUTTON", {"BUTTON": 9}, 9), (4, {"BUTTON": 9}, 4)])
def test_the_pin_of_a_button_is_that_of_the_board(app, monkeypatch, tmp_path, name, pins, pin):  # noqa: F811
    class Pin:
        IN, PULL_UP = "in", "up"

        def __init__(self, number, mode, pull):
            assert (number, mode, pull) == (pin, "in", "up")

        def value(self):
            return 0

    machine(monkeypatch, Pin=Pin)
    if pins:
        (tmp_path / "pins.json").write_text(json.dumps(pins))
    assert app("buttons").make(name)() is True


def test_a_board_without_the_pin_of_the_button_says_which_file_must_name_it(app, monkeypatch):  # noqa: F811
    def no_pin(*_):
        raise ValueError("invalid pin")

    no_pin.IN = no_pin.PULL_UP = 0
    machine(monkeypatch, Pin=no_pin)
    with pytest.raises(
        ValueError, match=r"invalid pin: app\.json or pins\.json must name a pin of this board for the button, not X"
    ):
        app("buttons").make("X")()
