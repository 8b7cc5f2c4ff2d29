# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl footprint --port P PROGRAM` without a board: how a program ends, and what is said of it.

emulated/test_footprint_on_port.py has the emulated board.
"""

import json

import pytest

from dicectl.board.raw_repl import DeviceError
from dicectl.errors import CommandError
from dicectl.measure import on_board, program
from host_tests.patience import until
from host_tests.small_board import MPY, SmallBoard


def test_the_output_of_the_sampler_is_separated_from_the_programs():
    said = bytearray()
    output = program.Output(said.extend)
    for byte in b'on\n\x1e{"sampling": 1}\x1foff\x1e{"mess\x1f\n\x1e{"sampling": 2}\x1f':
        output.feed(bytes([byte]))
    assert bytes(said) == b"on\noff\n"
    assert output.last == {"sampling": 2}


def test_what_a_program_prints_is_not_taken_for_a_report():
    """Nor is a report that a reset has cut off: what the board prints next is seen."""
    said = bytearray()
    output = program.Output(said.extend)
    output.feed(b'\x1e{"messages": 1, "sampling": {}}\x1f\x1e[1]\x1f\x1e{}\x1f\x1e7\x1f\x1e{"mess\nMicroPython')
    assert output.last == {"messages": 1, "sampling": {}} and not output.ended
    assert bytes(said) == b'{"mess\nMicroPython'
    output.feed(b"\x1eend\x1f")
    assert output.ended


BANNER = b'MicroPython v1.25.0 on 2025-05-04; Raspberry Pi Pico with RP2040\r\nType "help()" for more information.\r\n>>> '


@pytest.mark.parametrize(
    ("said", "reset", "reset_if_interrupted"),
    [
        (BANNER, True, True),
        (b"rst:0x3 (SW_RESET)\r\nof main.py\r\n" + BANNER, True, True),
        (BANNER.replace(b'Type "help()" for more information.\r\n', b""), True, True),
        (b"on\r\n>>> ", False, True),  # the beginning may be lost
        (BANNER.removesuffix(b">>> "), False, False),
        (b"3.4.0; MicroPython v1.25.0 on 2025-05-04\r\n", False, False),
        (b"the prompt is >>> ", False, False),
    ],
)
def test_a_board_that_was_reset_shows_its_banner_and_prompt(said, reset, reset_if_interrupted):
    output = program.Output(lambda data: None)
    output.feed(b"x\n" * 200 + said)
    assert (output.at_repl(False), output.at_repl(True)) == (reset, reset_if_interrupted)


class Deaf:
    """A board whose program ignores Ctrl-C."""

    def __init__(self):
        self.interrupts = 0

    def interrupt(self):
        """Count."""
        self.interrupts += 1


def test_a_program_that_does_not_end_is_reported(monkeypatch):
    monkeypatch.setattr(program, "_PAUSE_S", 0.001)
    watch = program.Watch(board := Deaf(), 600)
    watch.look(None)
    watch.look({"messages": 99})
    assert board.interrupts == 0
    watch.look({"messages": 100})
    until(lambda: watch.gave_up)
    assert board.interrupts == 5
    with pytest.raises(CommandError, match="does not end on Ctrl-C"):
        watch.look(None)
    watch.close()


REPORT = {
    **dict.fromkeys(("records", "session_records", "puts", "handshake")),
    "phase": "program",
    "entered": [],
    "heap": {"program": 900},
    "stack": 300,
    "messages": 0,
    "sampling": {"by": "timer", "samples": 9, "us": 900, "of_ms": 90, "hook_us": 9, "base": 5000},
}


class Sampled(SmallBoard):
    """A board that samples once, and then raises an error of the test's, or prints `rest`."""

    def __init__(self, error=None, rest=()):
        super().__init__(MPY)
        self.error = error
        self.rest = rest
        self.interrupts = 0

    def interrupt(self):
        """Count."""
        self.interrupts += 1

    def settle(self):
        """Do nothing."""

    def run(self, code):
        """Have lost the heap of the program."""
        return "False\n" if "_dicectl" in code else super().run(code)

    def follow(self, code, consumer):
        """End as the test says."""
        for data in (b"\x1e%s\x1f" % json.dumps(REPORT).encode(), *self.rest):
            consumer(data)
        if self.error:
            raise self.error


SILENT = CommandError("the board on small stopped answering (timeout)")


@pytest.mark.parametrize(
    ("error", "rest", "interrupts", "why"),
    [
        (SILENT, (), 0, "the board on small stopped answering"),
        (None, (b"on", b"", b"off"), 2, "it wrote the byte 0x04"),
        (None, (b"on", BANNER), 2, "the board was reset"),
        (None, (b"\x1eend\x1f", b""), 0, "it restarted MicroPython"),
    ],
)
def test_a_program_that_takes_the_board_away_leaves_its_last_samples(tmp_path, monkeypatch, error, rest, interrupts, why):
    monkeypatch.setattr(program, "_BLIND_S", 0)
    source = tmp_path / "mine.py"
    source.write_text("1\n")
    board = Sampled(error, rest)
    found = program.collect(board, str(source), 600, lambda text: None, lambda data: None)
    assert found["notes"][0].startswith(f"the program ended: {why}")
    assert found["notes"][1:] == ["no message came; the program has not imported dice"]
    assert (found["heap"]["program"], found["largest_block"]["end"]) == (4900, None)
    assert board.interrupts == interrupts, "if the program may still run"


def test_a_silent_board_keeps_its_last_samples_though_ctrl_c_has_not_ended_the_program(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "_PAUSE_S", 0.001)
    monkeypatch.setattr(on_board, "MESSAGES", 0)
    source = tmp_path / "sleeps.py"
    source.write_text("1\n")
    board = Sampled()

    def follow(code, consumer):
        consumer(b"\x1e%s\x1f" % json.dumps(REPORT).encode())
        until(lambda: board.interrupts == 5)
        raise SILENT

    board.follow = follow
    found = program.collect(board, str(source), 600, lambda text: None, lambda data: None)
    assert found["notes"][0].startswith("the program ended: the board on small stopped answering")


@pytest.mark.parametrize(
    ("entered", "said"),
    [
        ([], "the program has not imported dice"),
        (["imported"], "has joined no group, and has established no session"),
        (["imported", "joined"], "has joined a group, and has established no session"),
        (["imported", "session"], "has joined no group, and has established a session"),
    ],
)
def test_a_program_without_a_message_is_told_how_far_it_came(tmp_path, monkeypatch, entered, said):
    monkeypatch.setitem(REPORT, "entered", entered)
    source = tmp_path / "mine.py"
    source.write_text("1\n")
    board = Sampled(SILENT)
    (_, note) = program.collect(board, str(source), 600, lambda text: None, lambda data: None)["notes"]
    assert note.startswith("no message came; ") and note.endswith(said)


def test_a_program_that_is_too_large_for_the_ram_is_one_line(tmp_path, monkeypatch):
    source = tmp_path / "huge.py"
    source.write_bytes(bytes(430_000))
    board = Sampled()
    plain = board.call

    def call(function, *arguments):
        if function == "put" and arguments[0] == "huge.py":
            raise DeviceError("MemoryError: memory allocation failed, allocating 90112 bytes")
        return plain(function, *arguments)

    board.call = call
    said = r"no room for the 430,000 bytes of huge\.py as source.*PROGRAM that is one line: import huge$"
    with pytest.raises(CommandError, match=said):
        program.collect(board, str(source), 600, lambda text: None, lambda data: None)
