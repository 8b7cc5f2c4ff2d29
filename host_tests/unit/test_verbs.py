# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests that change many devices or a whole group, on the service itself, and what --dry-run says before."""

import copy
import json
from types import SimpleNamespace

import pytest

from dice.aio.wait import now
from dice.store import replace_file
from dicectl.errors import CommandError
from dicectl.manager.registry.sqlite import SqliteRegistry
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import VirtualNetwork
from host_tests.unit.memory_registry import MemoryRegistry


@pytest.fixture(params=["sqlite", "memory"])
def run(request, tmp_path):
    """Return a function that runs `scenario(do, service)` with a service without sockets; `do(name, ...)` is a request."""

    def inside(scenario):
        async def live():
            registry = MemoryRegistry() if request.param == "memory" else SqliteRegistry(tmp_path / "house.db")
            service = ManagerService(registry, tmp_path / "house.db")
            try:
                return scenario(lambda do, **rest: service.do({"do": do, **rest}), service)
            finally:
                service.kdc.close()
                registry.close()

        return VirtualNetwork(lambda sides: 0).run(live)

    return inside


def furnished(do):
    """Make a group with a switch and three lamps, and one without members."""
    do("new", group="lamps", port=7000)
    do("new", group="fans", port=7001)
    do("provision", name="switch", groups={"lamps": "sender"})
    do("provision_all", devices=[{"name": f"lamp-{i}", "groups": {"lamps": "listener"}} for i in (1, 2, 3)])


def roles(do, group="lamps"):
    """Return {device: role}."""
    return {member["device"]: member["role"] for member in do("members", group=group)}


def plain(value):
    """Return a value as nested lists and dicts that are nobody else's, with the fields of objects."""
    if isinstance(value, dict):
        return [(plain(key), plain(inner)) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "held"):  # a MemberRecord
        return plain(vars(value))
    return value if isinstance(value, str | bytes | int | float | set) else repr(value)


def everything(do, service):
    """Return all that a request could change, in the registry and in memory."""
    keys = {name: service.registry.find(identity) for name, identity in service.registry.devices().items()}
    memory = [(name, plain(vars(manager.state)), plain(_inner(manager))) for name, manager in service.managers.items()]
    stored = [(plain(vars(group.state)), group.rekey_s, group.since) for group in service.registry.states()]
    return copy.deepcopy((keys, memory, stored, service.registry.audit(), service.rekey_s, do("groups"), do("devices")))


def _inner(manager):
    """Return what a Manager knows besides its state."""
    return {name: value for name, value in vars(manager).items() if name not in ("state", "connected") and not callable(value)}


def test_a_role_changes_in_one_epoch(run):
    """W7: `remove` and `add` were two epochs, and the device was out of the group between them."""

    def scenario(do, service):
        furnished(do)
        before = copy.copy(service.managers["lamps"].state)
        ids = {member["device"]: member["id"] for member in do("members", group="lamps")}
        do("role", group="lamps", devices=["lamp-1", "lamp-2"], role="sender")
        state = service.managers["lamps"].state
        assert (state.epoch, state.tgk == before.tgk, state.grace_s > 0) == (before.epoch + 1, True, True)
        assert roles(do) == {"switch": "sender", "lamp-1": "sender", "lamp-2": "sender", "lamp-3": "listener"}
        do("role", group="lamps", devices=["switch"], role="listener")
        assert service.managers["lamps"].state.tgk != state.tgk or state.epoch == before.epoch + 2
        after = service.managers["lamps"].state
        assert (after.epoch, after.grace_s, after.tgk != before.tgk) == (before.epoch + 2, 0, True), "obeyed in a time of grace"
        new = {member["device"]: member["id"] for member in do("members", group="lamps")}
        assert new["switch"] is None and ids["switch"] not in new.values(), "an id that had another user an epoch ago"
        with pytest.raises(CommandError, match="lamp-3 is a listener of lamps already"):
            do("role", group="lamps", devices=["lamp-3", "switch"], role="listener")
        with pytest.raises(CommandError, match="dicectl group add fans switch --role sender"):
            do("role", group="fans", devices=["switch"], role="sender")

    run(scenario)


def test_a_device_is_renamed_and_nothing_else(run):
    def scenario(do, service):
        furnished(do)
        epochs = [shown["epoch"] for shown in do("groups")]
        assert do("rename", name="lamp-1", other="hall")["groups"] == ["lamps"]
        assert list(roles(do)) == ["switch", "hall", "lamp-2", "lamp-3"]
        assert [shown["epoch"] for shown in do("groups")] == epochs
        for name, wrong in (("switch", "already"), ("a b", "cannot be the name"), ("", "cannot be the name")):
            with pytest.raises(CommandError, match=wrong):
                do("rename", name="hall", other=name)
        with pytest.raises(CommandError, match="no device lamp-1"):
            do("rename", name="lamp-1", other="x")

    run(scenario)


def test_many_devices_are_one_epoch_or_none(run):
    def scenario(do, service):
        do("new", group="lamps")
        many = [{"name": f"s{i}", "groups": {"lamps": "sender"}} for i in range(50)]
        made = do("provision_all", devices=many)
        assert do("show", group="lamps")["epoch"] == 1 and len({one["key"] for one in made}) == 50
        with pytest.raises(CommandError, match="E73"):
            do("provision_all", devices=[{"name": "a", "groups": {}}, {"name": "b", "groups": {"lamps": "sender"}}])
        with pytest.raises(CommandError, match="there is a device"):
            do("provision_all", devices=[{"name": "a", "groups": {}}, {"name": "a", "groups": {}}])
        assert "a" not in service.registry.devices()
        assert do("wipe_all", names=["s1", "s2", "s3"])[2] == {"name": "s3", "groups": ["lamps"]}
        assert do("show", group="lamps")["epoch"] == 2
        with pytest.raises(CommandError, match="no device s1"):
            do("wipe_all", names=["s4", "s1"])
        assert "s4" in service.registry.devices()

    run(scenario)


def test_patterns_match_devices_members_or_others(run):
    def scenario(do, service):
        furnished(do)
        do("provision", name="lamp-4", groups={})
        assert do("matching", patterns=["lamp-*"]) == ["lamp-1", "lamp-2", "lamp-3", "lamp-4"]
        assert do("matching", patterns=["lamp-[12]", "lamp-1", "x"]) == ["lamp-1", "lamp-2", "x"]
        assert do("matching", patterns=["*"], group="lamps", member=False) == ["lamp-4"]
        assert do("matching", patterns=["*-?"], group="lamps") == ["lamp-1", "lamp-2", "lamp-3"]
        assert do("names") == {"groups": ["fans", "lamps"], "devices": ["lamp-1", "lamp-2", "lamp-3", "lamp-4", "switch"]}

    run(scenario)


def test_a_device_is_shown_without_its_key(run):
    def scenario(do, service):
        furnished(do)
        key = service.registry.find(service.registry.devices()["switch"])
        shown = do("device", name="switch")
        assert (shown["name"], shown["connected"], shown["created"] > 0) == ("switch", False, True)
        assert [(in_group["group"], in_group["role"]) for in_group in shown["groups"]] == [("lamps", "sender")]
        assert key.hex() not in json.dumps(shown)

    run(scenario)


def test_periods_change_and_say_when(run):
    def scenario(do, service):
        furnished(do)
        before = copy.copy(service.managers["lamps"].state)
        do("set", group="lamps", rekey_s=3600)
        assert (do("show", group="lamps")["rekey_s"], do("show", group="lamps")["epoch"]) == (3600, 1)
        shown = do("set", group="lamps", lifetime_s=7200)
        state = service.managers["lamps"].state
        assert (shown["lifetime_s"], shown["rekey_s"], shown["epoch"], state.tgk) == (7200, 3600, 2, before.tgk)
        (identity, *_) = state.members
        assert service.managers["lamps"].gsa(identity).lifetime_s == 7200, "it is part of the keys"
        assert do("set", group="lamps", lifetime_s=3600)["rekey_s"] == 1800, "keys that expire before they are renewed"
        with pytest.raises(CommandError, match="renewed before their lifetime ends"):
            do("set", group="lamps", rekey_s=3600)
        assert do("set", group="lamps", lifetime_s=0, rekey_s=0)["rekey_s"] == 0
        assert do("set", group="fans", lifetime_s=600)["epoch"] == 0, "an epoch of a group without members"
        stored = {group.state.name: (group.state.lifetime_s, group.rekey_s) for group in service.registry.states()}
        assert stored == {"lamps": (0, 0), "fans": (600, 300)}

    run(scenario)


def test_a_deleted_group_is_gone_and_its_devices_are_not(run):
    def scenario(do, service):
        furnished(do)
        paths = len(service.kdc._router.routes)
        assert do("delete", group="lamps") == {"name": "lamps", "members": 4, "lifetime_s": 0, "epoch": 1}
        assert [group.state.name for group in service.registry.states()] == list(service.managers) == ["fans"]
        assert len(do("devices")) == 4 and not any(device["groups"] for device in do("devices"))
        assert len(service.kdc._router.routes) == paths // 2, "its resources"
        with pytest.raises(CommandError, match="there is no group lamps"):
            do("delete", group="lamps")
        assert do("new", group="lamps", port=7000)["epoch"] == 0
        assert do("wipe", name="switch")["groups"] == []

    run(scenario)


PLANS = {
    "new": ({"do": "new", "group": "doors"}, {"doors": {"created": True, "members": 0}}),
    "add": (
        {"do": "add", "group": "fans", "devices": ["lamp-1", "lamp-2"], "role": "listener"},
        {"fans": {"added": {"lamp-1": "listener", "lamp-2": "listener"}, "epoch": 0, "next_epoch": 1, "new_master_key": True}},
    ),
    "remove": (
        {"do": "remove", "group": "lamps", "devices": ["lamp-2"]},
        {"lamps": {"expelled": ["lamp-2"], "epoch": 1, "next_epoch": 2, "new_master_key": True, "members": 3, "awake": 3}},
    ),
    "rekey": ({"do": "rekey", "group": "lamps"}, {"lamps": {"epoch": 1, "next_epoch": 2, "new_master_key": False}}),
    "role": (
        {"do": "role", "group": "lamps", "devices": ["lamp-3"], "role": "answering"},
        {"lamps": {"roles": {"lamp-3": "answering"}, "epoch": 1, "next_epoch": 2, "new_master_key": False}},
    ),
    "provision": ({"do": "provision", "name": "x", "groups": {"lamps": "listener"}}, {"lamps": {"added": {"x": "listener"}}}),
    "replace": (
        {"do": "replace", "name": "lamp-1"},
        {"lamps": {"expelled": ["lamp-1"], "added": {"lamp-1": "listener"}, "next_epoch": 2, "new_master_key": True}},
    ),
    "wipe": ({"do": "wipe_all", "names": ["switch", "lamp-1"]}, {"lamps": {"expelled": ["switch", "lamp-1"], "next_epoch": 2}}),
    "rename": ({"do": "rename", "name": "switch", "other": "knob"}, {}),
    "set": (
        {"do": "set", "group": "lamps", "lifetime_s": 7200, "rekey_s": 60},
        {"lamps": {"lifetime_s": 7200, "rekey_s": 60, "epoch": 1, "next_epoch": 2, "new_master_key": False}},
    ),
    "delete": ({"do": "delete", "group": "lamps"}, {"lamps": {"deleted": True, "members": 4}}),
}
DEVICES = {
    "provision": {"created": ["x"], "deleted": [], "renamed": {}},
    "replace": {"created": ["lamp-1"], "deleted": ["lamp-1"], "renamed": {}},
    "wipe": {"created": [], "deleted": ["lamp-1", "switch"], "renamed": {}},
    "rename": {"created": [], "deleted": [], "renamed": {"switch": "knob"}},
}


@pytest.mark.parametrize("name", PLANS)
def test_a_dry_run_says_what_happens_then_and_changes_nothing(run, name):
    request, wanted = PLANS[name]

    def scenario(do, service):
        furnished(do)
        sessions = {}
        for device in ("switch", "lamp-1", "lamp-3"):
            sessions[device] = SimpleNamespace(closed=0)
            sessions[device].close = lambda session=sessions[device]: setattr(session, "closed", session.closed + 1)
            service.kdc.connected[service.registry.devices()[device]] = sessions[device]
            service.kdc.presence.connected(service.registry.devices()[device], now())
        before = everything(do, service)
        told = []
        service.kdc.changed = told.append
        plan = do(dry_run=True, **request)
        assert everything(do, service) == before
        assert not told and not any(session.closed for session in sessions.values())
        assert plan["devices"] == DEVICES.get(name, {"created": [], "deleted": [], "renamed": {}})
        groups = {group["name"]: group for group in plan["groups"]}
        assert groups.keys() == wanted.keys()
        for group, fields in wanted.items():
            assert {key: groups[group].get(key) for key in fields} == fields
        keys = [service.registry.find(identity).hex() for identity in service.registry.devices().values()]
        assert not any(key in json.dumps(plan) for key in keys)
        do(**request)
        if name == "delete":
            return
        epochs = {shown["name"]: shown["epoch"] for shown in do("groups")}
        assert all(epochs[group] == fields["next_epoch"] for group, fields in groups.items() if "next_epoch" in fields)
        assert everything(do, service) != before

    run(scenario)


def test_a_name_is_one_that_every_file_system_can_store(run, tmp_path):
    """Every member keeps NAME.gsa, which is written as NAME.gsa.tmp: a group with a longer name could never be joined."""
    longest, longer = "\U00010400" * 61 + "éa", "\U00010400" * 61 + "éab"

    def scenario(do, service):
        furnished(do)
        for what in ({"do": "new"}, {"do": "new", "dry_run": True}):
            with pytest.raises(CommandError, match="cannot be the name of a group: in UTF-8 it is longer than 247 bytes"):
                service.do({**what, "group": longer})
        for name, request in (("provision", {"name": longer, "groups": {}}), ("rename", {"name": "switch", "other": longer})):
            with pytest.raises(CommandError, match="cannot be the name of a device: in UTF-8 it is longer than 247 bytes"):
                do(name, **request)
        do("new", group=longest)
        replace_file(str(tmp_path / f"{longest}.gsa"), b"keys")

    run(scenario)


def test_no_two_groups_have_names_that_differ_in_case_alone(run):
    """A node in both would have one file for two GSAs on FAT: each join would evict the other group."""

    def scenario(do, service):
        furnished(do)
        do("new", group="Straße")
        for name, same in (("Lamps", "lamps"), ("FANS", "fans"), ("STRASSE", "Straße")):
            with pytest.raises(CommandError, match=f"{name} cannot be the name of a new group beside {same}"):
                do("new", group=name)
        do("delete", group="fans")
        do("new", group="Fans")
        assert [shown["name"] for shown in do("groups")] == ["lamps", "Straße", "Fans"]

    run(scenario)


def test_a_longer_name_in_an_older_registry_can_be_shown_and_deleted(run, monkeypatch):
    longer = "\U00010400" * 64

    def scenario(do, service):
        with monkeypatch.context() as patched:
            patched.setattr("dicectl.manager.group_requests.NAME_MAX_BYTES", 256)
            do("new", group=longer)
            do("provision", name=longer, groups={longer: "sender"})
        assert [shown["name"] for shown in do("groups")] == [longer] and list(roles(do, longer)) == [longer]
        do("rename", name=longer, other="switch")
        do("wipe", name="switch")
        do("delete", group=longer)
        assert do("groups") == []

    run(scenario)


def test_a_dry_run_fails_as_the_request_would(run):
    def scenario(do, service):
        furnished(do)
        before = everything(do, service)
        for request, wrong in (
            ({"do": "remove", "group": "lamps", "devices": ["lamp-9"]}, "no device lamp-9"),
            ({"do": "add", "group": "lamps", "devices": ["lamp-1"], "role": "sender"}, "already a member"),
            ({"do": "provision", "name": "switch", "groups": {}}, "there is a device switch already"),
            ({"do": "explode"}, "another version"),
            ({"do": "rotate", "names": ["nobody"]}, "there is no device nobody"),
            ({"do": "rotation", "numbers": {}}, "does not know a dry run of rotation"),
        ):
            with pytest.raises(CommandError, match=wrong):
                do(dry_run=True, **request)
        assert everything(do, service) == before

    run(scenario)
