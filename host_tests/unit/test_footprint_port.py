# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl footprint --port` without a board: its output, the table of docs/boards.md, and its scripts on the unix port.

emulated/test_footprint_on_port.py has the emulated board, test_footprint_program.py a user's program. The heap of ESP-IDF is that
of a double, esp32_double/esp32.py.
"""

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from dicectl import resources
from dicectl.board import ram_modules
from dicectl.board.raw_repl import DeviceError
from dicectl.cli import footprint as footprint_command
from dicectl.errors import USAGE, CommandError
from dicectl.firmware import unix_port
from dicectl.measure import board_report, community, figures, on_board, program
from host_tests.small_board import MPY, SmallBoard

DOUBLE = Path(__file__).with_name("esp32_double")
RESULTS = sorted(resources.MEASURED.glob("*.json"))


def run(*arguments):
    return CliRunner().invoke(footprint_command.command, list(map(str, arguments)), standalone_mode=False)


def on_unix(code, double=False):
    """Run code on the unix port, with the scripts of on_device/ and with dice; return its output."""
    folders = f"{DOUBLE}:" * double + f"{resources.ON_DEVICE}:{resources.LIB}"
    done = subprocess.run([unix_port.find(), "-c", code], env=unix_port.environment(folders), capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout


# The command.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--port", "/dev/absent"), "there is no /dev/absent: connect the board"),
        (("--port", "/dev/absent", "absent.py"), "there is no file absent.py; a file of the board has a colon: :absent.py"),
        (("--port", "/dev/absent", "--static"), "--static is for the emulated board and for files"),
        (("--port", "/dev/absent", "--board", "RPI_PICO"), "--board is for the emulated board and for files"),
        (("--port", "/dev/absent", ":main.py", "--add", "Jo"), "--add is for the figures of dice alone"),
        (("--port", "/dev/absent", "--add", "J\n"), "1 to 40 printable characters"),
        (("--port", "/dev/absent", "--seconds", "30"), "--seconds is how long a PROGRAM runs"),
        (("--seconds", "60"), "--seconds is how long a PROGRAM runs"),
        (("--port", "/dev/absent", "--json", "--compare", RESULTS[0]), "--compare prints differences, --json prints"),
        (("--static", "--json", "--compare", resources.FIGURES), "--compare prints differences, --json prints"),
        (("--add", "Jo"), "--add needs a connected board: name its --port"),
    ],
)
def test_a_mistake_is_one_line(arguments, said):
    error = run(*arguments).exception
    assert isinstance(error, CommandError)
    assert error.exit_code != 1 and said in error.format_message() and "\n" not in error.format_message()


def test_results_of_a_board_compare_with_those_of_boards_only(tmp_path):
    with pytest.raises(CommandError, match="is of a connected board: compare it with --port") as caught:
        figures.read(RESULTS[0])
    assert caught.value.exit_code == USAGE
    old = figures.read_any(RESULTS[0])
    new = json.loads(json.dumps(old))
    new["heap"]["joined"] += 16
    assert figures.compare(old, new) == [("heap.joined", old["heap"]["joined"], old["heap"]["joined"] + 16)]
    assert figures.compare(figures.read(resources.FIGURES), old), "the figures that make footprint has too"


# Output of scripts.


def test_the_largest_block_of_an_esp32_may_be_one_of_esp_idf():
    text = (
        '{"stage": "start", "unit": 16}\nstack: 752 out of 15360\n'
        "GC: total: 64000, used: 18192, free: 38640, max new split: 90112\n"
        ' No. of 1-blocks: 10, 2-blocks: 3, max blk sz: 6, max free sz: 2400\n{"stage": "imported", "unit": 16}\n'
        " No. of 1-blocks: 10, 2-blocks: 3, max blk sz: 6, max free sz: 2400\n"
    )
    start, imported = ram_modules.parsed(text)
    assert start == {"stage": "start", "unit": 16, "stack": 752, "stack_limit": 15360, "largest": 90112}
    assert imported["largest"] == 38400


def test_the_reason_why_something_was_not_measured_says_what_to_do():
    assert "heap of the board has no room" in on_board.reason(
        DeviceError("MemoryError: memory allocation failed, allocating 512 bytes")
    )
    assert "--profile full" in on_board.reason(DeviceError("ImportError: no module named 'dice.dtls'"))


def test_a_board_that_lacks_the_room_gets_the_figures_so_far(monkeypatch):
    board = SmallBoard(MPY)
    said = []
    found = on_board.collect(board, said.append, ("heap", "stack", "times"))
    assert said == ["heap on the board", "stack on the board", "times on the board"]
    assert found["heap"] == {"total": 64000, "before": 4000, "imported": 23600}
    assert found["idf_heap"]["before"]["free"] == 40 and found["idf_heap"]["imported"]["least"] == 10
    assert [note.partition(":")[0] for note in found["notes"]] == ["heap", "stack", "times"]
    assert all("no room for it (MemoryError: memory allocation failed, allocating 2048 bytes)" in note for note in found["notes"])
    assert board.cleared == 2, "before and after"
    rows = board_report.rows(found, community.pico())
    assert ("heap of ESP-IDF, free after boot.py", "40 bytes", "-") in rows
    assert ("AES, by the kind of chip", "in hardware", "in software") in rows, "nothing measures it"


# The scripts, on the unix port.


def test_the_stages_of_a_heap_are_measured_with_that_of_esp_idf():
    out = on_unix("import sys\nsys.argv[:] = ['footprint_stages', '20']\nimport footprint_stages", double=True)
    lines = ram_modules.parsed(out)
    stages = {line["stage"]: line for line in lines}
    assert list(stages) == ["start", "imported", "joined", "session", "messages", "sent"]
    assert stages["joined"]["idf"] == [[100_000, 40_000, 30_000, 20_000], [50_000, 10_000, 8_000, 9_000]]
    assert all(line["largest"] > 1000 and line["stack_limit"] for line in lines)
    assert stages["imported"]["used"] < stages["joined"]["used"] < stages["session"]["used"] < stages["messages"]["peak"]
    assert (stages["messages"]["puts"], stages["sent"]["puts"]) == (20, 1)
    plain = ram_modules.parsed(on_unix("import sys\nsys.argv[:] = ['footprint_stages', '1']\nimport footprint_stages"))
    assert {line["idf"] for line in plain} == {None}


NVS = """
import sys
sys.path.append({portable!r})
from nvs_double import Chip
chip = Chip()
with chip:
    sys.argv[:] = ["footprint_store", {folder!r}, "nvs"]
    import footprint_store
print([chip.programmed, [item.key for item in chip._items() if item.alive() and item.kind != "data"]])
"""


def test_a_write_to_nvs_is_timed_in_a_namespace_that_is_empty_afterwards(tmp_path):
    """By the double of NVS, which counts what is programmed."""
    out = on_unix(NVS.format(portable=str(resources.ROOT / "host_tests" / "portable"), folder=str(tmp_path)))
    timed, counted, line = out.splitlines()
    assert json.loads(timed)["kind"] == "nvs" and json.loads(timed)["put_us"] >= 0
    figures = json.loads(counted)
    assert figures["programmed"] / figures["puts"] == 40
    assert line.endswith(", []]"), "no key is left; the double leaves the data of a blob"
    assert list(tmp_path.iterdir()) == []


SAMPLED = """
import sys
import asyncio
import footprint_sampler
sampler = footprint_sampler.Sampler()
sampler.start()
sys.argv[:] = ["sampled"]
import heap_of_a_member as heap
import session_cost
async def main():
    keys = heap.keys_of("sender")
    member = heap.join("sender", None, heap.RamStore())
    for number in range(3, 13):
        member.deadline()
        await asyncio.sleep(0.02)
        member.receive(heap.sealed(keys, 0, number, b"on"), 0)
        kept.append(bytes(1000))
    session_cost.handshake(False)
    await asyncio.sleep(0.05)
kept = []
asyncio.run(main())
sampler.stop()
"""


def test_a_program_is_sampled_by_the_loop_of_asyncio_where_there_is_no_timer():
    output = program.Output(lambda data: None)
    output.feed(on_unix(SAMPLED).encode())
    report = output.last
    assert report["sampling"]["by"] == "asyncio" and report["sampling"]["samples"] > 2
    assert report["messages"] == 10 == report["records"]["count"]
    assert report["entered"] == ["imported", "joined", "session", "messages"]
    assert report["handshake"]["us"] > 0 and report["handshake"]["ms"] >= 0, "0 ms are a handshake too"
    assert report["heap"]["messages"] - report["heap"]["imported"] > 8000


INTERRUPTED = """
import footprint_sampler
class Interrupted(footprint_sampler.Sampler):
    def work(self):
        raise KeyboardInterrupt
class Timer:
    def deinit(self):
        print("the timer has ended")
sampler = Interrupted()
try:
    sampler.tick()
except KeyboardInterrupt:
    print("the program has it")
sampler.timer = Timer()
sampler.tick()
"""


def test_a_timer_takes_one_ctrl_c_from_the_program_at_most():
    """MicroPython prints an exception of a timer's function, and goes on: a program that slept was never interrupted."""
    assert on_unix(INTERRUPTED).splitlines() == ["the program has it", "the timer has ended"]


# The table of docs/boards.md.


@pytest.fixture
def clone(monkeypatch, tmp_path):
    """Return a clone to which results can be added."""
    (tmp_path / "docs" / "measured").mkdir(parents=True)
    (tmp_path / "docs" / "boards.md").write_text(
        f"# Boards\n\n<!-- generated {community.MARK} -->\n<!-- end -->\n\nThe rest.\n\n<!-- end -->\n"
    )
    monkeypatch.setattr(resources, "clone", lambda purpose: tmp_path)
    monkeypatch.setattr(resources, "MEASURED", tmp_path / "docs" / "measured")
    return tmp_path


def result(**more):
    return {**{name: value for name, value in figures.read_any(RESULTS[0]).items() if name != "by"}, **more}


def test_every_result_can_be_read_and_is_in_the_table():
    page = (resources.ROOT / "docs" / "boards.md").read_text()
    assert community.table() in page
    assert len(community.load()) == len(RESULTS)
    assert community.pico()["machine"] == "Raspberry Pi Pico with RP2040"


def test_a_result_is_a_file_of_its_own_and_a_row(clone):
    community.add(result(), "Jo Doe")
    community.add(result(board=None, machine="My board", emulated=False), "A/../B")
    names = [path.name for path in (clone / "docs" / "measured").iterdir()]
    assert sorted(names) == ["My_board-1.25.0-A_.._B.json", "RPI_PICO-1.25.0-Jo_Doe.json"]
    page = (clone / "docs" / "boards.md").read_text()
    assert page.startswith("# Boards\n\n") and page.endswith("<!-- end -->\n\nThe rest.\n\n<!-- end -->\n")
    mine, pico = page.splitlines()[5:7]
    assert mine.startswith("| My board | 1.25.0 |") and mine.endswith("| on hardware by A/../B |")
    assert pico.endswith("| in an emulator by Jo Doe |")
    assert mine.count("|") == pico.count("|") == page.splitlines()[3].count("|")


def test_a_strangers_text_ends_in_its_cell(clone):
    evil = "x | y\n<!-- end -->\n# [a](javascript:b) `c`"
    community.add(result(board=None, machine=evil, firmware="1 | <b>", where="a|b"), "Jo|Doe<i>")
    page = (clone / "docs" / "boards.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith("| x")]
    assert row.count("|") == page.splitlines()[3].count("|")
    assert not set("<>[]`") & set(row)
    assert community.replaced(page) == page


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": 1}', json.dumps({"by": "x", "machine": "m"})])
def test_a_file_that_is_no_result_is_refused(clone, text):
    (clone / "docs" / "measured" / "bad.json").write_text(text)
    with pytest.raises(CommandError, match=r"bad\.json is not a result of"):
        community.load()


@pytest.mark.parametrize(
    "change", [{"puts": None}, {"store": None}, {"session": "x"}, {"messages": "many"}, {"heap": {"total": 2, "before": 1}}]
)
def test_figures_that_lack_are_dashes(clone, change):
    community.add(result(**change), "Jo")
    assert " - |" in community.table()


def test_the_picture_is_well_formed():
    root = ElementTree.fromstring(board_report.picture(result(), community.pico()))
    texts = [text.text for text in root.iter() if text.text]
    assert "largest free block" in texts and "emulated Pico" in texts
