# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Boards that boot, are busy, answer late or print: dicectl waits, and prints nothing of it. A board is a double on a real port."""

import pytest

from dicectl import resources
from dicectl.board import raw_repl
from dicectl.board.raw_repl import Device, DeviceError
from dicectl.errors import FAILED, NO_DEVICE, CommandError
from host_tests.slow_board import SlowBoard

SCRIPT = """
def double(value):
    print(repr(value * 2))
    print(2)


def nothing():
    pass
"""
AGAIN_S = 0.1  # instead of 5 s, so that these boards are slow by comparison


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(raw_repl, "_AGAIN_S", AGAIN_S)
    monkeypatch.setattr(raw_repl, "_GREETING_S", 100 * AGAIN_S)
    monkeypatch.setattr(raw_repl, "_READ_S", 0.02)


@pytest.fixture(autouse=True)
def script(monkeypatch, tmp_path):
    (tmp_path / "double.py").write_text(SCRIPT)
    monkeypatch.setattr(resources, "ON_DEVICE", tmp_path)


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
        {"chatter": b"Wi-Fi: [Errno 2] ENOENT\r\n"},
        {"chatter": b"> no line end>"},
        {"chatter": b"12\r\n'a'\r\n", "thinks_s": 0.15},
    ],
    ids=lambda board: ",".join(board) or "quick",
)
def test_a_board_that_is_slow_is_waited_for_and_nothing_else_is_printed(hurried, capfd, board, pastes):
    """However many greetings it takes, their late answers are taken for nothing else."""
    with SlowBoard(pastes=pastes, **board) as slow, Device(slow.port) as device:
        out = device.run("x = 20\nprint(x + 1, '>' * 600)")
        assert out.replace(slow.chatter.decode(), "") == f"21 {'>' * 600}\r\n"
        device.load("double.py")
        assert device.call("double", "a>\\b") == ["a>\\ba>\\b", 2]
        assert device.call("nothing") == []
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
    monkeypatch.setattr(raw_repl, "_ANSWER_S", 0.5 / raw_repl._EMULATED)
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
    monkeypatch.setattr(raw_repl, "_ANSWER_S", 0.5 / raw_repl._EMULATED)
    with SlowBoard(thinks_s=0.15) as slow:
        slow._run = lambda begin: slow._say(b"OK\x04\x04>")
        with pytest.raises(CommandError, match="no MicroPython answers"), Device(slow.port):
            pass


def test_answers_into_which_a_program_prints_are_reported_with_what_it_printed():
    """A timer can interrupt a print. Nothing is made of the pieces."""
    with SlowBoard(chatter=b"Wi-Fi: [Errno 2] ENOENT\r\n", splits=True) as slow, Device(slow.port) as device:
        device.load("double.py")
        with pytest.raises(CommandError, match=r"prints into its answers \(it printed: .*Wi-Fi: \[Errno 2\] ENOENT") as caught:
            device.call("double", "ab")
    assert caught.value.exit_code == FAILED and "rm :main.py" in str(caught.value)


@pytest.mark.parametrize("chatter", [b"x", b"x\r\n"])
def test_an_answer_that_is_lost_is_missed(chatter):
    """Such as one whose mark is in pieces."""
    with SlowBoard(chatter=chatter, splits=True) as slow, Device(slow.port) as device:
        device.load("double.py")
        with pytest.raises(CommandError, match="prints into its answers"):
            device.call("double", "")


def test_a_program_that_prints_for_ever_does_not_make_a_command_wait_for_ever(monkeypatch):
    monkeypatch.setattr(raw_repl, "_LIMIT_S", 0.5 / raw_repl._EMULATED)
    with SlowBoard() as slow:
        slow._run = lambda begin: slow.chat_until_closed(begin, b"tick\r\n")
        with (
            pytest.raises(CommandError, match=r"only its program prints\) \(it printed: .*tick tick") as caught,
            Device(slow.port) as device,
        ):
            device.run("print(1)")
    assert caught.value.exit_code == NO_DEVICE
