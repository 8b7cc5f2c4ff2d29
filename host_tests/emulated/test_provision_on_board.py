# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision --key rpk` on the emulated RP2040: the key pair is made on the board, and the private key never leaves it."""

import json
import subprocess
import sys

from dice.crypto import curve
from dicectl.demo.manager_process import ManagerProcess
from dicectl.emulator.board import EmulatedBoard
from dicectl.manager.registry import own_keys
from host_tests.emulated import files


def _dicectl(folder, *arguments):
    """Run a command in the folder; return its output."""
    argv = [sys.executable, "-m", "dicectl", *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done
    return done.stdout + done.stderr


def _use(folder, image):
    board_files = {
        **files.dice(whole=True),
        "lamps.gsa": b"keys of a device before",
        "node.json": b'{"name": "a", "identity": "b"}',
    }
    with ManagerProcess(folder) as service, EmulatedBoard(image, board_files, pty=True) as board:
        service("new", group="lamps")
        before = {path.name for path in folder.iterdir()}
        manager = ("-m", service.registry, "--port", board.port)
        said = _dicectl(folder, "provision", "new", "lamp", "--group", "lamps", "--key", "rpk", "--force", *manager)
        stored = board.files()  # of its flash, at this moment
        device = service("device", name="lamp")
        server = service.registry.read_bytes()
        assert {path.name for path in folder.iterdir()} == before, "files that nobody has asked for"
    return said, stored, device, server


def test_a_board_makes_its_key_and_keeps_it(in_network, firmware, tmp_path):
    said, stored, device, registry = in_network(_use, tmp_path, firmware)
    settings = json.loads(stored["node.json"])
    private = bytes.fromhex(settings["private"])
    assert own_keys.fingerprint(curve.public(private)).hex() == device["fingerprint"] and device["fingerprint"] in said
    assert device["kind"] == "rpk" and "key" not in settings and len(settings["servers"][0]) == 130
    assert private not in registry and private.hex().encode() not in registry and private.hex() not in said
    assert [name for name, data in stored.items() if private.hex().encode() in data or private in data] == ["node.json"]
    assert "lamps.gsa" not in stored
