# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl footprint` checks budgets, compares and draws figures, and its documents are up to date; emulated/ measures."""

import dataclasses
import json
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from dicectl import resources
from dicectl.cli import footprint as footprint_command
from dicectl.errors import CommandError
from dicectl.firmware import boards, profiles
from dicectl.measure import budgets, figures, footprint, report
from host_tests.each import each

PICO = boards.find("RPI_PICO")
BLOCK_BYTES = 4096  # of flash
MACHINE_CODE_BYTES = 64  # by which limits may differ from the limits of the Pico, beyond the difference in machine code
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def committed():
    return json.loads(resources.FIGURES.read_text())


def run(*arguments):
    """Run the command on files only; return the result."""
    return CliRunner().invoke(footprint_command.command, ["--static", *map(str, arguments)], standalone_mode=False)


# Budgets.


def test_the_committed_figures_are_within_every_budget(committed):
    assert [budget.name for budget in budgets.load() if budget.measured(committed) is None] == []
    assert budgets.breaches(committed) == []


@pytest.mark.parametrize("budget", budgets.load(), ids=lambda budget: budget.name)
def test_each_budget_is_checked_separately(committed, budget):
    assert budget.unit in ("bytes", "us")
    figures = json.loads(json.dumps(committed))
    *path, last = budget.figure.split(".")
    inner = figures
    for key in path:
        inner = inner[key]
    inner[last] = budget.limit
    assert budgets.breaches(figures) == []
    inner[last] = budget.limit + 1
    (line,) = budgets.breaches(figures)
    assert budget.title in line
    assert f"{budget.limit + 1:,} {budget.unit}, {budget.limit:,} allowed" in line


def test_an_exceeded_budget_gives_one_line_and_status_1(monkeypatch):
    tight = budgets.Budget("group_mpy", "flash of a group", "mpy_total.group", "bytes", "added up", 100)
    monkeypatch.setattr(budgets, "load", lambda: [tight])
    done = run()
    assert done.return_value == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("past its budget: flash of a group: ")
    assert line.endswith(" bytes, 100 allowed (group_mpy)")
    monkeypatch.setattr(budgets, "load", list)
    done = run()
    assert (done.return_value, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def pico():
    return footprint.static(PICO, "full")


@pytest.mark.parametrize("architecture", sorted({board.mpy_arch for board in boards.load().values()} - {PICO.mpy_arch}))
def test_each_processor_has_budgets_of_its_own(pico, architecture):
    """D10: the machine code of an ESP32 was past the Pico's budget. A processor has as much room as the Pico, and not more."""
    board = next(board for board in boards.load().values() if board.mpy_arch == architecture)
    other = {"board": board.name, **footprint.static(board, "full")}
    assert budgets.breaches(other) == []
    room = {budget.name: limit - value for budget, value, limit in budgets.verdicts(pico)}
    for budget, value, limit in budgets.verdicts(other):
        step = BLOCK_BYTES if budget.figure.startswith("file_system.") else MACHINE_CODE_BYTES
        assert abs(limit - value - room[budget.name]) <= step, f"{budget.name}, limits.{board.mpy_arch}"


def test_the_verdict_is_by_the_processor_of_the_board(monkeypatch):
    (psk,) = [budget for budget in budgets.load() if budget.name == "psk_mpy"]
    tight = dataclasses.replace(psk, limits={**psk.limits, "rv32imc": 1000})
    monkeypatch.setattr(budgets, "load", lambda: [tight])
    done = run("--board", "ESP32_GENERIC_C3")
    assert done.return_value == 1
    assert done.stderr.rstrip().endswith(" bytes, 1,000 allowed (psk_mpy)")
    assert done.stdout.splitlines()[-1].endswith("1,000 bytes allowed  past it")
    assert run("--board", "ESP32_GENERIC").return_value == 0


# Output.


def test_json_contains_every_module_of_the_profile():
    figures = json.loads(run("--json", "--profile", "group", "--board", "esp32_generic_c3").stdout)
    assert (figures["board"], figures["profile"]) == ("ESP32_GENERIC_C3", "group")
    assert sorted(figures["mpy"]) == sorted(figures["group"]) == sorted(profiles.files("group", native=True, esp32=False))
    assert all(size > 0 for size in figures["mpy"].values())
    assert figures["mpy_total"] == {"group": sum(figures["mpy"].values())}


def test_plain_output_is_aligned(committed):
    lines = run().stdout.splitlines()
    assert lines[0] == "RPI_PICO, profile full"
    at = lines.index("budgets")
    assert at == 2 + len(figures.rows(committed))
    assert len({len(line) for line in lines[1 : at - 1]}) == len({len(line) for line in lines[at + 1 :]}) == 1
    assert len(lines) - at - 1 == len(budgets.load())
    assert "\x1b" not in "".join(lines)


def test_compare_prints_the_differences(tmp_path):
    old = {
        "profile": "full",
        "mpy": {"a": 10, "gone": 5, "same": 1},
        "mpy_total": {"full": 16},
        "time_us": {"x": 9},
        "group": ["a"],
    }
    new = {"profile": "full", "mpy": {"a": 12, "same": 1, "new": 7}, "mpy_total": {"full": 20}, "member": {"idle": 3}, "group": []}
    assert figures.compare(old, new) == [
        ("mpy.a", 10, 12),
        ("mpy.new", None, 7),
        ("mpy_total.full", 16, 20),
        ("mpy.gone", 5, None),
    ]
    assert figures.compare(old, old) == []
    fresh = json.loads(run("--json").stdout)
    path = tmp_path / "old.json"
    path.write_text(json.dumps(fresh))
    assert "no changes" in run("--compare", path).stdout
    fresh["mpy"]["dice/wire.py"] += 3
    path.write_text(json.dumps(fresh))
    assert run("--compare", path).stdout.splitlines()[-1].split()[0::3] == ["mpy.dice/wire.py", "-3"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"profile": "full"}', "no JSON"])
def test_compare_refuses_a_file_that_is_no_footprint(tmp_path, text):
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(CommandError, match="is not the output of"):
        figures.read(path)


def test_the_documents_are_of_one_board_and_profile():
    done = run("--write", "--profile", "group")
    assert isinstance(done.exception, CommandError)
    assert done.exception.exit_code == 2


# Measurements that need no board.


def test_modules_are_listed_after_their_imports():
    order = footprint.in_order(profiles.files())
    assert sorted(order) == sorted(profiles.files())
    at = {footprint.module_name(name): number for number, name in enumerate(order)}
    assert at["dice._compat"] < at["dice.record"] < at["dice.group.context"] < at["dice.group.member"]
    assert at["dice.crypto.ccm_viper"] < at["dice.crypto"] < at["dice.crypto.hmac"]
    assert footprint.module_name("dice/group/__init__.py") == "dice.group"


@each(range(1, 257))
def test_bisection_finds_the_smallest_passing_value(answer):
    tried = []
    assert footprint.bisect(lambda number: tried.append(number) or number >= answer, 256) == answer
    assert len(tried) <= 10


def test_bisection_fails_if_no_value_passes():
    with pytest.raises(CommandError, match="fails even with a heap of 8 KB"):
        footprint.bisect(lambda number: False, 8)


# The picture and the documents.


@pytest.mark.parametrize("drop", [(), ("tls",), ("tls", "linked", "member", "time_us")])
def test_the_picture_is_well_formed(committed, drop):
    figures = {name: value for name, value in committed.items() if name not in drop}
    root = ElementTree.fromstring(report.picture(figures))
    assert root.tag == f"{SVG}svg"
    width, height = (float(root.get(name)) for name in ("width", "height"))
    boxes = root.findall(f"{SVG}rect")
    parts = {name.split("/")[1] for name in figures["mpy"]}
    assert len(boxes) == len(parts) + (0 if drop else 6)
    assert {"crypto", "group", "record.py"} < {text.text for text in root.findall(f"{SVG}text")}
    for box in boxes:
        x, y, w, h = (float(box.get(name)) for name in ("x", "y", "width", "height"))
        assert x >= 0 and w > 0 and x + w < width
        assert y >= 0 and y + h <= height
    assert "prefers-color-scheme: dark" in root.find(f"{SVG}style").text


def test_text_in_the_picture_is_escaped():
    root = ElementTree.fromstring(report.bars([("<&>", [("a<b", 0, "0 & none", "dice")])]))
    assert {"<&>", "a<b", "0 & none"} <= {text.text for text in root.findall(f"{SVG}text")}


def test_the_documented_sizes_are_those_of_the_files(committed, pico):
    now = pico
    stale = [(name, before, after) for name, before, after in figures.compare({name: committed[name] for name in now}, now)]
    assert stale == [], "run: dicectl footprint --static --write (or make footprint)"
    assert {name: committed[name] for name in now} == now


def test_the_documents_agree_with_the_figures(committed):
    for path, text in report.generated(committed):
        assert path.read_text() == text, f"{path.name} is stale; run: dicectl footprint --static --write (or make footprint)"


def test_readme_and_page_have_a_generated_block(committed):
    for name, block in (("README.md", report.readme_block), ("docs/footprint.md", report.page_block)):
        text = (resources.ROOT / name).read_text()
        assert block(committed) in text
        assert block(committed) not in report.replaced(text, "")


def test_what_pages_say_of_flash_and_ram_are_the_figures(committed):
    session, member = report.kilobytes(committed["session"]["heap"]), report.kilobytes(committed["linked"]["group"])
    linked, other = (report.kilobytes(committed["tls"][name]) for name in ("linked", "session_bytes"))
    assert f"in {session} of RAM for each\nsession." in (resources.ROOT / "README.md").read_text()
    page = (resources.ROOT / "docs" / "comparison.md").read_text()
    assert f"| flash on a Pico | {linked} | {member} for a group member |" in page
    assert f"| RAM for each session on a Pico | {other} | {session} |" in page


def test_the_readme_says_what_files_occupy_on_the_board(committed):
    """D11: 11.4 KB of .mpy files took 73,728 bytes of flash."""
    block = report.readme_block({**committed, "file_system": {"group": 73_728, "psk": 126_976}})
    assert "| flash, the same, as blocks of its file system | **72.0 KB** | - |" in block and "**124.0 KB**" in block


def test_the_readme_says_what_its_own_lamp_takes_and_what_deploy_writes(committed):
    """The row of a member is without asyncio and sockets, which the lamp at the top of the page uses."""
    lamp, full = (report.kilobytes(size) for size in (committed["lamp_file_system"], committed["file_system"]["full"]))
    text = (resources.ROOT / "README.md").read_text()
    assert f"| flash, the lamp above: what it imports, as one file | **{lamp}** | - |" in text
    assert f"| flash, what `dicectl deploy` writes: all modules | **{full}** | - |" in text
    page = (resources.ROOT / "docs" / "footprint.md").read_text()
    assert f"one file of {committed['lamp_file_system'] >> 10} KB would do" in page
