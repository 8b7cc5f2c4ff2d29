# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A standby takes over under 300 members: real processes, a real PostgreSQL, real sessions over UDP on loopback.

The times are printed; the bound of 10 s is that of test_lease.py, because a busy machine can be slower. No nonce is used twice by
all these processes: see the fixture recorded_processes.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicectl.manager import control
from host_tests.patience import until

pytestmark = pytest.mark.long
MEMBERS = int(os.environ.get("DICE_MEMBERS", "300"))
LIGHT = Path(__file__).parents[1] / "light_members.py"


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Process:
    """`dicectl manager run` on a database."""

    def __init__(self, folder, name, url, port, other):
        self.path = folder / name
        self.port = port
        self._argv = [sys.executable, "-m", "dicectl", "manager", "run", url, "--control", self.path, "--port", str(port)]
        self._argv += ["--host", "127.0.0.1", "--also", f"127.0.0.1:{other}"]
        self.log = folder / f"{name}.log"
        self.start()

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(list(map(str, self._argv)), stdout=log, stderr=log)
        until(lambda: self.role() is not None, "a manager", self.log.read_text)

    def role(self):
        with contextlib.suppress(Exception):
            return self.call("status")["role"]

    def call(self, do, **request):
        return control.call(self.path, do, **request)

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


class Lights:
    """The process of light_members.py."""

    def __init__(self, folder):
        self._log = (folder.parent / "lights.log").open("wb")
        argv = [sys.executable, str(LIGHT), str(folder)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True)

    def state(self):
        """Return {name: [epoch held, epoch entered, port of its manager]}."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def until(self, condition, what):
        """Wait until `condition(state)`; return how long it took."""
        begin = time.monotonic()
        until(lambda: condition(self.state()), what, lambda: str(self.state())[:2000])
        return time.monotonic() - begin

    def end(self):
        self.process.kill()
        self.process.wait()
        self._log.close()


@pytest.fixture
def house(postgres, tmp_path, recorded_processes):
    """Return (two managers, the first of which is active, the members, which have joined)."""
    url = postgres.database()
    ports = _free_ports(2)
    with contextlib.ExitStack() as stack:
        managers = []
        for name, port, other in (("a", *ports), ("b", *reversed(ports))):
            managers.append(Process(tmp_path, name, url, port, other))
            stack.callback(managers[-1].end)
        until(lambda: [manager.role() for manager in managers] == ["active", "standby"], "the roles")
        first = managers[0]
        first.call("new", group="lamps")
        devices = [{"name": f"lamp-{number}", "groups": {"lamps": "listener"}} for number in range(MEMBERS)]
        for settings in first.call("provision_all", devices=devices):
            folder = tmp_path / "lights" / settings["name"]
            folder.mkdir(parents=True)
            (folder / "node.json").write_text(json.dumps(settings))
        lights = Lights(tmp_path / "lights")
        stack.callback(lights.end)
        took = lights.until(lambda state: _all_at(state, first), "the first join")
        print(f"{MEMBERS} members have joined after {took:.1f} s")
        until(lambda: first.call("show", group="lamps")["settled"], "the first epoch")
        yield managers, lights


def _all_at(state, manager, epoch=1):
    return all(held >= epoch and entered >= epoch and port == manager.port for held, entered, port in state.values())


def _take_over(active, standby, lights, how, expelled=None):
    """Let the active one end, wait for the other; print how long it took."""
    begin = time.monotonic()
    active.signal(how)
    until(lambda: standby.role() == "active", "the standby", standby.log.read_text)
    led = time.monotonic() - begin
    lights.until(lambda state: _all_at({name: at for name, at in state.items() if name != expelled}, standby), "the members")
    back = time.monotonic() - begin
    print(f"{signal.Signals(how).name}: the standby is active after {led:.1f} s, all {MEMBERS} members are back after {back:.1f} s")


def _expel(manager, lights, name):
    """Expel one; wait until all others have entered an epoch without it."""
    before = lights.state()[name][0]
    shown = manager.call("remove", group="lamps", devices=[name])
    epoch = shown["epoch"]
    begin = time.monotonic()

    def all_others(state):
        return all(entered >= epoch for other, (_, entered, _) in state.items() if other != name)

    lights.until(all_others, "the expulsion")
    print(f"an expulsion has reached all others after {time.monotonic() - begin:.1f} s")
    assert lights.state()[name][0] == before < epoch, "who was expelled has the new keys"


def test_a_standby_takes_over_from_a_killed_and_from_a_stopped_manager(house):
    (first, second), lights = house
    _take_over(first, second, lights, signal.SIGKILL)
    first.process.wait()
    _expel(second, lights, "lamp-0")
    first.start()
    until(lambda: first.role() == "standby", "the new standby")
    epochs = {name: held for name, (held, _, _) in lights.state().items()}

    _take_over(second, first, lights, signal.SIGSTOP, expelled="lamp-0")
    second.signal(signal.SIGCONT)
    assert second.process.wait(timeout=300) == 1, "it goes on"
    said = second.log.read_text()
    assert "the manager ends, because another manager has taken over" in said, said
    state = lights.state()
    assert {name: held for name, (held, _, _) in state.items()} == epochs, "it has given out keys"
    assert all(port == first.port for name, (_, _, port) in state.items() if name != "lamp-0"), "a member has gone back"
