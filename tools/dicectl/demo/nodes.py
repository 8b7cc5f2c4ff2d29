# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Where the demo and the network tests play: MicroPython nodes, each a process of its own, and an attacker on their network.

Everything here runs inside the namespace that netns.enter() made.
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

HEAP_KB = 64
SERVER_HEAP_KB = 160  # of a node that serves DTLS besides, on a 64-bit machine
IDENTITY = "panel"  # who may ask a switch
_PATIENCE_S = 60


class Node:
    """One MicroPython process in a folder of its own; `on`, `obeyed` and `counts` are what it last told."""

    def __init__(self, name, module, folder, code, heap_kb):
        self._reset(name)
        self.folder = Path(folder)
        self.folder.mkdir()
        self._argv = unix_port.run_module(module, f"{heap_kb}k")
        self._environment = unix_port.environment(code)
        self._process = None

    def _reset(self, name):
        self.name = name
        self.obeyed = 0  # commands, over all starts
        self.due = 0  # commands that it should have obeyed
        self._before = {}  # dropped by kind, in earlier starts
        self.forget()

    def forget(self):
        """Know nothing of what an earlier start told."""
        self.ready = self.on = False
        self.asked = self.answers = 0
        self.counts = None
        self._rest = b""

    @property
    def stdout(self):
        """The pipe on which the node tells."""
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
        """Stop the process for a while, or let it go on: a node that is busy with something else."""
        self._process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def dropped(self):
        """Return the datagrams dropped, by kind, over all starts."""
        now = self.counts["dropped"] if self.counts else {}
        return {kind: self._before.get(kind, 0) + now.get(kind, 0) for kind in {**self._before, **now}}

    def alive(self):
        """Tell whether the power is on."""
        return self._process is not None

    def write(self, line):
        """Give the node a line on stdin."""
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise CommandError(f"{self.name} has stopped: {(self.folder / 'stderr').read_text().strip()}")

    def hear(self, data):
        """Take in what the node wrote on stdout."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not line.startswith(b"{"):
                continue  # what a board itself says
            told = json.loads(line)
            self.ready = self.ready or "ready" in told
            if "on" in told:
                self.on = told["on"]
                self.obeyed += 1
            elif "accepted" in told:
                self.counts = told
                self.answers += 1


def files_of(settings, **options):
    """Return the files of a managed node: {name: bytes}."""
    return {"node.json": json.dumps(settings).encode(), "app.json": json.dumps({"publish_s": 0, **options}).encode()}


def repeated_nonces(datagrams):
    """Return how many records of a group carry a header, and so a nonce, that an earlier one carried."""
    headers = [bytes(datagram[3:11]) for datagram in datagrams if record.well_formed(datagram)]
    return len(headers) - len(set(headers))


class Testbed:
    """The nodes, what was heard on their network, and the loop that listens to all of it."""

    def __init__(self, folder, code, group_path, tick=lambda: None):
        group = group_file.load(group_path)
        self.to = (group["address"], group["port"])
        self.group_path = group_path
        self.key = secrets.token_bytes(16)  # of whoever asks a switch; for this run alone
        self.nodes = {}
        self.genuine = []  # datagrams of the group's members, in the order of the wire
        self.tap = namespace.Tap(group["port"])
        self.folder = Path(folder)
        self._code = code
        self._tick = tick
        self._attacker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._attacker.bind(("", 0))
        self.attacker_port = self._attacker.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.tap, selectors.EVENT_READ)

    def add(self, name, module, sender=False, listener=False):
        """Provision a node: a folder with its GSA, with an id where it sends or may answer; a sender gets keys.json too."""
        node = Node(name, module, self.folder / name, self._code, SERVER_HEAP_KB if sender else HEAP_KB)
        own = {"sender": name} if sender else {"listener": name} if listener else {}
        group_file.export(self.group_path, node.folder / ("switch.gsa" if sender else "lamp.gsa"), **own)
        if sender:
            group_file.write_secret(node.folder / "keys.json", json.dumps({IDENTITY: self.key.hex()}).encode())
        self.nodes[name] = node
        return node

    def adopt(self, settings):
        """Put the node.json of a managed node into a folder of its own, and return the node."""
        node = Node(settings["name"], "demo_node", self.folder / settings["name"], self._code, SERVER_HEAP_KB)
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
        """Power a node off in the middle of whatever it does."""
        self._selector.unregister(node.stdout)
        node.kill()
        self.pump(0)

    def attack(self, datagram, to=None):
        """Send a datagram to the group, or another one, as somebody without keys."""
        self._attacker.sendto(datagram, to or self.to)

    def pump(self, seconds):
        """Take in everything that happens within some time, and at least what has happened."""
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
            heard = [(port, payload) for port, payload in self.tap.read() if port != self.attacker_port]
            self.genuine.extend(payload for _, payload in heard)
            commands = sum(port == self.to[1] for port, _ in heard)  # a question comes from a port of its own
            for node in self.nodes.values():
                node.due += commands if node.ready else 0
            return
        data = key.fileobj.read1(65536)
        if not data:
            self._selector.unregister(key.fileobj)
            raise CommandError(f"{key.data.name} has stopped: {(key.data.folder / 'stderr').read_text().strip()}")
        key.data.hear(data)

    def until(self, condition, what):
        """Go on until `condition()`; raises CommandError when that takes too long."""
        end = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise CommandError(f"waited {_PATIENCE_S} s in vain for {what}")
            self.pump(0.02)

    def command(self, switch, *words):
        """Have a switch send words, and wait until all are on the wire."""
        target = len(self.genuine) + len(words)
        for word in words:
            switch.write(word)
        self.until(lambda: len(self.genuine) >= target, f"{switch.name} to send")

    def count(self, nodes):
        """Have nodes tell what they have counted, once they have nothing left to count."""
        totals = None
        while True:
            for node in nodes:
                node.asked += 1
                node.write("counts")
            self.until(lambda: all(node.answers == node.asked for node in nodes), "answers")
            before, totals = totals, [node.counts["accepted"] + sum(node.counts["dropped"].values()) for node in nodes]
            if totals == before:
                return
            self.pump(0.1)

    def close(self):
        """End every process and socket."""
        for node in self.nodes.values():
            node.kill()
        self._attacker.close()
        self.tap.close()
        self._selector.close()
