# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""D2: a manager is killed and starts again, with nodes that are firmware/app on MicroPython, all as processes."""

import signal
import time

import pytest

from host_tests.net.conftest import _run
from host_tests.net.test_manager_command import ManagedSite

NODES = 6
BACK_S = 10


def _life(folder):
    """Return (seconds until all nodes are back after a kill, the same after a stop, seconds of an expulsion, its members)."""
    site = ManagedSite(folder)
    names = {f"lamp-{number}" for number in range(NODES)}
    took = []
    try:
        site.manager()
        site("group", "new", "lamps")
        for name in sorted(names):
            site.node(name, "--group", "lamps")
        site.until(lambda: connected(site) == names, "the nodes")
        for way in (signal.SIGKILL, signal.SIGTERM):
            end(site, way)
            site.manager()
            start_s = time.monotonic()
            site.until(lambda: connected(site) == names, "the nodes, again")
            took.append(time.monotonic() - start_s)
        end(site, signal.SIGKILL)
        site.manager()
        time.sleep(2)
        start_s = time.monotonic()
        shown = site("group", "remove", "lamps", "lamp-0", "--json")
        took.append(time.monotonic() - start_s)
        return took, shown, site.members()
    finally:
        site.close()


def end(site, way):
    process = site.processes.pop("manager")
    process.send_signal(way)
    process.wait()
    with open(site.folder / "manager.log", "a") as log:
        log.write("KILLED\n")


def connected(site):
    return {name for name, member in site.members().items() if member["connected"]}


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    return _run(False, _life, tmp_path_factory.mktemp("site"))


def test_d2_nodes_are_back_within_seconds(life):
    took, _, _ = life
    print(took)
    assert max(took[:2]) < BACK_S


def test_d2_an_expulsion_two_seconds_after_the_start_is_in_use_for_all(life):
    took, shown, members = life
    print(took, shown)
    assert took[2] < BACK_S + 5 + 0.11 * NODES
    assert shown["active"] and not shown["missing"]
    assert {member["epoch"] for member in members.values()} == {shown["epoch"]} and len(members) == NODES - 1
