# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""firmware/app/managers.py with a raw public key: the node makes its next key itself, and can always come back.

The manager is a model that accepts what a registry would; the files and the keys are real. test_raw_keys_of_a_town.py has both.
"""

import json
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice.coap.codes import BAD_REQUEST, CHANGED, POST
from dice.crypto import curve
from dice.errors import PeerError, StoreError
from host_tests.seeds import seeds
from host_tests.unit.test_managers_of_a_node import NEW, OLDEST_FILE, A, connect, load_managers, put, start

FIRST = b"\1" * 32
SERVER = curve.public(b"\2" * 32)
FILE = {"name": "lamp", "identity": "0f", "private": FIRST.hex(), "servers": [SERVER.hex()], "groups": [], "managers": [A]}


class House:
    """A double of a manager: `keys` are the points that it accepts."""

    def __init__(self):
        self.keys = [curve.public(FIRST)]
        self.asked = []

    async def connect(self, address, credentials, **_):
        self.asked.append(credentials.point)
        if credentials.point not in self.keys:
            raise PeerError(None, 51)
        return credentials.point


def ask(managers):
    """Ask a node for its next key, as the manager does; return (code, payload)."""
    return managers.routes["dice/key"][POST](types.SimpleNamespace(payload=b""), None)


@pytest.fixture
def module(monkeypatch):
    loaded = load_managers()
    loaded.house = House()
    monkeypatch.setattr(loaded, "dice", types.SimpleNamespace(connect=loaded.house.connect))
    return loaded


def test_a_node_connects_with_its_own_key_to_the_managers_that_it_knows(module, tmp_path):
    managers = start(module, tmp_path / "node.json", FILE)
    credentials = module.credentials_of(FILE, FILE)
    assert credentials.point == curve.public(FIRST)
    assert connect(managers) == curve.public(FIRST)
    assert put(managers, "dice/key", NEW) == BAD_REQUEST, "a pre-shared key in the place of its own"
    assert json.loads((tmp_path / "node.json").read_text()) == FILE


def test_a_node_with_a_pre_shared_key_makes_none(module, tmp_path):
    managers = start(module, tmp_path / "node.json", OLDEST_FILE)
    assert ask(managers) == (BAD_REQUEST, b"")
    assert json.loads((tmp_path / "node.json").read_text()) == OLDEST_FILE


def test_a_key_is_dropped_only_when_the_next_has_been_used(module, tmp_path):
    path = tmp_path / "node.json"
    managers = start(module, path, FILE)
    connect(managers)
    code, point = ask(managers)
    assert code == CHANGED and len(point) == 65 and point != curve.public(FIRST)
    assert ask(managers) == (CHANGED, point), "the answer was lost, and another key was made"
    again = start(module, path)
    connect(again)
    assert ask(again) == (CHANGED, point), "power was lost, and another key was made"
    assert connect(start(module, path)) == curve.public(FIRST), "the manager did not store it: the old one still works"
    module.house.keys.append(point)
    assert connect(again) == point
    after = json.loads(path.read_text())
    assert curve.public(bytes.fromhex(after["private"])) == point and "next" not in after and FIRST.hex() not in path.read_text()
    assert ask(again)[1] not in (point, curve.public(FIRST))


def test_a_proved_key_is_not_lost_if_the_file_cannot_be_written(module, tmp_path, monkeypatch):
    """The old key is dead then, and still in the file."""
    path = tmp_path / "node.json"
    managers = start(module, path, FILE)
    connect(managers)
    point = ask(managers)[1]
    real = module.replace_file

    def full(*_):
        raise StoreError(30)

    module.house.keys = [point]
    monkeypatch.setattr(module, "replace_file", full)
    assert connect(managers) == point
    with pytest.raises(StoreError):
        ask(managers)
    monkeypatch.setattr(module, "replace_file", real)
    following = ask(managers)[1]
    assert following not in (point, curve.public(FIRST))
    assert connect(start(module, path)) == point, "the key that works was replaced"


ACTIONS = st.lists(st.sampled_from(["ask", "ask, answer lost", "cut", "connect", "full", "empty"]), max_size=16)


@settings(max_examples=len(seeds(60)), deadline=None)
@given(ACTIONS)
def test_no_schedule_locks_a_node_out_and_no_old_key_stays(tmp_path_factory, actions):
    """The manager stores what the node answers, accepts both, and ends the old one when a session has used the new one."""
    path = tmp_path_factory.mktemp("node") / "node.json"
    module, house = load_managers(), House()
    module.dice = types.SimpleNamespace(connect=house.connect)
    real = module.replace_file

    def full(*_):
        raise StoreError(30)

    managers = start(module, path, FILE)
    connected = False
    for action in [*actions, "empty", "connect"]:
        if action == "cut":
            managers, connected = start(module, path), False
        elif action in ("full", "empty"):
            module.replace_file = full if action == "full" else real
        elif action == "connect" or not connected:
            used, connected = connect(managers), True
            if used == house.keys[-1]:
                house.keys = [used]
        else:
            try:
                code, point = ask(managers)
            except StoreError:
                continue
            assert code == CHANGED
            if action == "ask":
                house.keys = list(dict.fromkeys([house.keys[0], point]))
    assert connect(start(module, path)) in house.keys
