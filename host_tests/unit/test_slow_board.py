# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Boards that boot, are busy, answer late or print: dicectl waits, and prints nothing of it. A board is a double on a real port."""

import pytest

from dicectl.board import raw_repl
from dicectl.board.raw_repl import Device, DeviceError
from dicectl.errors import NO_DEVICE, CommandError
from host_tests.slow_board import SlowBoard

AGAIN_S = 0.1  # instead of 5 s, so that these boards are slow by comparison


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(raw_repl, "_AGAIN_S", AGAIN_S)
    monkeypatch.setattr(raw_repl, "_GREETING_S", 100 * AGAIN_S)
    monkeypatch.setattr(raw_repl, "_READ_S", 0.02)


@pytest.mark.parametrize("pastes", [True, False])
@pytest.mark.parametrize(
    "board",
    [
        {},
        {"thinks_s": 0.05},
        {"thinks_s": 0.15},  # it was greeted twice before it answers
        {"thinks_s": 0.25},
        {"deaf_s": 0.25},
        {"deaf_s": 0.15, "thinks_s": 0.15},
        {"holds": 1},
        {"holds": 3, "thinks_s": 0.15},
        {"noise": b"ets Jul 29 2019\xff\x00 rst:0x1\r\n>>> raw REPL; CTRL-B to \r\n>\x04\x04>"},
        {"noise": b"hello\r\n" * 500, "thinks_s": 0.15},
    ],
    ids=lambda board: ",".join(board) or "quick",
)
def test_a_board_that_is_slow_is_waited_for_and_nothing_else_is_printed(hurried, capfd, board, pastes):
    """However many greetings it takes, their late answers are taken for nothing else."""
    with SlowBoard(pastes=pastes, **board) as slow, Device(slow.port) as device:
        assert device.run("x = 20\nprint(x + 1, '>' * 600)") == f"21 {'>' * 600}\r\n"
        device.run("def double(value):\n print(repr(value * 2))")
        assert device.call("double", "a>\x04b") == ["a>\x04ba>\x04b"]
        with pytest.raises(DeviceError, match="ZeroDivisionError"):
            device.run("1 / 0")
    assert capfd.readouterr() == ("", "")


def test_a_board_that_needs_more_than_a_second_for_each_answer_is_used_with_the_real_times(capfd):
    with SlowBoard(thinks_s=1.2) as slow, Device(slow.port) as device:
        assert device.run("print(3)") == "3\r\n"
    assert capfd.readouterr() == ("", "")


def test_two_commands_follow_each_other_on_a_slow_board(hurried, capfd):
    """The second one gets late answers to the first one, such as that to its soft reset."""
    with SlowBoard(thinks_s=0.15) as slow:
        for number in range(2):
            with Device(slow.port) as device:
                assert device.run(f"print({number})") == f"{number}\r\n"
    assert capfd.readouterr() == ("", "")


def test_a_board_that_stops_answering_is_reported_in_one_line(hurried, monkeypatch, capfd):
    for name in ("_ANSWER_S", "_SENDING_S"):
        monkeypatch.setattr(raw_repl, name, 0.5 / raw_repl._EMULATED)
    with SlowBoard() as slow:
        with pytest.raises(CommandError, match="stopped answering") as caught, Device(slow.port) as device:
            slow._deaf_s = 1e9
            device.run("print(1)")
        monkeypatch.setattr(raw_repl, "_GREETING_S", 0.5)
        assert caught.value.exit_code == NO_DEVICE
        with pytest.raises(CommandError, match="no MicroPython answers") as caught, Device(slow.port):
            pass
    assert caught.value.exit_code == NO_DEVICE
    assert capfd.readouterr() == ("", "")


def test_what_answers_but_runs_no_code_is_no_board(hurried, monkeypatch):
    """Such as another REPL, or an echo."""
    for name in ("_ANSWER_S", "_SENDING_S"):
        monkeypatch.setattr(raw_repl, name, 0.5 / raw_repl._EMULATED)
    with SlowBoard(thinks_s=0.15) as slow:
        slow._run = lambda begin: slow._say(b"OK\x04\x04>")
        with pytest.raises(CommandError, match="no MicroPython answers"), Device(slow.port):
            pass
