# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision --key rpk`: devices make their keys themselves. A private key is in its node.json, and nowhere else."""

import json
import os

import pytest

from dice.crypto import curve
from dicectl.errors import CommandError
from dicectl.manager.registry import own_keys
from dicectl.member import node_file
from dicectl.member.node_file import BoardTarget, FolderTarget
from host_tests.live_board import LiveBoard
from host_tests.unit.test_provision_command import FolderRest, manager

__all__ = ["manager"]


@pytest.fixture
def board(tmp_path, monkeypatch):
    """Return the double of a board that `--port P` reaches."""
    place = tmp_path / "board"
    place.mkdir()
    found = LiveBoard(place)
    monkeypatch.setattr(node_file, "Device", lambda port: found)
    monkeypatch.setattr(node_file.sync, "remove", lambda device, doomed: FolderRest(place).remove(doomed))
    monkeypatch.setattr(node_file.nvs, "erase", lambda device: None)
    return found


def traces(folder, secret):
    """Return the names of the files that contain a secret, as bytes or in hexadecimal."""
    forms = secret, secret.hex().encode(), secret.hex().upper().encode()
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.relative_to(folder).as_posix() for path in files if any(form in path.read_bytes() for form in forms)]


def stored(path):
    """Return the private key and the fingerprint of the public key in a node.json."""
    settings = json.loads((path / "node.json").read_text())
    assert "key" not in settings and "fingerprint" not in settings
    private = bytes.fromhex(settings["private"])
    return private, own_keys.fingerprint(curve.public(private)).hex(), settings


@pytest.mark.parametrize("port", [False, True], ids=["folder", "board"])
def test_a_device_makes_its_key_and_keeps_it_alone(manager, board, tmp_path, port):
    place = board.folder if port else tmp_path / "host"
    to = ("--port", "P") if port else ("--to", "host")
    manager("group", "new", "lamps")
    said = manager("provision", "new", "lamp", "--group", "lamps", "--key", "rpk", *to)
    private, fingerprint, settings = stored(place)
    assert settings["groups"] == ["lamps"] and settings["managers"] == [{"host": "manager.example", "port": 5684}]
    assert len(bytes.fromhex(settings["servers"][0])) == 65
    shown = manager("provision", "show", "lamp", "--json")
    assert (shown["kind"], shown["fingerprint"]) == ("rpk", fingerprint) and shown["identity"] == settings["identity"]
    assert f"key {fingerprint}, lamps; written to" in said and f"raw public key {fingerprint}" in manager(
        "provision", "show", "lamp"
    )
    assert "this board is lamp" in manager("provision", "new", "x", *to, status=2) if port else True
    # Replaced by one of the same kind, and the old one is unknown.
    (place / "lamps.gsa").write_text("keys")
    again = manager("provision", "replace", "lamp", *to, "--json")
    second, other, settings = stored(place)
    assert again["fingerprint"] == other != fingerprint and second != private and not (place / "lamps.gsa").exists()
    assert manager("provision", "list", "--json")[0]["fingerprint"] == other
    # The keys are where they belong.
    printed = said + json.dumps(again) + json.dumps(shown) + "".join(board.said)
    for secret in (private, second):
        assert secret.hex() not in printed
    assert traces(tmp_path, private) == [] and traces(tmp_path, second) == [f"{place.name}/node.json"]
    # A pre-shared key in its place, and a wipe.
    manager("provision", "replace", "lamp", "--key", "psk", *to)
    assert "key" in json.loads((place / "node.json").read_text()) and traces(tmp_path, second) == []
    assert manager("provision", "show", "lamp", "--json")["kind"] == "psk"
    manager("provision", "replace", "lamp", "--key", "rpk", *to)
    manager("provision", "wipe", "lamp", *to)
    assert not list(place.iterdir()) and manager("provision", "list", "--json") == []


def test_many_folders_make_their_keys(manager, tmp_path):
    made = manager("provision", "new", "lamp", "--count", "3", "--key", "rpk", "--to", "out", "--json")
    found = [stored(tmp_path / "out" / device["name"]) for device in made]
    assert [device["fingerprint"] for device in made] == [fingerprint for _, fingerprint, _ in found]
    assert len({private for private, _, _ in found}) == 3 and len({settings["servers"][0] for *_, settings in found}) == 1


FULL = """
import dice.store
def full(path, data):
    raise OSError(28)
dice.store.replace_file = full
"""
LYING = """
import dice.store, json
def other(path, data):
    real(path, json.dumps(dict(json.loads(data), private="01" * 32)).encode())
real, dice.store.replace_file = dice.store.replace_file, other
"""
WITHOUT = """
import sys
sys.path[:] = []
"""


@pytest.mark.parametrize(
    "prelude, why",
    [
        (FULL, "the board has not stored its key: OSError: 28"),
        (LYING, "the board has stored another key than it has made"),
        (WITHOUT, "dice on this board has no public keys: dicectl deploy --profile public-keys"),
    ],
    ids=["full", "damaged", "no dice"],
)
def test_a_board_that_cannot_keep_its_key_is_not_done(manager, tmp_path, monkeypatch, prelude, why):
    place = tmp_path / "board"
    place.mkdir()
    found = LiveBoard(place, prelude)
    monkeypatch.setattr(node_file, "Device", lambda port: found)
    assert why in manager("provision", "new", "lamp", "--key", "rpk", "--port", "P", status=1)
    assert manager("provision", "list", "--json") == []


def test_an_old_device_is_expelled_before_the_new_one_has_its_key(manager, board, monkeypatch):
    manager("provision", "new", "lamp", "--key", "rpk", "--to", "old")
    before = manager("provision", "show", "lamp", "--json")["fingerprint"]
    monkeypatch.setattr(board, "_prelude", FULL)
    said = manager("provision", "replace", "lamp", "--port", "P", status=1)
    assert "the old device is already expelled: run dicectl provision replace lamp again" in said
    monkeypatch.setattr(board, "_prelude", "")
    manager("provision", "replace", "lamp", "--port", "P")
    assert manager("provision", "show", "lamp", "--json")["fingerprint"] not in (before, None)


def test_a_key_is_as_good_as_the_better_of_two_sources(board):
    """The board's random numbers, and those of the host."""
    poor = "class os:\n    urandom = staticmethod(lambda count: bytes(count))\n"
    keys = {}
    for source in ("", poor):
        with board:
            board.load("board_keys.py")
            board.run(source)
            for salt in ("00" * 32, "00" * 32, "01" * 32, "02" * 32):
                keys.setdefault(source, []).append(board.call("new_key", salt)[0])
    assert len(set(keys[""])) == 4 and len(set(keys[poor])) == 3, "the same salt and the same bytes give the same key"
    assert not set(keys[""]) & set(keys[poor])


def test_targets_keep_no_key_after_they_have_written_it(tmp_path, board):
    with FolderTarget(tmp_path / "node") as target:
        point = target.make_key()
        target.write({"name": "a"})
        assert curve.public(stored(tmp_path / "node")[0]) == point
        target.erase()
        target.write({"name": "a", "key": "00"})
        assert "private" not in (tmp_path / "node" / "node.json").read_text()
    with board:
        target = BoardTarget("P")
        target._device.restart()
        target.make_key()
        target.write({"name": "a"})
        assert board.run("print(bytes(_made) == bytes(32))") == ["True\n"]


@pytest.mark.parametrize("point", ["04" + "00" * 64, "05" + os.urandom(64).hex(), "04ff", "", "zz"])
def test_what_is_no_point_is_refused(point):
    from dicectl.manager.service import ManagerService
    from host_tests.unit.memory_registry import MemoryRegistry

    service = ManagerService(MemoryRegistry(), "house.db")
    with pytest.raises(CommandError, match="no public key"):
        service.do({"do": "provision", "name": "x", "groups": {}, "point": point})
    assert service.registry.devices() == {}


def test_a_label_has_the_fingerprint_and_no_key(manager, tmp_path):
    manager("provision", "new", "raw", "--key", "rpk", "--to", "raw", "--labels", "made.svg")
    manager("provision", "new", "shared", "--to", "shared")
    private, fingerprint, settings = stored(tmp_path / "raw")
    key = json.loads((tmp_path / "shared" / "node.json").read_text())["key"]
    shown = manager("provision", "label", "raw", "shared")
    assert f"dice:{settings['identity']}?name=raw&sha256={fingerprint}" in shown and "?name=shared" in shown
    manager("provision", "label", "*", "--to", "all.svg")
    texts = shown, (tmp_path / "made.svg").read_text(), (tmp_path / "all.svg").read_text()
    for text in texts:
        assert private.hex() not in text and key not in text
    assert " ".join(fingerprint[at : at + 4] for at in range(0, 32, 4)) in texts[1] and settings["identity"] in texts[2]
    assert ".svg or .html" in manager("provision", "label", "raw", "--to", "x.pdf", status=2)
    assert "there is no device nobody" in manager("provision", "label", "nobody", status=2)
