# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The nodes of the demo and of network tests, each a MicroPython process, and an attacker on their network.

All of it runs in the network namespace that namespace.enter() created.
"""

import json
import secrets
import selectors
import signal
import socket
import subprocess
import time
from pathlib import Path

from dice import record
from dicectl.errors import CommandError
from dicectl.firmware import unix_port
from dicectl.manager import group_file
from dicectl.net import namespace
from dicectl.net.address import draw

HEAP_KB = 72
SERVER_HEAP_KB = 160  # of a node with DTLS sessions, on a 64-bit machine
IDENTITY = "panel"  # the client that may send requests to a switch
_TIMEOUT_S = 300  # an emulated board on a busy computer takes minutes


class Node:
    """A node of the demo; `on`, `obeyed` and `counts` are from its last reports. Subclasses start and stop it."""

    def __init__(self, name):
        self.name = name
        self.obeyed = 0  # commands, over all starts
        self.due = 0  # commands that it should have obeyed
        self.ready = self.on = False
        self.asked = self.answers = 0
        self.counts = None
        self._before = {}  # dropped by kind, in earlier starts
        self._rest = b""

    def forget(self):
        """Reset what an earlier start reported."""
        self.ready = self.on = False
        self.asked = self.answers = 0
        self.counts = None
        self._rest = b""

    def dropped(self):
        """Return the datagrams dropped, by kind, over all starts."""
        now = self.counts["dropped"] if self.counts else {}
        return {kind: self._before.get(kind, 0) + now.get(kind, 0) for kind in {**self._before, **now}}

    def read(self, data):
        """Process the reports that the node wrote to stdout."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not line.startswith(b"{"):
                continue  # output of the board itself
            report = json.loads(line)
            self.ready = self.ready or "ready" in report
            if "on" in report:
                self.on = report["on"]
                self.obeyed += 1
            elif "accepted" in report:
                self.counts = report
                self.answers += 1


class MicroPythonNode(Node):
    """A MicroPython process in a folder of its own."""

    def __init__(self, name, module, folder, code, heap_kb):
        super().__init__(name)
        self.folder = Path(folder)
        self.folder.mkdir()
        self._argv = unix_port.run_module(module, f"{heap_kb}k")
        self._environment = unix_port.environment(code)
        self._process = None

    @property
    def stdout(self):
        """The pipe to which the node prints reports."""
        return self._process.stdout

    def start(self):
        """Start the process: power on."""
        self.forget()
        with open(self.folder / "stderr", "ab") as stderr:
            self._process = subprocess.Popen(
                self._argv, cwd=self.folder, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
            )

    def kill(self):
        """End the process at once: power off."""
        if self._process:
            self._before, self.counts = self.dropped(), None
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None

    def pause(self, paused):
        """Stop the process or continue it, as if the node were busy or asleep."""
        self._process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def alive(self):
        """Return whether the power is on."""
        return self._process is not None

    def write(self, line):
        """Send the node a line on stdin."""
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise CommandError(f"{self.name} has stopped: {(self.folder / 'stderr').read_text().strip()}")


def files_of(settings, **options):
    """Return the files of a managed node: {name: bytes}."""
    return {"node.json": json.dumps(settings).encode(), "app.json": json.dumps({"publish_s": 0, **options}).encode()}


def repeated_nonces(datagrams):
    """Return how many group records have the header, and therefore the nonce, of an earlier one."""
    headers = [bytes(datagram[3:11]) for datagram in datagrams if record.well_formed(datagram)]
    return len(headers) - len(set(headers))


def create_group(path, ipv6=False):
    """Write the group file of the switch and the lamps."""
    group = group_file.new("lamps", draw(ipv6))
    group_file.add_sender(group, "switch")
    group_file.add_listener(group, "lamp-1")  # which answers requests
    group_file.add_sender(group, IDENTITY)  # a sender that never sends: the attacker uses its SenderID
    group_file.create(path, group)
    return path


class Testbed:
    """The nodes, the datagrams on their network, and a loop that reads from all of them."""

    def __init__(self, folder, code, group_path, tick=lambda: None):
        group = group_file.load(group_path)
        self.to = (group["address"], group["port"])
        self.group_path = group_path
        self.key = secrets.token_bytes(16)  # of IDENTITY, for this run only
        self.nodes = {}
        self.genuine = []  # datagrams of the group's members, in the order of sending
        self.ipv6 = ":" in group["address"]
        self.tap = namespace.Tap(group["port"], self.ipv6)
        self.folder = Path(folder)
        self._code = code
        self._tick = tick
        self._attacker = socket.socket(socket.AF_INET6 if self.ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._attacker.bind(("", 0))
        self.attacker_port = self._attacker.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.tap, selectors.EVENT_READ)

    def add(self, name, module, sender=False, listener=False):
        """Create a node: a folder with its GSA, and keys.json for a sender. A sender and an answering listener have an id."""
        node = MicroPythonNode(name, module, self.folder / name, self._code, SERVER_HEAP_KB if sender else HEAP_KB)
        own = {"sender": name} if sender else {"listener": name} if listener else {}
        group_file.export(self.group_path, node.folder / ("switch.gsa" if sender else "lamp.gsa"), **own)
        if sender:
            group_file.write_secret(node.folder / "keys.json", json.dumps({IDENTITY: self.key.hex()}).encode())
        self.nodes[name] = node
        return node

    def adopt(self, settings):
        """Create a managed node: a folder with its node.json."""
        node = MicroPythonNode(settings["name"], "demo_node", self.folder / settings["name"], self._code, SERVER_HEAP_KB)
        for name, content in files_of(settings).items():
            group_file.write_secret(node.folder / name, content)
        self.nodes[node.name] = node
        return node

    def start(self, *nodes):
        """Power nodes on and wait until they have joined."""
        for node in nodes:
            self.power_on(node)
        for node in nodes:
            self.until(lambda node=node: node.ready, f"{node.name} to join")

    def power_on(self, node):
        """Power a node on."""
        self.nodes[node.name] = node
        node.start()
        self._selector.register(node.stdout, selectors.EVENT_READ, node)

    def kill(self, node):
        """Power a node off at once."""
        self._selector.unregister(node.stdout)
        node.kill()
        self.process_events(0)

    def attack(self, datagram, to=None):
        """Send a datagram to the group, or to another address, as the attacker, who has no keys."""
        self._attacker.sendto(datagram, to or self.to)

    def process_events(self, seconds):
        """Process all events for some time, and at least those that have happened."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            ready = self._selector.select(max(0, min(left, 0.05)))
            for key, _ in ready:
                self._take(key)
            self._tick()
            if left <= 0 and not ready:
                return

    def _take(self, key):
        if key.data is None:
            captured = [(port, payload) for port, payload in self.tap.read() if port != self.attacker_port]
            self.genuine.extend(payload for _, payload in captured)
            commands = sum(port == self.to[1] for port, _ in captured)  # a request comes from another port
            for node in self.nodes.values():
                node.due += commands if node.ready else 0
            return
        data = key.fileobj.read1(65536)
        if not data:
            self._selector.unregister(key.fileobj)
            raise CommandError(f"{key.data.name} has stopped: {(key.data.folder / 'stderr').read_text().strip()}")
        key.data.read(data)

    def until(self, condition, what):
        """Process events until `condition()`; raises CommandError on a timeout."""
        end = time.monotonic() + _TIMEOUT_S
        while not condition():
            if time.monotonic() > end:
                raise CommandError(f"timed out after {_TIMEOUT_S} s waiting for {what}")
            self.process_events(0.02)

    def command(self, switch, *commands):
        """Let a switch send commands, and wait until all are on the wire."""
        target = len(self.genuine) + len(commands)
        for command in commands:
            switch.write(command)
        self.until(lambda: len(self.genuine) >= target, f"{switch.name} to send")

    def count(self, nodes):
        """Request the counters of nodes until they no longer change."""
        totals = None
        while True:
            for node in nodes:
                node.asked += 1
                node.write("counts")
            self.until(lambda: all(node.answers == node.asked for node in nodes), "answers")
            before, totals = totals, [node.counts["accepted"] + sum(node.counts["dropped"].values()) for node in nodes]
            if totals == before:
                return
            self.process_events(0.1)

    def close(self):
        """Stop every process and close every socket."""
        for node in self.nodes.values():
            node.kill()
        self._attacker.close()
        self.tap.close()
        self._selector.close()
