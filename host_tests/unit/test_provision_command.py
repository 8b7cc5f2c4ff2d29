# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision` and `group` with patterns, many devices, labels and --dry-run, on a running manager; boards are doubles."""

import ast
import csv
import json
import os
import re
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner

from dicectl import resources
from dicectl.__main__ import cli
from dicectl.board.raw_repl import DeviceError
from dicectl.errors import CommandError
from dicectl.firmware import unix_port
from dicectl.manager import control, labels
from dicectl.member import node_file
from dicectl.member.node_file import BoardTarget, FolderTarget
from host_tests.unit.memory_registry import MemoryRegistry


class FakeBoard:
    """A board whose only file is node.json, and which runs board_files.py in MicroPython's unix port."""

    port = "P"

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def load(self, script):
        self.script = resources.ON_DEVICE / script

    def call(self, function, *arguments):
        call = f"{function}({', '.join(map(repr, arguments))})".replace("'/", f"'{self.folder}/")
        code = f"exec(open({str(self.script)!r}).read())\n{call}"
        done = subprocess.run([unix_port.find(), "-c", code], capture_output=True, text=True, cwd=self.folder)
        if done.returncode:
            raise DeviceError(done.stderr)
        return [ast.literal_eval(line) for line in done.stdout.splitlines()]


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """Return run(*arguments, status=0), which runs dicectl on a manager without devices, and returns its output."""
    import asyncio

    from dicectl.manager.service import ManagerService

    started, loop = threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve():
        service = ManagerService(MemoryRegistry(), tmp_path / "house.db")
        service.address = {"host": "manager.example", "port": 5684}
        server = await control.serve(tmp_path / "house.db", service.do)
        started.set()
        await ended.wait()
        server.close()
        service.kdc.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DICE_MANAGER", str(tmp_path / "house.db"))

    def run(*arguments, status=0, answer=None):
        result = CliRunner().invoke(cli, arguments, input=answer)
        assert result.exit_code == status, result.output
        if "--json" in arguments and not status:
            return json.loads(result.stdout)
        return " ".join(re.sub("[│╭╮╰╯─]", "", result.output).split())  # errors have a frame

    yield run
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


def test_an_empty_list_names_the_command_that_fills_it(manager):
    """D17: nothing was printed."""
    assert manager("provision", "list") == "no device yet: dicectl provision new"
    assert manager("provision", "list", "--json") == []


def test_many_devices_have_a_folder_a_line_and_a_label_each(manager, tmp_path):
    manager("group", "new", "lamps")
    arguments = ("lamp", "--count", "12", "--group", "lamps", "--to", "out", "--csv", "out.csv", "--labels", "out.html")
    said = manager("provision", "new", *arguments, "--dry-run")
    assert "devices that would be created: lamp-01, lamp-02" in said and "epoch 1 would begin" in said
    assert not (tmp_path / "out").exists() and manager("provision", "list", "--json") == []
    made = manager("provision", "new", *arguments, "--json")
    names = [f"lamp-{i:02}" for i in range(1, 13)]
    assert [one["name"] for one in made] == names == [device["name"] for device in manager("provision", "list", "--json")]
    stored = {name: json.loads((tmp_path / "out" / name / "node.json").read_text()) for name in names}
    assert (tmp_path / "out" / "lamp-01" / "node.json").stat().st_mode & 0o777 == 0o600
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["identity"], row["groups"]) for row in rows] == [(n, stored[n]["identity"], "lamps") for n in names]
    page = (tmp_path / "out.html").read_text()
    assert all(name in page and stored[name]["identity"] in page for name in names) and page.count('class="label"') == 12
    for text in (page, (tmp_path / "out.csv").read_text(), json.dumps(made)):
        assert not any(settings["key"] in text for settings in stored.values())
    assert "--to FOLDER" in manager("provision", "new", "a", "b", status=2)
    assert "--count needs one NAME" in manager("provision", "new", "a", "b", "--count", "2", "--to", "x", status=2)


def test_many_devices_are_made_or_none(manager, tmp_path, monkeypatch):
    write, written = FolderTarget.write, []

    def fails(self, settings):
        if len(written) == 2:
            raise CommandError("disk full")
        written.append(settings)
        return write(self, settings)

    monkeypatch.setattr(FolderTarget, "write", fails)
    assert "disk full" in manager("provision", "new", "lamp", "--count", "5", "--to", "out", status=1)
    assert manager("provision", "list", "--json") == [] and not list(tmp_path.glob("out/*/node.json"))


@pytest.mark.parametrize("form", [".svg", ".html", ".png"])
def test_labels_are_well_formed(tmp_path, form):
    from xml.dom import minidom

    path = tmp_path / f"labels{form}"
    labels.write(path, [{"name": "a&b", "identity": "0123456789abcdef"}] * 5)
    if form == ".png":
        assert (path / "a&b.png").read_bytes().startswith(b"\x89PNG")
        return
    text = path.read_text()
    for svg in re.findall(r'<svg [^>]*class="label".*?</svg>.*?</svg>', text) or [text]:
        minidom.parseString(svg)
    assert text.count("a&amp;b") == 5
    assert labels.text({"name": "x", "identity": "0f"}) == "dice:0f?name=x"
    with pytest.raises(CommandError, match="\\.svg or \\.html"):
        labels.check(tmp_path / "x.pdf")


def test_patterns_show_what_they_match_and_ask(manager):
    manager("group", "new", "lamps")
    manager("provision", "new", "lamp", "--count", "3", "--to", "out")
    manager("provision", "new", "switch", "--group", "lamps:sender", "--to", "switch")
    assert "add to lamps: lamp-1, lamp-2, lamp-3 Error 3 devices: go on? Say so with --yes" in manager(
        "group", "add", "lamps", "lamp-*", status=2
    )
    assert "no device matches fan-*" in manager("group", "add", "lamps", "fan-*", "--yes", status=2)
    assert manager("group", "add", "lamps", "lamp-*", "--yes", "--no-wait", "--json")["members"] == 4
    said = manager("group", "remove", "lamps", "lamp-[12]", "--dry-run")
    assert "would be expelled: lamp-1, lamp-2" in said and "epoch 2 would begin after epoch 1, from a new master key" in said
    assert manager("group", "remove", "lamps", "lamp-[12]", "-y", "--no-wait", "--json")["members"] == 2
    said = manager("group", "role", "lamps", "lamp-3", "sender", "--dry-run")
    assert "lamp-3 would be sender" in said and "new master key" not in said
    assert "renamed to hall" in manager("provision", "rename", "lamp-3", "hall", "--dry-run")
    assert manager("provision", "rename", "lamp-3", "hall", "--json")["name"] == "hall"
    assert "hall: identity" in manager("provision", "show", "hall")
    assert "key" not in manager("provision", "show", "hall", "--json")
    wiped = manager("provision", "wipe", "lamp-*", "--yes", "--json")
    assert [one["name"] for one in wiped] == ["lamp-1", "lamp-2"]
    assert manager("provision", "wipe", "hall", "--json") == {"name": "hall", "groups": ["lamps"]}


@pytest.mark.parametrize("port", [False, True], ids=["folder", "board"])
def test_a_device_is_not_overwritten(manager, tmp_path, monkeypatch, port):
    """D9: the key of porch was gone, and porch stayed a member that each re-key waited for."""
    place = tmp_path / "board"
    place.mkdir()
    to = ("--port", "P") if port else ("--to", "board")
    board = FakeBoard(place)
    monkeypatch.setattr(node_file, "Device", lambda port: board)

    def put(device, path, data):
        (place / path).write_bytes(data)

    monkeypatch.setattr(node_file.sync, "put", put)
    monkeypatch.setattr(node_file.sync, "remove", lambda device, doomed: FolderRest(place).remove(doomed))
    manager("group", "new", "lamps")
    manager("provision", "new", "porch", "--group", "lamps", *to)
    (place / "lamps.gsa").write_text("keys")
    before = (place / "node.json").read_bytes()
    for command in (("new", "porch2"), ("wipe", "other"), ("replace", "other")):
        if command[1] == "other" and "other" not in str(manager("provision", "list", "--json")):
            manager("provision", "new", "other", "--to", "other")
        said = manager("provision", *command, *to, status=2)
        assert "porch, whose key would be lost: dicectl provision wipe porch, or replace porch" in said
    assert (place / "node.json").read_bytes() == before
    assert [device["name"] for device in manager("provision", "list", "--json")] == ["other", "porch"]
    manager("provision", "replace", "porch", *to)
    assert (place / "node.json").read_bytes() != before and not (place / "lamps.gsa").exists(), "keys of the device before"
    manager("provision", "new", "porch3", "--force", *to)
    assert json.loads((place / "node.json").read_text())["name"] == "porch3"
    (place / "node.json").write_text("{")
    assert "is damaged: --force overwrites it" in manager("provision", "new", "porch4", *to, status=2)
    manager("provision", "wipe", "porch3", "--force", *to)
    assert not (place / "node.json").exists()
    manager("provision", "new", "porch4", *to)


class FolderRest:
    """Removes the files of a board's double."""

    def __init__(self, place):
        self._place = place

    def remove(self, doomed):
        for path in self._place.iterdir():
            if doomed(path.name):
                path.unlink()


@pytest.mark.parametrize("words, found", [(["group", "show", "l"], ["lamps"]), (["provision", "wipe", "s"], ["switch"])])
def test_names_are_completed_from_the_running_manager(manager, words, found):
    manager("group", "new", "lamps")
    manager("provision", "new", "switch", "--to", "switch")
    variables = {"_DICECTL_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(["dicectl", *words]), "COMP_CWORD": str(len(words))}
    argv = [sys.executable, "-m", "dicectl"]
    done = subprocess.run(argv, env={**os.environ, **variables}, capture_output=True, text=True)
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == found, done.stderr


def test_a_board_says_its_name_and_not_its_key(tmp_path):
    (tmp_path / "node.json").write_text(json.dumps({"name": "porch", "identity": "0f", "key": "secret"}))
    target = BoardTarget.__new__(BoardTarget)
    target._device = FakeBoard(tmp_path)
    target._had_one = False
    with pytest.raises(CommandError, match="this board is porch"):
        target.check()
    target.check("porch")
    assert target._had_one
