# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""firmware/app on MicroPython, and this computer as a member, with two managers on PostgreSQL: lists, keys, and a take-over.

All programs are real, and dicectl does what an operator does.
"""

import json
import os
import signal
import subprocess
import time

from dicectl import resources
from dicectl.firmware import unix_port
from host_tests.net.test_manager_command import DICECTL
from host_tests.patience import until

MANAGERS = {"a": 7701, "b": 7702}
LAMPS = ("lamp-1", "lamp-2")
SILENT_S = 600  # after this time a node without a recall would notice


class House:
    """A folder with two managers on a database, and nodes."""

    def __init__(self, folder, url):
        self.folder = folder
        self.url = url
        self.processes = {}
        self.manager = "a"

    def start(self, name, argv, folder, environment=None):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(list(map(str, argv)), cwd=folder, env=environment, stdout=log, stderr=log)

    def run(self, *arguments, status=0):
        environment = {**os.environ, "DICE_MANAGER": self.manager}
        done = subprocess.run([*DICECTL, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr + self.logs()
        return json.loads(done.stdout) if "--json" in arguments else done.stdout + done.stderr

    def start_manager(self, name):
        options = (
            "--control",
            name,
            "--port",
            MANAGERS[name],
            "--host",
            "127.0.0.1",
            "--also",
            "127.0.0.1:7701",
            "--also",
            "127.0.0.1:7702",
        )
        self.start(name, [*DICECTL, "manager", "run", self.url, *options], self.folder)

    def start_lamp(self, name):
        self.run("provision", "new", name, "--group", "lamps", "--to", name)
        (self.folder / name / "app.json").write_text(json.dumps({"sensor": "simulated", "publish_s": 0}))
        environment = unix_port.environment(f"{resources.APP}:{resources.LIB}")
        self.start(name, [unix_port.find(), "-X", "heapsize=1m", resources.APP / "main.py"], self.folder / name, environment)

    def settings(self, name):
        return json.loads((self.folder / name / "node.json").read_text())

    def light(self, name):
        """Return the last state to which a lamp was set."""
        return ([""] + [word for word in (self.folder / f"{name}.log").read_text().split() if word in ("True", "False")])[-1]

    def connected(self):
        return [m["device"] for m in self.run("group", "members", "lamps", "--json") if m["connected"]]

    def until(self, condition, what):
        until(condition, what, self.logs)

    def logs(self):
        return "\n".join(f"{path.name}: {path.read_text()}" for path in self.folder.glob("*.log"))

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


def _scenario(folder, url):
    house = House(folder, url)
    try:
        return _play(house)
    finally:
        house.close()


def _play(house):
    house.start_manager("a")
    house.until(lambda: "serving" in (house.folder / "a.log").read_text(), "the first manager")
    house.start_manager("b")
    house.until(lambda: "standby: the active manager is" in (house.folder / "b.log").read_text(), "the standby")
    house.run("group", "new", "lamps")
    for name in LAMPS:
        house.start_lamp(name)
    house.run("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
    house.until(lambda: house.connected() == list(LAMPS), "the lamps")
    house.run("group", "send", "lamps", "on", "--as", "desk")
    seen = {}
    keys = {name: house.settings(name)["key"] for name in (*LAMPS, "desk")}
    seen["rotated"] = house.run("provision", "rotate", *LAMPS, "--wait", "250", "--json")
    house.run("provision", "rotate", "desk", "--wait", "0", status=1)
    house.run("group", "send", "lamps", "off", "--as", "desk")
    house.run("group", "send", "lamps", "on", "--as", "desk")
    seen["desk"] = house.settings("desk")
    seen["changed"] = {name: house.settings(name)["key"] != keys[name] for name in keys}
    seen["managers"] = house.run("manager", "addresses", "--json")

    begin = time.monotonic()
    house.processes["a"].send_signal(signal.SIGKILL)
    house.manager = "b"
    house.until(lambda: "serving devices" in (house.folder / "b.log").read_text(), "the standby")
    house.until(lambda: house.connected() == list(LAMPS), "the lamps at the standby")
    seen["back"] = time.monotonic() - begin
    house.run("group", "remove", "lamps", "lamp-2")
    house.run("group", "send", "lamps", "off", "--as", "desk")
    house.until(lambda: house.light("lamp-1") == "False", "off")
    seen["expelled"] = house.light("lamp-2")
    print(f"the lamps are back after {seen['back']:.1f} s")
    return seen


def test_real_nodes_change_their_keys_and_follow_a_take_over(in_network, postgres, tmp_path):
    seen = in_network(_scenario, tmp_path, postgres.database())
    assert seen["rotated"] == {"changed": list(LAMPS), "pending": {}}
    assert all(seen["changed"].values())
    assert seen["desk"]["identity"].endswith(":1"), "a member that only sends now and then has its old key"
    assert seen["managers"]["list"] == [{"host": "127.0.0.1", "port": port} for port in MANAGERS.values()]
    assert seen["managers"]["behind"] == {}
    assert seen["expelled"] == "True", "who was expelled after the take-over obeys"
    assert seen["back"] < SILENT_S / 2, "the lamps were not recalled"
