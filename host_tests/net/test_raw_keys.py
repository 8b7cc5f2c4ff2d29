# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Devices with raw public keys beside one with a pre-shared key: the real manager, nodes on MicroPython, and this computer."""

import json

from dice.crypto import curve
from dicectl.manager.registry import own_keys
from host_tests.net.test_manager_command import ManagedSite


def _stored(site, folder):
    """Return the fingerprint of the key of a folder, and the text of its node.json."""
    text = (site.folder / folder / "node.json").read_text()
    private = json.loads(text).get("private")
    return private and own_keys.fingerprint(curve.public(bytes.fromhex(private))).hex(), text


def _power_on(site, folder):
    (site.folder / folder / "app.json").write_text(json.dumps({"sensor": "simulated", "publish_s": 0}))
    site.power_on(folder)


def _send(site, word, lamps):
    """Send a message as the desk, whose key is its own, until these lamps obey."""

    def obeyed():
        site("group", "send", "lamps", word, "--as", "desk")
        return all(site.light(name)[-1:] == [str(word == "on")] for name in lamps)

    site.until(obeyed, word)


def _life(folder):
    site, seen = ManagedSite(folder), {}
    try:
        site("manager", "new", "house.db")
        site.manager()
        site("group", "new", "lamps")
        site("provision", "new", "desk", "--group", "lamps:sender", "--key", "rpk", "--to", "desk")
        for name, more in (("raw", ["--key", "rpk"]), ("shared", [])):
            site.node(name, "--group", "lamps", *more)
        _send(site, "on", ("raw", "shared"))
        seen["devices"] = {device["name"]: device for device in site("provision", "list", "--json")}
        seen["first"] = _stored(site, "raw")
        seen["rotated"] = site("provision", "rotate", "raw", "shared", "--wait", "60", "--json")
        seen["second"] = _stored(site, "raw")
        site.kill("manager")
        site.manager()
        seen["replaced"] = site("provision", "replace", "raw", "--to", "raw-b", "--json")
        _power_on(site, "raw-b")
        _send(site, "off", ("raw-b", "shared"))
        seen["expelled"] = site.light("raw")
        seen["members"] = site.members()
        seen["third"] = _stored(site, "raw-b")
        seen["log"] = site("manager", "audit", "house.db")
        seen["said"] = "".join(path.read_text() for path in folder.glob("*.log"))
        return seen
    finally:
        site.close()


def test_devices_of_both_kinds_live_in_one_group(in_network, tmp_path):
    seen = in_network(_life, tmp_path)
    devices = seen["devices"]
    assert {name: device["kind"] for name, device in devices.items()} == {"desk": "rpk", "raw": "rpk", "shared": "psk"}
    assert seen["first"][0] == devices["raw"]["fingerprint"] and devices["raw"]["connected"]
    assert set(seen["rotated"]["changed"]) == {"raw", "shared"}
    assert seen["second"][0] != seen["first"][0] and "next" not in json.loads(seen["second"][1])
    assert set(seen["expelled"]) == {"True"}, "the device that was replaced still obeys"
    assert seen["replaced"]["fingerprint"] == seen["third"][0] and seen["members"]["raw"]["connected"]
    everything = json.dumps([seen["log"], seen["replaced"], seen["rotated"], devices]) + seen["said"]
    registry = b"".join(path.read_bytes() for path in tmp_path.glob("house.db*") if path.is_file())
    for _, text in (seen["first"], seen["second"], seen["third"]):
        private = json.loads(text)["private"]
        assert private not in everything and bytes.fromhex(private) not in registry and private.encode() not in registry
