# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl node`: firmware/app without a board, with the manager of this network, and in a network of its own."""

import json
import os
import signal
import subprocess
from pathlib import Path

from host_tests.net.test_manager_command import DICECTL, ManagedSite, dicectl
from host_tests.patience import until


def _micropython(pid):
    """Return the processes of MicroPython that a process has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"micropython" in Path(f"/proc/{child}/cmdline").read_bytes()]


def _one_node(folder):
    site = ManagedSite(folder)
    try:
        site.manager()
        site("group", "new", "lamps")
        site("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
        site("provision", "new", "lamp", "--group", "lamps", "--to", "lamp")
        site._start("node", [*DICECTL, "node", "lamp"], folder)
        site.until(lambda: site.members()["lamp"]["epoch"], "the node")
        site("group", "send", "lamps", "on", "--as", "desk")
        site.until(lambda: "light True" in site.log("node"), "on")
        (lamp,) = _micropython(site.processes["node"].pid)
        second = site("node", "lamp", status=1)
        os.kill(lamp, signal.SIGKILL)
        site.until(lambda: [lamp] != _micropython(site.processes["node"].pid) != [], "the node to start again")

        def obeys():
            site("group", "send", "lamps", "off", "--as", "desk")
            return "light False" in site.log("node")

        site.until(obeys, "off")
        (lamp,) = _micropython(site.processes["node"].pid)
        site.processes["node"].send_signal(signal.SIGTERM)
        status = site.processes["node"].wait()
        return second, status, Path(f"/proc/{lamp}").exists(), site.log("node")
    finally:
        site.close()


def test_a_node_joins_obeys_and_starts_again(in_network, tmp_path):
    """The folder is locked meanwhile. SIGTERM ends the node in good order: it does not count as a failed start."""
    second, status, left, log = in_network(_one_node, tmp_path)
    assert "E34: lamp is in use by process" in second and "dicectl node lamp" in second
    assert status == 0 and not left and not (tmp_path / "lamp" / "starts").exists()
    assert "lamp  ended with status -9; it starts again" in log
    assert json.loads((tmp_path / "lamp" / "app.json").read_text()) == {"sensor": "simulated"}


def _site(folder):
    """Run a site of two lamps, twice; return what its lamps did, and what was on the network outside of it."""
    log = folder / "log"
    told = []
    for word in ("on", "off"):
        with open(log, "a") as file:
            process = subprocess.Popen([*DICECTL, "node", "site", "--count", "2"], cwd=folder, stdout=file, stderr=file)
        try:
            until((folder / "site" / "desk" / "member.socket").exists, "the desk", log.read_text)
            until(lambda: len([m for m in _members(folder) if m["epoch"] == 3]) == 3, "all", log.read_text)
            sockets = Path("/proc/net/udp").read_text().count("\n") - 1
            assert sockets == 0, "something has a UDP socket in the network outside"
            told.append(dicectl(folder, "group", "send", "lamps", word, "--as", "site/desk", "--json"))
            until(lambda word=word: log.read_text().count(f"light {word == 'on'}") == 2, word, log.read_text)
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait()
    return told, status, log.read_text()


def _members(folder):
    try:
        return json.loads(
            subprocess.run(
                [*DICECTL, "group", "members", "lamps", "-m", "site/dice.db", "--json"], cwd=folder, capture_output=True, text=True
            ).stdout
        )
    except ValueError:
        return []  # the manager does not serve yet


def test_a_site_is_one_command(in_network, tmp_path):
    """In a network of its own, in which commands reach the manager and the desk from outside; it is there the next time, too."""
    told, status, log = in_network(_site, tmp_path)
    assert [said["sent"] for said in told] == [True, True] and told[0]["number"] != told[1]["number"]
    assert status == 0
    assert log.count("enrolled") == 3, "lamps were made twice"


def _bound(folder):
    site = ManagedSite(folder)
    try:
        refused = site("manager", "run", "house.db", "--new", "--bind", "192.0.2.7", status=1)
        site._start("manager", [*DICECTL, "manager", "run", "house.db", "--new", "--bind", "127.0.0.2", "--json"], folder)
        site.until(lambda: '"serving"' in site.log("manager"), "the manager")
        site("group", "new", "lamps")
        site("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
        lines = Path("/proc/net/udp").read_text().splitlines()[1:]
        said = site("group", "send", "lamps", "on", "--as", "desk", "--json")
        return refused, [line.split()[1] for line in lines], json.loads((folder / "desk" / "node.json").read_text()), said
    finally:
        site.close()


def test_a_manager_serves_at_the_address_that_it_was_given(in_network, tmp_path):
    refused, sockets, settings, said = in_network(_bound, tmp_path)
    assert "cannot serve on UDP port 5684 of 192.0.2.7" in refused
    assert sockets == ["0200007F:1634"]
    assert settings["manager"] == {"host": "127.0.0.2", "port": 5684} and said["manager"] == "connected"
