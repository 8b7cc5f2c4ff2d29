# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Wiping leaves nothing in a folder or on a board that provisioning or dice wrote; a killed command leaves no keys for long."""

import subprocess
import sys
from pathlib import Path

import pytest

from dice.group.counters import Counters
from dice.group.gsa import decode
from dice.group.gsa_encode import encode
from dice.store import FileStore, read_file, replace_file
from dicectl import resources, system
from dicectl.board import nvs, sync
from dicectl.errors import FAILED, CommandError
from dicectl.firmware import unix_port
from dicectl.manager import group_file
from dicectl.member.node_file import BoardTarget, FolderTarget
from host_tests.portable.support import make_gsa

OWN = {"app.json", "wifi.json", "clients.json", "main.py", "boot.py", "saved"}


def fill(folder):
    """Write what a node has, with the remains of writes that a power cut interrupted, and files of its owner's."""
    FolderTarget(folder).write({"name": "lamp-1", "key": "00" * 16})
    gsa = bytes(encode(make_gsa(own_id=1)))
    store = FileStore(str(folder))
    counters = Counters(store, b"\1\2\3\4")
    counters.begin(1)
    for kind in "trlc":
        store.put(counters.name(kind, 7), 1 << 48)
        (folder / (counters.name(kind, 7) + ".tmp")).write_bytes(bytes(16))
    replace_file(str(folder / "lamps.gsa"), gsa)
    for name in ("lamps.gsa.tmp", "fans.gsa.tmp", "fans.gsa.new", "node.json.tmp", "node.json.new", ".dice-0123456789abcdef.tmp"):
        (folder / name).write_bytes(gsa)
    for name in OWN:
        (folder / name).write_text("{}")


def test_a_wiped_folder_has_only_files_of_its_owner(tmp_path):
    fill(tmp_path)
    FolderTarget(tmp_path).erase()
    assert {path.name for path in tmp_path.iterdir()} == OWN
    assert read_file(str(tmp_path / "fans.gsa"), decode) is None, "a temporary file became a GSA again"
    FolderTarget(tmp_path).erase()
    FolderTarget(tmp_path / "missing").erase()


def test_a_wiped_board_has_only_files_of_its_owner(tmp_path, monkeypatch):
    fill(tmp_path)
    paths = [f"{folder}/{path.name}" for path in tmp_path.iterdir() for folder in ("", "/data")]
    left = []
    monkeypatch.setattr(sync, "remove", lambda device, doomed: left.extend(path for path in paths if not doomed(path)))
    monkeypatch.setattr(nvs, "erase", lambda device: None)  # test_board_nvs.py has it
    BoardTarget.erase(type("Target", (), {"_device": None}))
    assert set(left) == {f"{folder}/{name}" for name in OWN for folder in ("", "/data")}


def test_a_node_that_runs_would_write_its_files_again_so_it_is_not_wiped(tmp_path):
    """MicroPython's unix port cannot lock its folder. This one puts a counter as fast as it can."""
    fill(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    program = """
from dice.store import FileStore
store, value = FileStore(), 0
print("counting")
while True:
    value += 1
    store.put("01020304l0000", 1 << 48 | value)
"""
    argv = [unix_port.find(), "-c", program]
    with subprocess.Popen(argv, cwd=tmp_path, env=unix_port.environment(str(resources.LIB)), stdout=subprocess.PIPE) as node:
        try:
            assert node.stdout.readline() == b"counting\n"
            with pytest.raises(CommandError, match=rf"E34.*process {node.pid} \(.*micropython") as refused, FolderTarget(tmp_path):
                pass
            assert refused.value.exit_code == FAILED and names <= {path.name for path in tmp_path.iterdir()} | {"01020304l0000.tmp"}
            assert node.poll() is None
        finally:
            node.kill()
    with FolderTarget(tmp_path) as target:
        target.erase()
    assert {path.name for path in tmp_path.iterdir()} == OWN


def test_a_file_that_is_written_again_while_it_is_removed_is_reported(tmp_path, monkeypatch):
    """Here a write that was under way is completed: its .tmp was there when the folder was listed, or appears afterwards."""
    fill(tmp_path)
    unlink = Path.unlink

    def unlink_late(path, missing_ok=False):
        unlink(path, missing_ok)
        if path.name == "01020304l0007.tmp":
            unlink(tmp_path / "01020304l0000", True)
            (tmp_path / "01020304l0000.tmp").write_bytes(bytes(16))

    monkeypatch.setattr(Path, "unlink", unlink_late)
    with pytest.raises(CommandError, match=r"another program writes 01020304l0000\.tmp in .* again: end it"):
        FolderTarget(tmp_path).erase()
    FolderTarget(tmp_path).erase()
    assert {path.name for path in tmp_path.iterdir()} == OWN


def test_a_shell_in_the_folder_is_no_node(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], cwd=tmp_path, stdin=subprocess.PIPE):
        assert system.nodes_in(tmp_path) == ""


def test_a_folder_that_cannot_be_wiped_is_reported(tmp_path):
    (tmp_path / "node.json").mkdir()
    with pytest.raises(CommandError, match="cannot remove the files in"):
        FolderTarget(tmp_path).erase()


def test_keys_in_files_of_a_killed_command_are_removed_by_the_next_one(tmp_path):
    """A process that is killed cannot remove the file that it was writing. The next change of the same file does."""
    program = """
import os, sys
from dicectl.manager import group_file
os.replace = lambda *paths: os._exit(9)
if sys.argv[2] == "export":
    group_file.export(sys.argv[1], sys.argv[3], "switch")
with group_file.edit(sys.argv[1]) as group:
    group_file.rekey(group)
"""
    lamps = tmp_path / "lamps.group"
    group = group_file.new("lamps")
    group_file.add_sender(group, "switch")
    group_file.create(lamps, group)
    target = tmp_path / "switch.gsa"
    for what in ("rekey", "export"):
        with group_file.edit(lamps) as group:
            group_file.rekey(group)
        files = set(tmp_path.iterdir())
        done = subprocess.run([sys.executable, "-c", program, lamps, what, target])
        assert done.returncode == 9 and set(tmp_path.iterdir()) != files
        target.unlink(missing_ok=True)
        with group_file.edit(lamps) as group:
            group_file.rekey(group)
        group_file.export(lamps, target, "switch")
        target.unlink()
        assert set(tmp_path.iterdir()) == files, what
