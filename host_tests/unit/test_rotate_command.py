# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision rotate` and `manager addresses` on a running manager without devices; test_device_updates.py has those."""

import pytest

from dicectl.errors import USAGE, CommandError
from dicectl.net.address import host_and_port
from host_tests.unit.test_provision_command import manager  # noqa: F401 - a fixture


def test_a_key_that_no_device_has_used_is_not_said_to_be_changed(manager):  # noqa: F811
    manager("provision", "new", "lamp", "--to", "lamp")
    manager("provision", "new", "desk", "--to", "desk")
    assert "would change the keys of: desk, lamp" in manager("provision", "rotate", "--all", "--dry-run")
    said = manager("provision", "rotate", "lamp", "--wait", "0", status=1)
    assert "0 of 1 have their new key" in said and "lamp: it has no session" in said and "its old key is good until then" in said
    assert "0 of 2" in manager("provision", "rotate", "--all", "--wait", "0", status=1)
    assert "name devices, or --all" in manager("provision", "rotate", status=USAGE)
    assert "name devices, or --all" in manager("provision", "rotate", "lamp", "--all", status=USAGE)
    assert "there is no device nobody" in manager("provision", "rotate", "nobody", status=USAGE)


def test_a_dry_run_of_new_keys_checks_what_the_command_checks(manager):  # noqa: F811
    manager("provision", "new", "lamp", "--to", "lamp")
    assert "there is no device nobody" in manager("provision", "rotate", "lamp", "nobody", "--dry-run", status=USAGE)
    assert manager("provision", "rotate", "lamp", "--dry-run", "--json") == {"would_change": ["lamp"]}
    assert "0 of 1 have their new key" in manager("provision", "rotate", "lamp", "--wait", "0", status=1)


def test_a_dry_run_of_a_list_of_managers_checks_what_the_command_checks(manager):  # noqa: F811
    nine = [word for number in range(9) for word in ("--set", f"{number}.house")]
    long = [word for number in range(8) for word in ("--set", f"{number}{'x' * 200}.house")]
    for wrong, said in ((nine, "1 to 8 managers"), (("--set", "a", "--set", "a"), "named twice"), (long, "too long together")):
        assert said in manager("manager", "addresses", *wrong, "--dry-run", status=USAGE)
        assert said in manager("manager", "addresses", *wrong, status=USAGE)
    assert "name it with --set" in manager("manager", "addresses", "--dry-run", status=USAGE)
    assert "devices try: manager.example:5684" in manager("manager", "addresses")


def test_the_list_of_managers_is_shown_and_set(manager):  # noqa: F811
    assert "devices try: manager.example:5684 0 of 0 devices" in manager("manager", "addresses")
    manager("provision", "new", "lamp", "--to", "lamp")
    said = manager("manager", "addresses", "--set", "a.house", "--set", "[2001:db8::1]:7", status=1)
    assert "devices try: a.house:5684, [2001:db8::1]:7" in said and "0 of 1 devices have this list lamp: it has no session" in said
    assert "the active manager is not among them: manager.example:5684" in said
    assert "devices would get: b.house:5684" in manager("manager", "addresses", "--set", "b.house", "--dry-run")
    assert "a.house:5684, [2001:db8::1]:7" in manager("manager", "addresses", status=1)
    assert "is no HOST[:PORT]" in manager("manager", "addresses", "--set", "a:0", status=USAGE)
    made = manager("provision", "new", "later", "--to", "later", "--json")
    assert made["name"] == "later"
    with open("later/node.json") as file:
        assert '"managers": [{"host": "a.house", "port": 5684}, {"host": "2001:db8::1", "port": 7}]' in file.read()


def test_hosts_and_ports():
    found = {
        "a.house": ("a.house", 5684),
        "a:1": ("a", 1),
        "::1": ("::1", 5684),
        "[::1]": ("::1", 5684),
        "[::1]:7": ("::1", 7),
        "fe80::1%eth0": ("fe80::1%eth0", 5684),
    }
    assert {text: tuple(host_and_port(text, 5684).values()) for text in found} == found
    for text in ("", ":1", "a:", "a:x", "a:0", "a:65536", "a b", "[a", "a/b", "[]"):
        with pytest.raises(CommandError):
            host_and_port(text, 5684)
