# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager`, `provision` and `group` as users run them, with nodes that are firmware/app on MicroPython."""

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import dice
from dice.aio.coap import Coap
from dice.aio.group_coap import request_group
from dice.coap.codes import BAD_REQUEST, CHANGED, CONTENT, GET, NOT_FOUND, PUT
from dice.coap.resource import Router
from dice.dtls.kx_psk import Psk
from dicectl import resources
from dicectl.firmware import unix_port
from dicectl.manager import control
from dicectl.member.host_member import HostMember
from dicectl.net import namespace
from host_tests.patience import PATIENCE_S, until
from host_tests.ports import free_port

APP = Path(__file__).resolve().parents[2] / "firmware" / "app"
DICECTL = [sys.executable, "-m", "dicectl"]


def dicectl(folder, *arguments, status=0):
    """Run it; return its output, as JSON if --json was given."""
    environment = {**os.environ, "DICE_MANAGER": "house.db"}
    done = subprocess.run([*DICECTL, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    if status:
        assert done.stdout == "" and len(done.stderr.splitlines()) == 1, done
        return done.stderr
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


class ManagedSite:
    """A folder with a manager and nodes, all as processes."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = {}
        self.metrics_port = free_port(socket.SOCK_STREAM)

    def __call__(self, *arguments, status=0):
        return dicectl(self.folder, *arguments, status=status)

    def _start(self, name, argv, folder, environment=None):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(argv, cwd=folder, env=environment, stdout=log, stderr=log)

    def manager(self, *options, host="127.0.0.1"):
        """Start the manager, and wait until it serves."""
        argv = [
            *DICECTL,
            "manager",
            "run",
            "house.db",
            "--new",
            "--host",
            host,
            "--metrics",
            str(self.metrics_port),
            "--json",
            *options,
        ]
        self._start("manager", argv, self.folder)
        self.until(lambda: '"serving"' in self.log("manager").split("KILLED")[-1], "the manager")

    def node(self, name, *arguments, **options):
        """Provision a node and start it."""
        self("provision", "new", name, *arguments, "--to", name)
        (self.folder / name / "app.json").write_text(json.dumps({"sensor": "simulated", "publish_s": 0, **options}))
        self.power_on(name)

    def power_on(self, name):
        argv = [unix_port.find(), "-X", "heapsize=1m", str(APP / "main.py")]
        self._start(name, argv, self.folder / name, unix_port.environment(f"{APP}:{resources.LIB}"))

    def kill(self, name):
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with open(self.folder / f"{name}.log", "a") as log:
            log.write("KILLED\n")

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def light(self, name):
        """Return the states to which a lamp was set since it was powered on."""
        printed = self.log(name).split("KILLED\n")[-1].split()
        return [word for word in printed if word in ("True", "False")]

    def until(self, condition, what):
        until(condition, what, lambda: "\n".join(f"{name}: {self.log(name)}" for name in self.processes))

    def close(self):
        for name in list(self.processes):
            self.kill(name)

    def members(self):
        return {member["device"]: member for member in self("group", "members", "lamps", "--json")}

    def epoch(self):
        return self("group", "show", "lamps", "--json")["epoch"]

    def metrics(self):
        """Return the page for Prometheus."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer:
            return answer.read().decode()


def _life(folder):
    """Run the life of a group in a building; return the outputs for the tests.

    Another epoch may begin at any time: when `cat` wakes up, and `desk`, which has sent, has no session that tells how much.
    """
    with contextlib.closing(ManagedSite(folder)) as site:
        return _scenario(site)


def _scenario(site):
    seen = {}
    site.manager()
    seen["empty"] = site("group", "list", "--json")
    seen["new"] = site("group", "new", "lamps", "--json")
    seen["second"] = site("manager", "run", "house.db", "--host", "127.0.0.1", status=1)
    site("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
    for name in ("lamp-1", "lamp-2"):
        site.node(name, "--group", "lamps")
    seen["modes"] = [stat.S_IMODE((site.folder / "desk" / name).stat().st_mode) for name in (".", "node.json")]
    site.node("cat", "--group", "lamps", sleep_s=1, awake_s=1)
    site.until(lambda: all(site.members()[name]["epoch"] for name in ("lamp-1", "lamp-2", "cat")), "lamps")
    site("group", "send", "lamps", "on", "--as", "desk")
    site.until(lambda: site.light("lamp-1") == site.light("lamp-2") == ["True"], "on")
    seen["members"] = site.members()

    seen["removed"] = site("group", "remove", "lamps", "lamp-2", "--json")
    site("group", "send", "lamps", "off", "--as", "desk")
    site.until(lambda: site.light("lamp-1") == ["True", "False"], "off")
    seen["expelled"] = site.light("lamp-2")

    site.kill("lamp-1")  # lamp-1 sleeps through an epoch, and the manager is killed in the meantime
    seen["rekeyed"] = site("group", "rekey", "lamps", "--no-wait", "--json")
    site.kill("manager")
    seen["down"] = site("group", "list", status=3)
    site.manager()
    seen["after"] = site("group", "show", "lamps", "--json")
    site.power_on("lamp-1")
    site.until(lambda: site.members()["lamp-1"]["epoch"] >= seen["rekeyed"]["epoch"], "catching up")
    site("group", "send", "lamps", "on", "--as", "desk")
    site.until(lambda: site.light("lamp-1") == ["True"], "on again")
    site.until(lambda: site.members()["cat"]["epoch"] >= seen["rekeyed"]["epoch"], "who sleeps mostly")
    seen["thief"] = site.light("lamp-2")

    seen["replaced"] = site("provision", "replace", "lamp-1", "--to", "lamp-1b", "--json")
    seen["devices"] = {device["name"]: device for device in site("provision", "list", "--json")}
    seen["alive"] = site("provision", "wipe", "lamp-2", "--to", "lamp-2", status=1)
    site.kill("lamp-2")
    site("provision", "wipe", "lamp-2", "--to", "lamp-2")
    seen["wiped"] = sorted(path.name for path in (site.folder / "lamp-2").iterdir())
    site.until(lambda: f'dice_group_epoch{{group="lamps"}} {site.epoch()}.0' in site.metrics(), "metrics")  # twice a second
    seen["metrics"] = site.metrics()
    seen["audit"] = site("manager", "audit", "house.db")
    seen["errors"] = [
        site("group", "add", "lamps", "nobody", status=2),
        site("group", "show", "fans", status=2),
        site("group", "remove", "lamps", "lamp-2", status=2),
        site("provision", "new", "desk", "--to", "desk2", status=2),
        site("provision", "new", "x", "--group", "lamps:king", "--to", "x", status=2),
        site("group", "new", "lamps", status=2),
    ]
    seen["folders"] = [name for name in ("desk2", "x") if (site.folder / name / "node.json").exists()]
    keys = [json.loads((site.folder / name / "node.json").read_text())["key"] for name in ("desk", "lamp-1", "lamp-1b")]
    logs = site.log("manager") + site.log("lamp-1") + seen["audit"]
    seen["leaked"] = [key for key in keys if key in logs]
    return seen


@pytest.fixture(scope="module")
def life(request, tmp_path_factory):
    from host_tests.net.conftest import _run

    return _run(False, _life, tmp_path_factory.mktemp("house"))


def test_a_group_lists_its_members_and_their_roles(life):
    assert life["empty"] == []
    assert (life["new"]["epoch"], life["new"]["members"]) == (0, 0)
    roles = {name: member["role"] for name, member in life["members"].items()}
    assert roles == {"lamp-1": "listener", "lamp-2": "listener", "cat": "listener", "desk": "sender"}


def test_files_are_private_and_no_secret_is_printed(life):
    assert life["modes"] == [0o700, 0o600]
    assert life["leaked"] == []


def test_a_second_manager_is_refused(life):
    assert "another manager runs on house.db" in life["second"]


def test_an_expelled_lamp_does_not_obey_later_messages(life):
    assert life["removed"]["active"] and life["removed"]["epoch"] > life["members"]["lamp-2"]["epoch"]
    assert life["expelled"] == life["thief"] == ["True"]


def test_a_killed_manager_continues_with_its_registry(life):
    assert "no manager runs on house.db" in life["down"]
    assert life["after"]["epoch"] == life["rekeyed"]["epoch"] > life["removed"]["epoch"]


def test_devices_are_replaced_and_wiped(life):
    assert life["replaced"]["groups"] == ["lamps"]
    assert set(life["devices"]) == {"cat", "desk", "lamp-1", "lamp-2"}
    assert life["devices"]["lamp-1"]["identity"] == life["replaced"]["identity"]
    assert "app.json" in life["wiped"] and not [
        name for name in life["wiped"] if re.search(r"node\.json|\.gsa|^[0-9a-f]{8}[a-z]", name)
    ]
    assert re.search(r"E34: lamp-2 is in use by process \d+ \(.*micropython .*main.py\): end it", life["alive"]), life["alive"]


def test_metrics_count_members_and_devices(life):
    assert 'dice_group_members{group="lamps"} 3.0' in life["metrics"]
    assert re.search(r"^dice_devices [34]\.0$", life["metrics"], re.MULTILINE)


def test_the_audit_log_lists_every_change(life):
    for entry in ("added        lamps desk", "removed      lamps lamp-2", "wiped        lamp-2", "active       lamps  epoch 1"):
        assert entry in life["audit"], entry


def test_errors_name_the_device_the_group_or_the_role(life):
    nobody, fans, gone, taken, king, again = life["errors"]
    assert "there is no device nobody: dicectl provision new nobody" in nobody
    assert "there is no group fans; there are: lamps" in fans
    assert "there is no device lamp-2" in gone
    assert "there is a device desk already" in taken
    assert "king is not a role: choose one of sender, answering, listener" in king
    assert "lamps cannot be the name of a new group" in again
    assert life["folders"] == []


async def _read_node(port, key):
    """Return the readings and responses that a client of the node gets over DTLS."""
    connection = await dice.connect(("127.0.0.1", port), Psk(b"tablet", bytes.fromhex(key)), timer_ms=500, timeout_s=PATIENCE_S)
    peer = Coap(connection, Router({}))
    said = []
    for code, path, payload in (
        (GET, "sensor", b""),
        (PUT, "light", b"on"),
        (GET, "light", b""),
        (PUT, "light", b"x"),
        (GET, "gsa", b""),
    ):
        response = await peer.request(code, path, payload)
        said.append((response.code, bytes(response.payload)))
    peer.close()
    return said


def _application(folder):
    site = ManagedSite(folder)
    key = "0f" * 16
    try:
        site.manager()
        site("group", "new", "lamps")
        site("provision", "new", "ear", "--group", "lamps:sender", "--to", "ear")
        site.node("probe", publish_s=1, port=5699)
        site.kill("probe")
        added = site("group", "add", "lamps", "probe", "--role", "sender", "--no-wait", "--json")
        settings = json.loads((folder / "probe" / "node.json").read_text())
        (folder / "probe" / "node.json").write_text(json.dumps({**settings, "groups": ["lamps"]}))
        (folder / "probe" / "clients.json").write_text(json.dumps({"tablet": key}))
        argv = [*DICECTL, "group", "monitor", "lamps", "--as", "ear", "--count", "4", "--json"]
        site._start("ear", argv, folder)
        site.until(lambda: site.members()["ear"]["connected"], "the monitor")
        site.power_on("probe")
        site.until(lambda: site.members()["probe"]["connected"], "the probe")
        said = asyncio.run(_read_node(5699, key))
        site.until(lambda: site.processes["ear"].poll() is not None, "four measurements")
        return added, said, [json.loads(line) for line in site.log("ear").splitlines()], site.light("probe")
    finally:
        site.close()


def test_the_application_publishes_readings_and_serves_clients(in_network, tmp_path):
    """Its readings go to the group. The clients in clients.json read its sensor and switch its light. `group add` added it."""
    added, said, received, light = in_network(_application, tmp_path)
    assert added["members"] == 2
    sensor, *rest = said
    assert sensor[0] == CONTENT and 20 <= float(sensor[1]) < 22
    assert rest == [(CHANGED, b""), (CONTENT, b"on"), (BAD_REQUEST, b"on or off"), (NOT_FOUND, b"")]
    assert light == ["True"]
    measured = [float(each["message"]) for each in received if each.get("message")]
    assert len(measured) >= 3 and all(20 <= value < 22 for value in measured)


async def _question(folder):
    """As desk, which lamp-1 knows as "tablet", ask the group; return the responses over a session with lamp-1 and without one."""
    node = HostMember(folder / "desk", ["lamps"])
    await node.lock()
    group, _ = await node.ready("lamps")
    connection = await dice.connect(
        ("127.0.0.1", 5699), Psk(b"tablet", bytes.fromhex("0f" * 16)), timer_ms=500, timeout_s=PATIENCE_S
    )
    peer = Coap(connection, Router({}))
    ways = ((b"tablet", [peer]), (b"", []))
    found = await asyncio.gather(*[request_group(group, GET, "light", b"", 7000, identity, peers) for identity, peers in ways])
    said = [{"session" if who is peer else who: bytes(message.payload) for who, message in each.items()} for each in found]
    peer.close()
    await node.leave()
    return said


def _questions(folder):
    site = ManagedSite(folder)
    try:
        site.manager()
        site("group", "new", "lamps")
        site("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
        for name in ("lamp-1", "lamp-2"):
            (folder / name).mkdir()
        (folder / "lamp-1" / "clients.json").write_text(json.dumps({"tablet": "0f" * 16}))
        site.node("lamp-1", "--group", "lamps:answering", port=5699)
        site.node("lamp-2", "--group", "lamps:answering")
        site.node("deaf", "--group", "lamps")
        site("provision", "new", "ghost", "--group", "lamps:answering", "--to", "ghost")
        shown = site("group", "show", "lamps", "--json")
        site.until(lambda: all(site.members()[n]["epoch"] == shown["epoch"] for n in ("lamp-1", "lamp-2", "deaf")), "the lamps")
        ids = {name: member["id"] for name, member in site.members().items()}
        tap = namespace.Tap(shown["port"])
        said = asyncio.run(_question(folder))
        return said, ids, tap.read(), site("group", "ask", "lamps", "light", "--as", "desk", "--json")
    finally:
        site.close()


def test_group_requests_are_answered_over_a_session_or_with_response_keys(in_network, tmp_path, recorded_processes):
    """Members with an id respond within the Leisure, over the session if there is one. No response is readable on the wire."""
    (first, second), ids, received, asked = in_network(_questions, tmp_path)
    assert first == {"session": b"off", ids["lamp-2"]: b"off"}
    assert second == {ids["lamp-1"]: b"off", ids["lamp-2"]: b"off"}
    assert received and not [payload for _, payload in received if b"off" in payload or b"tablet" in payload]
    assert {answer["device"]: answer["answer"] for answer in asked["answers"]} == {"lamp-1": "off", "lamp-2": "off"}
    assert asked["silent"] == ["ghost"]


def _on_a_terminal(folder, *arguments):
    """Run a command on a terminal of its own; return its output there."""
    terminal, other_end = pty.openpty()
    environment = {**os.environ, "DICE_MANAGER": "house.db", "TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(
        [*DICECTL, *arguments], cwd=folder, env=environment, stdin=other_end, stdout=other_end, stderr=other_end
    )
    os.close(other_end)
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:  # on Linux, the end of a terminal
        pass
    os.close(terminal)
    assert process.wait() == 0, shown.decode()
    return shown.decode()


def _wake_later(site, slow):
    """Let the process `slow` go on some seconds after all others have the keys of epoch 2."""
    path = site.folder / "house.db"
    site.until(lambda: control.call(path, "show", group="lamps")["untold"] == ["slow"], "the others")
    time.sleep(3)
    os.kill(slow, signal.SIGCONT)


def _waiting(folder):
    site = ManagedSite(folder)
    try:
        site.manager()
        site("group", "new", "lamps")
        site("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
        for name in ("lamp", "slow"):
            site.node(name, "--group", "lamps")
        site("provision", "new", "ghost", "--group", "lamps", "--to", "ghost")
        site("provision", "new", "late", "--group", "lamps", "--to", "late")
        site.until(lambda: all(site.members()[name]["epoch"] for name in ("lamp", "slow")), "the lamps")
        slow = site.processes["slow"].pid
        os.kill(slow, signal.SIGSTOP)  # it is awake, as far as the manager knows, and does not answer
        waking = threading.Thread(target=_wake_later, args=(site, slow))
        waking.start()
        shown = _on_a_terminal(folder, "group", "remove", "lamps", "ghost")
        waking.join()
        return shown
    finally:
        site.close()


def test_waiting_for_an_epoch_shows_a_progress_bar_and_late_members(in_network, tmp_path):
    """The bar is removed in the end. Then the members without the new keys are listed."""
    shown = in_network(_waiting, tmp_path)
    assert "epoch 2" in shown and "50%" in shown, "not one of two members that are awake"
    assert shown.count("\x1b[2K") > 5, "the bar was not redrawn"
    assert "lamps: 4 members, 1 may send; epoch 2 in use by all 2 that are awake; 2 will fetch it later: desk (never seen)" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0, "the cursor stayed hidden"


def _watched(folder, *arguments):
    """Run a command; return (its output, the arguments and environment of every process that ran in the meantime)."""
    environment = {**os.environ, "DICE_MANAGER": "house.db", "HISTFILE": str(folder / "history")}
    process = subprocess.Popen(
        [*DICECTL, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    seen = set()
    while process.poll() is None:
        for path in Path("/proc").glob("[0-9]*/"):
            for name in ("cmdline", "environ"):
                try:
                    seen.add((path / name).read_bytes())
                except OSError:
                    pass  # it has ended
    return process.stdout.read(), seen


def _provisioning(folder):
    site = ManagedSite(folder)
    try:
        site.manager()
        site("group", "new", "lamps")
        (folder / "file").write_text("")
        site("provision", "new", "torn", "--group", "lamps", "--to", "torn")
        refused = site("provision", "replace", "torn", "--to", "file/x", status=1)
        site("provision", "replace", "torn", "--to", "torn-2")
        torn = site.members()["torn"]["role"]
        said = [
            _watched(folder, "provision", "new", "desk", "--group", "lamps:sender", "--to", "desk"),
            _watched(folder, "provision", "replace", "desk", "--to", "desk-2", "--json"),
        ]
        keys = [json.loads((folder / name / "node.json").read_text())["key"] for name in ("desk", "desk-2")]
        return keys, said, site.log("manager"), sorted(path.name for path in folder.iterdir()), refused, torn
    finally:
        site.close()


def test_provisioning_leaves_no_trace_of_a_key(in_network, tmp_path):
    """In the output, in the arguments or environment of any process, or in any file except the registry.

    A device that did not get its configuration can be replaced once more, and is then in its groups.
    """
    keys, said, log, files, refused, torn = in_network(_provisioning, tmp_path)
    assert "the old device is already expelled: run dicectl provision replace torn again" in refused
    assert torn == "listener"
    secrets = [form for key in keys for form in (key.encode(), bytes.fromhex(key))]
    for printed, seen in said:
        assert any(b"provision" in each for each in seen), "the command itself was not observed"
        assert not any(secret in text for secret in secrets for text in (printed, log.encode(), *seen))
    holders = [name for name in files if (tmp_path / name).is_file()]
    assert "history" not in files
    for name in holders:
        if not name.startswith("house.db"):
            assert not any(secret in (tmp_path / name).read_bytes() for secret in secrets), name


def is_bound(port):
    """Return whether a UDP port is bound in this network, at any address."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return port in [int(line.split()[1].rpartition(":")[2], 16) for line in lines]


def _capture(folder):
    site = ManagedSite(folder)
    try:
        site.manager()
        site("group", "new", "lamps")
        site("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
        site("provision", "new", "ear", "--group", "lamps", "--to", "ear")
        argv = [
            *DICECTL,
            "group",
            "monitor",
            "lamps",
            "--as",
            "ear",
            "--pcapng",
            "ear.pcapng",
            "--keylog",
            "--count",
            "3",
            "--json",
        ]
        site._start("ear", argv, folder)
        shown = site("group", "show", "lamps", "--json")
        site.until(lambda: is_bound(shown["port"]), "the monitor")
        site("group", "send", "lamps", "hello", "--as", "desk")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"nonsense", (shown["address"], shown["port"]))
        site("group", "rekey", "lamps", "--no-wait")
        site("group", "send", "lamps", "again", "--as", "desk")
        site.until(lambda: site.processes["ear"].poll() is not None, "three datagrams")
        return [json.loads(line) for line in site.log("ear").splitlines()], shown
    finally:
        site.close()


def test_monitor_prints_messages_and_writes_a_capture(in_network, tmp_path):
    received, shown = in_network(_capture, tmp_path)
    assert [(said.get("message"), said.get("dropped"), said.get("epoch")) for said in received] == [
        ("hello", None, shown["epoch"]),
        (None, "malformed", None),
        ("again", None, shown["epoch"] + 1),
    ]
    keys = (tmp_path / "ear.pcapng.keys").read_text().split()
    assert keys[0::4] == ["DICE_GROUP_TEK"] * 2 and keys[1] == shown["gid"]
    for name in ("ear.pcapng", "ear.pcapng.keys"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    shark = ["tshark", "-r", str(tmp_path / "ear.pcapng"), "-T", "fields", "-e", "frame.comment", "-e", "udp.dstport"]
    shark += ["-e", "ip.checksum.status", "-o", "ip.check_checksum:TRUE"]
    read = subprocess.run(shark, capture_output=True, text=True).stdout.splitlines()
    assert [line.split("\t")[0].rpartition(": ")[2] for line in read] == ["hello", "dropped as malformed", "again"]
    assert {tuple(line.split("\t")[1:]) for line in read} == {(str(shown["port"]), "1")}


def _ended_monitor(folder):
    site = ManagedSite(folder)
    try:
        site.manager()
        site("group", "new", "lamps")
        site("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
        site("provision", "new", "ear", "--group", "lamps", "--to", "ear")
        argv = [*DICECTL, "group", "monitor", "lamps", "--as", "ear", "--pcapng", "ear.pcapng", "--json"]
        site._start("ear", argv, folder)
        site.until(lambda: site.members()["ear"]["connected"], "the monitor")
        site.processes["ear"].send_signal(signal.SIGTERM)
        return site.processes["ear"].wait(), site.log("ear")
    finally:
        site.close()


def test_a_signal_ends_the_monitor(in_network, tmp_path):
    assert in_network(_ended_monitor, tmp_path) == (0, "")
    assert (tmp_path / "ear.pcapng").stat().st_size


def _two_at_once(folder):
    site = ManagedSite(folder)
    try:
        site.manager()
        site("group", "new", "lamps")
        site("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
        site("provision", "new", "ear", "--group", "lamps", "--to", "ear")
        site._start("ear", [*DICECTL, "group", "monitor", "lamps", "--as", "ear", "--count", "4", "--json"], folder)
        shown = site("group", "show", "lamps", "--json")
        site.until(lambda: is_bound(shown["port"]), "the monitor")
        for name in ("1", "2", "3", "4"):
            site._start(name, [*DICECTL, "group", "send", "lamps", name, "--as", "desk"], folder)
        done = {name: site.processes[name].wait() for name in ("1", "2", "3", "4")}
        assert set(done.values()) == {0}, [site.log(name) for name in done]
        site.until(lambda: site.processes["ear"].poll() is not None, "four messages")
        return [json.loads(line) for line in site.log("ear").splitlines()]
    finally:
        site.close()


def test_commands_that_are_started_at_once_use_the_folder_one_after_another(in_network, tmp_path, recorded_processes):
    """No number is used twice, and none of them fails."""
    received = in_network(_two_at_once, tmp_path)
    assert sorted(said["message"] for said in received) == ["1", "2", "3", "4"]
    assert len({(said["epoch"], said["number"]) for said in received}) == 4
    assert recorded_processes.read_text().count("\n") > 20, "nothing was recorded"
