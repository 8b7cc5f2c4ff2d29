# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""firmware/app/managers.py: a node that can connect keeps being able to, whatever the manager changes and whenever the power fails.

The properties run it against a model of what the managers of a house accept; the files are real.
"""

import asyncio
import json
import subprocess
import sys
import types
from importlib import util

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice.coap.codes import BAD_REQUEST, CHANGED, PUT
from dice.errors import PeerError, StoreError
from dicectl import resources
from dicectl.firmware import unix_port
from dicectl.net.virtual import Loop
from host_tests.seeds import seeds
from host_tests.unit.test_app import app  # noqa: F401 - a fixture

A, B, C = ({"host": host, "port": 5684} for host in ("a.house", "b.house", "c.house"))
OLD = {"identity": "lamp", "key": "11" * 16}
NEW = {"identity": "lamp:1", "key": "22" * 16}
OLDEST_FILE = {"name": "lamp-1", "groups": ["lamps"], "manager": A, **OLD}


class House:
    """A double of the managers: `managers` are up, `keys` are accepted; `asked` are the (host, identity) that were tried."""

    def __init__(self):
        self.managers = [A]
        self.keys = [OLD]
        self.asked = []

    async def connect(self, address, psk, **_):
        self.asked.append((address[0], psk.identity.decode()))
        up = {"host": address[0], "port": address[1]} in self.managers
        if not up or {"identity": psk.identity.decode(), "key": psk._key.hex()} not in self.keys:
            raise PeerError(None, 51)
        return address[0], psk.identity.decode()


def load_managers():
    """Return the module, as a new one."""
    spec = util.spec_from_file_location("managers", resources.APP / "managers.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def module(monkeypatch):
    loaded = load_managers()
    loaded.house = House()
    monkeypatch.setattr(loaded, "dice", types.SimpleNamespace(connect=lambda *a, **b: loaded.house.connect(*a, **b)))
    return loaded


def start(module, path, stored=None):
    """Return the Managers of a node that starts with its file; `stored` is written before."""
    if stored is not None:
        path.write_text(json.dumps(stored))
    return module.Managers(json.loads(path.read_text()), str(path))


def put(managers, resource, body):
    """Return the code of the response to a PUT by the manager."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler = managers.routes[resource][PUT]
    return handler(types.SimpleNamespace(payload=payload), None)[0]


def connect(managers):
    return asyncio.run(managers.connect())


def test_a_file_of_before_names_one_manager(module, tmp_path):
    assert connect(start(module, tmp_path / "node.json", OLDEST_FILE)) == ("a.house", "lamp")
    assert json.loads((tmp_path / "node.json").read_text()) == OLDEST_FILE, "there was nothing to write"


def test_managers_are_tried_in_turn_and_that_of_the_last_session_first(module, tmp_path):
    managers = start(module, tmp_path / "node.json", {**OLDEST_FILE, "managers": [A, B, C]})
    module.house.managers = [C]
    connect(managers)
    connect(managers)
    assert [host for host, _ in module.house.asked] == ["a.house", "b.house", "c.house", "c.house"]
    module.house.managers = []
    with pytest.raises(PeerError):
        connect(managers)
    assert [host for host, _ in module.house.asked[4:]] == ["c.house", "a.house", "b.house"], "one round, each once"
    managers.prefer(B)
    assert managers.listed() == [B, A, C]


EIGHT = [{"host": f"{number}.house", "port": 5684} for number in range(8)]


@pytest.mark.parametrize("position", [0, 3, 7])
@pytest.mark.parametrize("keys", [1, 2], ids=["one key", "a key that changes"])
@pytest.mark.parametrize("has_names", [True, False], ids=["", "without a name server"])
def test_a_manager_that_is_there_is_found_within_a_minute_among_seven_that_are_not(module, tmp_path, position, keys, has_names):
    """With four dead ones before it, it took longer."""
    changes = {"next": NEW} if keys == 2 else {}
    stored = {**OLDEST_FILE, "managers": EIGHT, **changes}
    asked, spent_s = module.house.connect, []

    async def connect(address, psk, timeout_s=60, **options):
        try:
            await asyncio.sleep(0.5)  # a handshake
            return await asked(address, psk, **options)
        except PeerError:
            assert timeout_s >= 3, "too short for a datagram that is lost"
            await asyncio.sleep(timeout_s - 0.5)
            raise

    async def look_up(host):
        if not has_names and host != EIGHT[position]["host"]:
            await asyncio.sleep(30)
            raise OSError(110)
        return host

    async def main():
        path = tmp_path / "node.json"
        path.write_text(json.dumps(stored))
        managers = module.Managers(stored, str(path), look_up)
        assert (await managers.connect(timeout_s=30))[0] == EIGHT[position]["host"]
        spent_s.append(asyncio.get_running_loop().time())

    module.house.connect = connect
    module.house.managers = [EIGHT[position]]
    loop = Loop()
    loop.run_until_complete(main())
    loop.close()
    assert spent_s[0] <= 60


def test_one_manager_has_the_whole_time(module, tmp_path):
    given = []

    async def connect(*_, timeout_s, **__):
        given.append(timeout_s)
        raise PeerError(None, 51)

    module.house.connect = connect
    for listed in ([A], [A, B], [A, B, C]):
        with pytest.raises(PeerError):
            asyncio.run(start(module, tmp_path / "node.json", {**OLDEST_FILE, "managers": listed}).connect(timeout_s=30))
    assert given == [30, 15, 15, 10, 10, 10]


@pytest.mark.parametrize("source", [("127.0.0.1", 5685), ("127.0.0.1", 5685, 0, 0), ["127.0.0.1", 5685]], ids=repr)
def test_a_recall_prefers_the_manager_that_it_came_from(module, tmp_path, source):
    near = {"host": "localhost", "port": 5685}
    managers = start(module, tmp_path / "node.json", {**OLDEST_FILE, "managers": [A, {"host": "127.0.0.1", "port": 5684}, near]})
    connect(managers)
    managers.recalled(source)
    assert managers.listed()[0] == near
    managers.recalled(("192.0.2.7", 5684))
    assert managers.listed()[0] == near, "nobody else's address is preferred"


def test_a_recall_by_a_manager_with_a_name_is_understood_and_looks_nothing_up(module, tmp_path, monkeypatch):
    """On a board a look-up blocks for longer than the watchdog waits."""
    addresses = {"a.house": "10.0.0.1", "b.house": "10.0.0.2"}

    async def look_up(host):
        if host not in addresses:
            raise OSError(110)
        return addresses[host]

    def getaddrinfo(host, port):
        raise AssertionError("would block")

    monkeypatch.setitem(sys.modules, "socket", types.SimpleNamespace(getaddrinfo=getaddrinfo))
    path = tmp_path / "node.json"
    path.write_text(json.dumps({**OLDEST_FILE, "managers": [C, A, B]}))
    managers = module.Managers(json.loads(path.read_text()), str(path), look_up)
    managers.recalled(("10.0.0.2", 5684))
    assert managers.listed()[0] == C, "not known yet"
    asyncio.run(managers.look_up_all())
    monkeypatch.setattr(sys.modules["socket"], "getaddrinfo", lambda host, port: [(0, 0, 0, "", (host, port))])
    managers.recalled(("10.0.0.2", 5684))
    assert managers.listed()[0] == B


RECALL = """
import socket
from managers import Managers
ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
ports = []
for end in ends:
    for port in range(20000 + id(end) % 10000, 40000):
        try:
            end.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
        except OSError:
            continue
        ports.append(port)
        break
listed = [{"host": "127.0.0.1", "port": 9}, {"host": "127.0.0.1", "port": ports[0]}]
managers = Managers({"managers": listed})
ends[0].sendto(b"x", socket.getaddrinfo("127.0.0.1", ports[1])[0][-1])
managers.recalled(ends[1].recvfrom(1)[1])
assert managers.listed()[0]["port"] == ports[0], managers.listed()
"""


def test_micropython_knows_where_a_recall_came_from():
    """Its sockets have addresses of other types than its name service."""
    environment = unix_port.environment(f"{resources.APP}:{resources.LIB}")
    done = subprocess.run([unix_port.find(), "-c", RECALL], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_host_that_cannot_be_one_costs_its_turn(module, tmp_path):
    odd = {"host": "odd", "port": 1}
    managers = start(module, tmp_path / "node.json", {**OLDEST_FILE, "managers": [odd, A]})
    connect_in_house = module.house.connect

    async def raising(address, psk, **options):
        if address[0] == "odd":
            raise UnicodeError
        return await connect_in_house(address, psk, **options)

    module.house.connect = raising
    assert connect(managers)[0] == "a.house"
    module.house.managers = []
    with pytest.raises((OSError, PeerError)):
        connect(managers)


def test_a_list_is_dropped_only_when_one_of_the_next_has_answered(module, tmp_path):
    path = tmp_path / "node.json"
    managers = start(module, path, OLDEST_FILE)
    connect(managers)
    assert put(managers, "dice/managers", [B, C]) == CHANGED
    again = start(module, path)
    assert connect(again)[0] == "a.house", "nobody of the new list is up: the former manager is still known"
    module.house.managers = [C]
    assert connect(again)[0] == "c.house"
    assert start(module, path).listed() == [B, C]


def test_a_key_is_dropped_only_when_the_next_has_been_used(module, tmp_path):
    path = tmp_path / "node.json"
    managers = start(module, path, OLDEST_FILE)
    connect(managers)
    assert put(managers, "dice/key", NEW) == CHANGED
    assert connect(start(module, path))[1] == "lamp", "the manager did not store it: the old one still works"
    module.house.keys = [NEW]
    assert connect(start(module, path))[1] == "lamp:1"
    after = json.loads(path.read_text())
    assert after["key"] == NEW["key"] and after["identity"] == NEW["identity"] and "next" not in after
    assert OLD["key"] not in path.read_text(), "the key that was replaced is still in the file"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b"5", b"null", b"\xff\xfe", b"[" * 900, [5], ["a"], [[]], [{}], [{"host": "a"}],
     [{"host": "", "port": 1}],
     [{"host": "a", "port": 0}], [{"host": "a", "port": 65536}], [{"host": "a", "port": True}], [{"host": "a", "port": "1"}],
     [{"host": 5, "port": 1}], [{"host": "a" * 254, "port": 1}], [{"host": "a", "port": 1, "more": 2}], [A] * 9, [A, None],
     b'[{"host": "\\ud800", "port": 1}]'],
    ids=repr,
)  # fmt: skip
def test_a_garbled_list_is_refused_and_changes_nothing(module, tmp_path, body):
    path = tmp_path / "node.json"
    managers = start(module, path, OLDEST_FILE)
    connect(managers)
    before = path.read_bytes()
    assert put(managers, "dice/managers", body) == BAD_REQUEST
    assert path.read_bytes() == before and managers.listed() == [A]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b"5", b"\xff", {"identity": "x"}, {"identity": "x", "key": ""}, {"identity": "x", "key": "11" * 15},
     {"identity": "x", "key": "11" * 17}, {"identity": "x", "key": "zz" * 16}, {"identity": "", "key": "11" * 16},
     {"identity": "x" * 129, "key": "11" * 16}, {"identity": 5, "key": "11" * 16}, {"identity": "x", "key": 5},
     {"identity": "x", "key": None}, {"identity": "x", "key": "11" * 16, "more": 1}],
    ids=repr,
)  # fmt: skip
def test_a_garbled_key_is_refused_and_changes_nothing(module, tmp_path, body):
    path = tmp_path / "node.json"
    managers = start(module, path, OLDEST_FILE)
    connect(managers)
    before = path.read_bytes()
    assert put(managers, "dice/key", body) == BAD_REQUEST
    assert path.read_bytes() == before and connect(managers)[1] == "lamp"


def test_the_same_again_writes_nothing(module, tmp_path, monkeypatch):
    """Flash has a number of writes: a manager that repeats itself costs none."""
    path = tmp_path / "node.json"
    managers = start(module, path, OLDEST_FILE)
    connect(managers)
    bodies = (("dice/managers", [A, B]), ("dice/key", NEW))
    for resource, body in bodies:
        put(managers, resource, body)
    monkeypatch.setattr(module, "replace_file", lambda *_: pytest.fail("written"))
    for resource, body in bodies:
        assert put(managers, resource, body) == CHANGED


def test_what_cannot_be_stored_is_not_acknowledged_and_not_used(module, tmp_path, monkeypatch):
    path = tmp_path / "node.json"
    managers = start(module, path, OLDEST_FILE)
    connect(managers)

    def full(*_):
        raise StoreError(30)

    monkeypatch.setattr(module, "replace_file", full)
    for resource, body in (("dice/managers", [B]), ("dice/key", NEW)):
        with pytest.raises(StoreError):
            put(managers, resource, body)
    assert managers.listed() == [A] and connect(managers)[1] == "lamp"


def test_clients_and_groups_do_not_reach_these_resources(app, tmp_path):  # noqa: F811
    node = app("node").Node({**OLDEST_FILE, "groups": []}, {}, lambda: b"1")
    resources = {"dice/managers", "dice/key"}
    assert resources <= set(node._routes.routes) and not resources & set(node._open.routes)


KEYS = [{"identity": f"lamp:{number}", "key": f"{number:02x}" * 16} for number in range(1, 6)]
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("key"), st.booleans()),  # whether the session lasts
        st.tuples(st.just("managers"), st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=3)),
        st.tuples(st.just("up"), st.sets(st.sampled_from("abc"), min_size=1)),
        st.tuples(st.just("cut"), st.none()),
        st.tuples(st.just("connect"), st.none()),
    ),
    max_size=14,
)


@settings(max_examples=len(seeds(60)), deadline=None)
@given(ACTIONS)
def test_no_schedule_of_changes_and_power_cuts_locks_a_node_out(tmp_path_factory, actions):
    """The manager accepts a key from before it sends it, and ends the one before when a session has used the new one."""
    path = tmp_path_factory.mktemp("node") / "node.json"
    loader = pytest.MonkeyPatch()
    try:
        _play(loader, path, actions)
    finally:
        loader.undo()


def _play(loader, path, actions):
    module = load_managers()
    house = House()
    loader.setattr(module, "dice", types.SimpleNamespace(connect=house.connect))
    managers = start(module, path, OLDEST_FILE)
    current, pending, following = OLD, None, iter(KEYS)
    connected_to = None

    def reconnect():
        nonlocal current, pending, connected_to
        house.keys = [key for key in (current, pending) if key]
        connected_to, identity = connect(managers)
        known = [manager["host"] for manager in start(module, path).listed()]
        assert connected_to in known, "the manager that works is not in the file any more"
        if pending and identity == pending["identity"]:
            current, pending = pending, None  # the manager has seen it in use

    for action, value in actions:
        if action == "cut":
            managers, connected_to = start(module, path), None
        elif action == "up":
            house.managers = [manager for manager in (A, B, C) if manager["host"][0] in value]
            if not [manager for manager in managers.listed() if manager in house.managers]:
                house.managers.append(managers.listed()[0])  # one that it knows is up
            connected_to = None
        elif action == "connect" or connected_to is None:
            reconnect()
        elif action == "key":
            pending = pending or next(following, None)
            if pending:
                assert put(managers, "dice/key", pending) == CHANGED
                connected_to = connected_to if value else None
        elif action == "managers":
            assert put(managers, "dice/managers", value) == CHANGED
            known = [manager["host"] for manager in start(module, path).listed()]
            assert connected_to in known, "the manager of the session is not in the file any more"
    reconnect()
    current_file = json.loads(path.read_text())
    assert [key for key in (current, pending) if key and key["key"] == current_file["key"]]
