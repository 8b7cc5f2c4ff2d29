# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Commands on a board that has nothing at "/", as MicroPython for STM32 and nRF: its files are in /flash, from which it starts.

A timer of its boot.py prints all the time, into the answers of each command.
"""

import json
import subprocess
import sys

import pytest

from dice import __version__
from dicectl import resources
from dicectl.emulator.board import EmulatedBoard, check
from dicectl.errors import CommandError
from dicectl.firmware import bundle, recipe
from dicectl.measure import on_board
from dicectl.measure.program import source
from dicectl.member.node_file import BoardTarget

# STM32s do this in ports/stm32/main.c before boot.py, where no Ctrl-C can interrupt it.
BOOT = b"""import micropython
micropython.kbd_intr(-1)
import os, rp2, sys, vfs
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(rp2.Flash(), progsize=256), "/flash")
os.chdir("/flash")
sys.path[:] = ["", ".frozen", "/flash", "/flash/lib"]
from machine import Timer
timer = Timer(-1, period=200, callback=lambda _: print("Wi-Fi: [Errno 2] ENOENT"))
micropython.kbd_intr(3)
"""
EMPTY_BYTES = 352 * 4096


@pytest.fixture(scope="module")
def board():
    """Yield the board, with firmware without dice; skips if it cannot be built."""
    try:
        check()
        image = recipe.firmware("RPI_PICO", profile="none") / "firmware.uf2"
    except CommandError as failure:
        pytest.skip(failure.format_message())
    with EmulatedBoard(image, {"boot.py": BOOT}, pty=True) as board:
        yield board


def dicectl(board, command, *arguments):
    """Run a command on a board; return its --json output."""
    argv = [sys.executable, "-m", "dicectl", command, "--port", board.port, "--json", *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def deployed(board, tmp_path_factory):
    """Return the output of deploy."""
    main = tmp_path_factory.mktemp("program") / "main.py"
    main.write_text("open('pins.json').close()\n")
    return dicectl(board, "deploy", "--profile", "group", main)


def test_deploy_copies_to_the_folder_in_which_the_board_starts(board, deployed):
    assert sorted(deployed["copied"]) == ["/flash/dice.mpy", "/flash/main.py"]
    assert sorted(board.files()) == ["boot.py", "dice.mpy", "main.py"]
    assert 0 < deployed["flash_bytes"] < deployed["flash_free_bytes"] < EMPTY_BYTES
    assert not any("sys.path" in note for note in deployed["notes"])


@pytest.mark.parametrize("to", [":", ":flash", ":/flash"])
def test_its_folder_has_the_name_that_it_has_there(board, deployed, to):
    """A second deploy finds all of the first."""
    main = resources.EXAMPLES / "boot.py"
    planned = dicectl(board, "deploy", "--profile", "group", "--dry-run", "--no-check", "--to", to, main)
    assert list(planned["copied"]) == ["/flash/boot.py"] and planned["removed"] == []


def test_a_folder_below_it_is_that_of_its_sys_path(board, deployed):
    planned = dicectl(board, "deploy", "--profile", "group", "--dry-run", "--to", ":lib")
    assert list(planned["copied"]) == ["/flash/lib/dice.mpy"]
    assert any("/flash/dice.mpy" in note or "precedes /flash/lib" in note for note in planned["notes"])


def test_doctor_finds_its_dice_once_and_its_room(board, deployed):
    """The current folder and /flash are two entries of sys.path, and one folder."""
    found = dicectl(board, "doctor")["board"]
    (dice,) = found["dice"]
    assert (dice["where"], dice["version"], dice["differs"]) == ("/flash/dice.mpy", __version__, [])
    assert found["to_do"] == []
    assert 0 < found["flash_free"] < found["flash"] == EMPTY_BYTES


def test_a_device_is_provisioned_there_and_wiped(board, deployed):
    with BoardTarget(board.port) as target:
        target.check()
        target.write({"name": "lamp", "identity": "0f"})
        assert json.loads(board.files()["node.json"])["name"] == "lamp"
        with pytest.raises(CommandError, match="this board is lamp"):
            target.check()
        target.check("lamp")
        target.write({"name": "lamp", "identity": "10"})
        assert json.loads(board.files()["node.json"])["identity"] == "10"
        target.erase()
    assert sorted(board.files()) == ["boot.py", "dice.mpy", "main.py"]


def test_footprint_measures_its_files_there(board, deployed):
    from dicectl.board.raw_repl import Device

    with Device(board.port) as device:
        figures = on_board.collect(device, lambda text: None, ("file_system", "store"))
    assert figures["notes"] == []
    size = len(board.files()["dice.mpy"])
    assert figures["file_system"]["dice"] == bundle.blocks(size, 4096) * 4096
    assert figures["store"]["block"] == 4096
    assert source(":main.py") == ("main.py", None)
    assert sorted(board.files()) == ["boot.py", "dice.mpy", "main.py"]
