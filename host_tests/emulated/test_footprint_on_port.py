# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl footprint --port` on an emulated RP2040 through a pseudo-terminal: dice alone, and around a user's program."""

import ast
import contextlib
import json
import os
import subprocess
import sys
import tty
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dice.group.gsa import K08, Gsa
from dice.group.gsa_encode import encode
from dice.suites import PSK_AES_128_CCM_8
from dicectl import resources
from dicectl.board.raw_repl import Device
from dicectl.emulator.board import EmulatedBoard, check, make_image
from dicectl.errors import CommandError
from dicectl.firmware import bundle, mpy, profiles, recipe
from dicectl.measure import board_report, community, on_board, program
from host_tests.emulated.targets import TABLE

PROGRAM = Path(__file__).with_name("sampled_program.py")
FILES = {"main.py": b"import time\nrunning = 'main.py'\nwhile True:\n    time.sleep(1)\n", "notes.txt": b"mine"}
BLOCKS_BYTES = 64  # of heap, which a value on the stack may keep in use
TOLERANCE = 0.15  # of a time: allocation takes longer in a heap that is used from its beginning
BLOCKS = 352  # of the file system


@pytest.fixture(scope="module")
def committed():
    return json.loads(resources.FIGURES.read_text())


@pytest.fixture(scope="module")
def bare():
    """Return firmware without dice; skips if it cannot be built."""
    try:
        check()
        return recipe.firmware("RPI_PICO", profile="none") / "firmware.uf2"
    except CommandError as failure:
        pytest.skip(failure.format_message())


def run(port, *arguments):
    argv = [sys.executable, "-m", "dicectl", "footprint", "--port", port, *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True)


@pytest.fixture(scope="module")
def measured(firmware, tmp_path_factory):
    """Return (--json, root of the picture, the board's files, whether its main.py runs again)."""
    svg = tmp_path_factory.mktemp("picture") / "board.svg"
    with EmulatedBoard(firmware, FILES, pty=True, paced=False) as board:
        done = run(board.port, "--json", "--svg", svg)
        assert done.returncode == 0, done
        with Device(board.port) as device:
            restarted = device.run("print(globals().get('running'))").strip()
        return json.loads(done.stdout), ElementTree.parse(svg).getroot(), board.files(), restarted


def test_the_board_is_as_it_was(measured):
    assert measured[2] == FILES
    assert measured[3] == "main.py"


def test_figures_are_those_of_make_footprint(measured, committed):
    figures = measured[0]
    assert figures["notes"] == []
    assert (figures["board"], figures["aes"], figures["where"], figures["emulated"]) == ("RPI_PICO", "software", "frozen", True)
    for name in ("idle", "heard", "opening"):
        assert abs(figures["member"][name] - committed["member"][name]) <= BLOCKS_BYTES, name
    for name in ("heap", "peak"):
        assert abs(figures["session"][name] - committed["session"][name]) <= BLOCKS_BYTES, name
    for name in ("bytes", "datagrams", "record"):
        assert figures["session"][name] == committed["session"][name]
    assert figures["session"]["client_us"] == pytest.approx(committed["session"]["client_us"], rel=TOLERANCE)
    for name, us in figures["time_us"].items():
        assert us == pytest.approx(committed["time_us"][name], rel=TOLERANCE), name
    assert figures["imports"] == pytest.approx(sum(committed["import_frozen"].values()), rel=0.05)


def test_the_stages_agree_with_each_other(measured):
    figures = measured[0]
    heap, largest, stack = figures["heap"], figures["largest_block"], figures["stack"]
    assert abs(heap["joined"] - heap["imported"] - figures["member"]["idle"]) <= 2 * BLOCKS_BYTES
    assert heap["before"] < heap["imported"] < heap["joined"] < heap["session"] <= heap["messages"] < heap["peak"] < heap["total"]
    assert abs(heap["messages"] - heap["session"]) <= 2 * BLOCKS_BYTES, "steady state allocates nothing that stays"
    assert 500 < heap["peak"] - heap["messages"] < 4000, "the garbage of one message"
    assert heap["total"] - heap["before"] >= largest["before"] > largest["joined"] > largest["session"] > 50_000
    assert 500 < stack["receive"] < stack["handshake"] < stack["limit"]
    assert "idf_heap" not in figures, "only an ESP32 has that"


def test_wear_is_counted_by_writes_and_by_flash(measured):
    figures = measured[0]
    assert figures["puts"] == {"received": 100, "sent": 2}, "each message received, and one for 64 sent"
    store = figures["store"]
    assert store["put_us"] > 1000
    programmed, erased = board_report.wear(figures, "received")
    assert programmed == store["programmed"] / store["puts"] >= 256, "at least one page of the RP2040's flash"
    assert erased < 4096
    assert board_report.wear(figures, "sent")[0] == programmed / 50


def test_the_pico_stands_beside_it(measured):
    figures, root, _, _ = measured
    pico = community.pico()
    rows = board_report.rows(figures, pico)
    assert len(rows) > 25
    assert {beside for _, _, beside in rows} != {"-"}
    texts = [text.text for text in root.iter() if text.text]
    assert "heap in use" in texts and texts.count("emulated Pico") > 10


def test_the_documented_pico_is_this_one(measured):
    """If not: dicectl emulate --pty, and dicectl footprint --port P --add "the dice authors"."""
    figures, pico = measured[0], community.pico()
    for name in ("total", "before", "imported", "joined", "session", "peak"):
        assert figures["heap"][name] == pytest.approx(pico["heap"][name], abs=4 * BLOCKS_BYTES + 0.03 * pico["heap"][name]), name
    assert figures["store"]["programmed"] == pytest.approx(pico["store"]["programmed"], rel=0.05)


def test_files_of_dice_are_measured_as_blocks_of_flash_unless_the_room_is_lacking(tmp_path):
    """The measurement writes a copy, removes it again, and needs the room for it."""
    with xtensa(tmp_path, {"notes.txt": b"mine"}, "group") as port, Device(port) as device:
        figures = on_board.collect(device, lambda text: None, ("file_system", "stack"))
        device.restart()  # which ends the files in RAM
        assert sorted(ast.literal_eval(device.run("import os\nprint(os.listdir('/'))"))) == sorted((bundle.FILE, "notes.txt"))
    space = figures["file_system"]
    assert (space["files"], space["dice"]) == (1, bundle.blocks(space["bytes"], 4096) * 4096)
    assert figures["stack"]["receive"] > 500 and "handshake" not in figures["stack"], "profile group has no sessions"
    (note,) = figures["notes"]
    assert note.startswith("handshake: not measured: a module is not on the board") and "dicectl deploy --profile full" in note
    big = bytes((BLOCKS - 7) * 4096 - space["dice"])
    with xtensa(tmp_path, {"big": big}, "group") as port, Device(port) as device:
        figures = on_board.collect(device, lambda text: None, ("file_system",))
        device.restart()
        assert device.run("import os\nprint(len(os.listdir('/')))").strip() == "2"
    (note,) = figures["notes"]
    assert note.startswith("file system: not measured: ") and "bytes of flash must be free" in note
    assert board_report.rows(figures, None), "the other rows can be printed"


def test_a_board_without_dice_gets_one_clear_line(bare):
    with EmulatedBoard(bare, FILES, pty=True, paced=False) as board:
        done = run(board.port)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.strip().endswith("has no dice: run dicectl deploy")
        assert board.files() == FILES


def test_what_is_left_of_a_broken_measurement_is_removed(bare):
    rest = f"{on_board.FOLDER.strip('/')}/dice/x.mpy"
    with EmulatedBoard(bare, {rest: b"x", **FILES}, pty=True, paced=False) as board:
        with Device(board.port) as device:
            on_board.clean_up(device)
        assert board.files() == FILES


# A user's program.


def gsa():
    """Return the file of a group whose sender 2 sends."""
    first = 1 << 48
    fields = {"gid": b"\x01\x02\x03\x04", "address": b"\xef\xff\x00\x01", "port": 5684, "suite": PSK_AES_128_CCM_8, "layout": K08}
    fields.update({"derive": 1, "epoch": 1, "key": bytearray(range(16)), "own_id": 1, "own_next": first, "lifetime_s": 0})
    return bytes(encode(Gsa(budget=1 << 20, senders=[(1, first), (2, first)], fresh=True, **fields)))


PROGRAM_FILES = {"lamps.gsa": gsa(), "main.py": PROGRAM.read_bytes(), "notes.txt": b"mine"}


def check_program(figures, messages):
    """Assert what a sampled program must show on any board."""
    assert figures["messages"] >= messages
    assert figures["records_us"]["count"] == figures["messages"]
    assert figures["puts_us"]["count"] >= figures["messages"]
    heap = figures["heap"]
    assert heap["before"] < heap["joined"] <= heap["peak"] < heap["total"]
    assert 0 < figures["stack"]["program"] < figures["stack"]["limit"]
    assert figures["sampling"]["samples"] > 3 and 0 < figures["sampling"]["heap"] < 12_000
    assert "what the sampling costs" in [row[0] for row in board_report.rows(figures, community.pico())]


def test_a_program_is_sampled_by_a_timer_without_a_change(firmware, committed, monkeypatch):
    monkeypatch.setattr(on_board, "MESSAGES", 25)  # the emulator takes 10 s for 100
    said = bytearray()
    with EmulatedBoard(firmware, PROGRAM_FILES, pty=True, paced=False) as board:
        with Device(board.port) as device:
            figures = program.collect(device, ":main.py", 600, lambda text: None, said.extend)
        after = board.files()
    assert b"25 2 b'on'" in said and b"\x1e" not in said, "the output of the program is passed on"
    assert (after["main.py"], after["notes.txt"]) == (PROGRAM_FILES["main.py"], b"mine")
    check_program(figures, 25)
    assert figures["records_us"]["least_us"] > committed["time_us"]["group open"], "the write to the store is in it"
    assert figures["sampling"]["by"] == "timer"
    assert figures["heap"]["before"] < figures["heap"]["program"] < figures["heap"]["joined"]
    assert figures["sampling"]["percent_of_time"] < 20 and 0 < figures["sampling"]["hook_us"] < 1000


ENDS = {
    "import sys, time\ntime.sleep(0.1)\nsys.exit(3)\n": "it restarted MicroPython, as sys.exit() and machine.soft_reset() do",
    "import time\ntime.sleep(1.2)\nprint('on\\x04off')\ntime.sleep(3600)\n": "it wrote the byte 0x04, which is for the raw REPL",
}


def test_a_program_that_restarts_the_board_or_ends_the_output_leaves_its_last_samples(firmware, tmp_path):
    """Each at once: nothing waits for 600 s, or for a board that says no more."""
    source = tmp_path / "ends.py"
    files = {"boot.py": b"print('->')\n", "notes.txt": b"mine"}
    with EmulatedBoard(firmware, files, pty=True, paced=False) as board:
        for text, why in ENDS.items():
            source.write_text(text)
            with Device(board.port) as device:
                figures = program.collect(device, str(source), 600, lambda text: None, lambda data: None)
            ended, silent = figures["notes"]
            assert ended.startswith(f"the program ended: {why}")
            assert silent == "no message came; the program has not imported dice"
            assert figures["heap"]["before"] < figures["heap"]["program"]
            assert figures["largest_block"]["end"] is None, "the heap is no longer that of the program"
        assert board.files() == files


def test_a_board_that_a_program_has_reset_is_recognised_by_its_banner(firmware, tmp_path, monkeypatch):
    """Over USB a Pico holds the banner back until it is sent something: here the second Ctrl-C."""
    monkeypatch.setattr(on_board, "MESSAGES", 0)  # the first Ctrl-C comes with the first report
    monkeypatch.setattr(program, "_PAUSE_S", 1)
    source = tmp_path / "resets.py"
    source.write_text(
        "import machine, time\ntry:\n    while True:\n        time.sleep(1)\nexcept KeyboardInterrupt:\n    machine.reset()\n"
    )
    with EmulatedBoard(firmware, {"notes.txt": b"mine"}, pty=True, paced=False) as board:
        with Device(board.port) as device:
            figures = program.collect(device, str(source), 600, lambda text: None, lambda data: None)
        assert board.files() == {"notes.txt": b"mine"}
    assert figures["notes"][0] == "the program ended: the board was reset, so these are the last samples before"
    assert figures["heap"]["program"] > figures["heap"]["before"] and figures["largest_block"]["end"] is None


# The instruction set of the ESP32. Its emulated clock is not that of a chip, so no time is looked at.


@contextlib.contextmanager
def xtensa(tmp_path, files, profile="full"):
    """Yield the port of MicroPython on an emulated Xtensa with these files, and a bundle of dice."""
    row = TABLE["xtensa"]
    try:
        elf = row.get()
    except CommandError as failure:
        pytest.skip(failure.format_message())
    dice = bundle.make(profiles.files(profile, native=True), mpy.flavour_here(row.architecture), mpy.cross_version())
    image = tmp_path / "image"
    image.write_bytes(make_image({bundle.FILE: dice, **files}))
    near, far = os.openpty()
    tty.setraw(far)
    with subprocess.Popen([*map(str, row.command(elf, image))], stdin=near, stdout=near) as process:
        try:
            yield os.ttyname(far)
        finally:
            process.kill()
            os.close(near)
            os.close(far)


def test_heap_on_the_instruction_set_of_an_esp32_is_that_of_the_pico(tmp_path, committed):
    with xtensa(tmp_path, {}) as port, Device(port) as device:
        figures = on_board.collect(device, lambda text: None)
    assert figures["notes"] == []
    assert abs(figures["member"]["idle"] - committed["member"]["idle"]) <= BLOCKS_BYTES
    assert abs(figures["session"]["heap"] - committed["session"]["heap"]) <= 4 * BLOCKS_BYTES
    assert abs(figures["heap"]["joined"] - figures["heap"]["imported"] - figures["member"]["idle"]) <= 2 * BLOCKS_BYTES
    assert figures["file_system"]["files"] == 1
    assert figures["file_system"]["dice"] == bundle.blocks(figures["file_system"]["bytes"], 4096) * 4096
    assert 32 <= figures["store"]["programmed"] / figures["store"]["puts"] < 1000
    assert 500 < figures["stack"]["receive"] < figures["stack"]["handshake"] < figures["stack"]["limit"]


def test_a_program_is_sampled_by_asyncio_on_a_board_without_timers(tmp_path):
    """A file of this computer. That port cannot be interrupted, so the program ends by itself."""
    last = "        print(heard, sender, message)\n"
    source = tmp_path / "mine.py"
    source.write_text(PROGRAM.read_text().replace(last, f"{last}        if heard == 90:\n            return\n"))
    with xtensa(tmp_path, {"lamps.gsa": gsa()}) as port, Device(port) as device:
        figures = program.collect(device, str(source), 600, lambda text: None, lambda data: None)
    check_program(figures, 90)
    assert figures["notes"] == ["the program ended: it returned"]
    assert figures["largest_block"]["end"] > 1000
    assert figures["sampling"]["by"] == "asyncio"


def test_a_program_that_fails_is_reported(tmp_path):
    source = tmp_path / "fails.py"
    source.write_text("import time, nowhere\n")
    with xtensa(tmp_path, {}) as port:
        assert "note: the program ended: ImportError: no module named 'nowhere'" in run(port, source).stdout
        absent = run(port, ":absent.py")
    assert (absent.returncode, absent.stdout) == (2, "")
    assert absent.stderr.strip().endswith("run dicectl deploy, or give a file of this computer")
