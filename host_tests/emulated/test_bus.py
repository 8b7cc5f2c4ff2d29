# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Two emulated RP2040 boards and a node of the unix port in one group, on one serial bus, under attack, through power failures."""

import json
import os
import select
import socket
import subprocess
import time
from pathlib import Path

import pytest

from dice import record
from dice.group.gsa import decode
from dice.group.member import Member
from dice.store import FileStore
from dice.transport.slip import Serial
from dicectl import resources
from dicectl.emulator import board as emulator
from dicectl.firmware import unix_port as micropython
from dicectl.manager import group_file as keyring
from host_tests.emulated import files
from host_tests.patience import until

HERE = Path(__file__).resolve().parent
EXPORTED = ("lamp", "unix", "switch")  # in this order: each knows from where on those behind it count, and of no others


class Tape:
    """What was heard on the bus, as a stream for dice.transport.slip; or what is put on it."""

    def __init__(self, data=b""):
        self.data = data

    def read(self, count):
        """Return the next bytes."""
        head, self.data = self.data[:count], self.data[count:]
        return head

    def write(self, data):
        """Take bytes."""
        self.data += bytes(data)
        return len(data)


def framed(datagram):
    """Return the bytes that carry a datagram."""
    tape = Tape()
    Serial(tape).send(datagram)
    return tape.data


def datagrams(bus, name):
    """Return all that one node has put on the bus."""
    tape = Tape(b"".join(data for who, data in list(bus.heard) if who == name))
    line = Serial(tape)
    found = []
    while tape.data or line._rest:
        found.append(line.receive())
    return [datagram for datagram in found if datagram]


class Node:
    """A node as the test sees it: what it told, on a stream with fileno()."""

    def __init__(self, name, out, write, check):
        self.name = name
        self.told = []
        self._out = out
        self._write = write
        self._check = check
        self._rest = b""

    def write(self, line):
        """Have the node do something."""
        self._write(line.encode() + b"\n")

    def hear(self):
        """Take in what it has told."""
        while select.select([self._out], (), (), 0)[0]:
            data = os.read(self._out.fileno(), 1 << 16)
            if not data:
                break
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.told += [json.loads(line) for line in lines if line.strip().startswith(b"{")]

    def until(self, condition):
        """Wait until what it told fulfils a condition."""

        def met():
            self._check()
            self.hear()
            return condition(self.told)

        until(met, self.name, lambda: f"it told only {self.told[-5:]} {self._rest}")

    def on(self):
        """Return what it has obeyed."""
        return [told["on"] for told in self.told if "on" in told]

    def counts(self):
        """Return what it has accepted, and what dropped, once it has nothing left to count."""
        while True:
            answers = []
            for _ in range(2):
                self.told = [told for told in self.told if "accepted" not in told]
                self.write("counts")
                self.until(lambda told: any("accepted" in each for each in told))
                answers.append(self.told[-1])
                time.sleep(0.3)
            if answers[0] == answers[1]:
                return answers[0]["accepted"], answers[0]["dropped"]


def of_board(board):
    """Return the Node of a board that runs bus_node.py as main.py."""
    return Node(board.name, board.console, board.console.sendall, board.check)


class UnixNode:
    """The node of the unix port: a process with the bus on a descriptor."""

    def __init__(self, folder):
        near, far = socket.socketpair()
        far.setblocking(False)
        self.line = near
        environment = micropython.environment(f"{resources.LIB}:{resources.EXAMPLES}")
        argv = [micropython.find(), str(HERE / "bus_node.py"), str(far.fileno())]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, cwd=folder, env=environment, stdin=pipe, stdout=pipe, pass_fds=[far.fileno()])
        far.close()
        self.node = Node("unix", self.process.stdout, self._write, self._check)

    def _write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def _check(self):
        assert self.process.poll() is None, "the node of the unix port has stopped"

    def close(self):
        """End it."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.line.close()


class Street:
    """The bus, with a switch and a lamp on boards, and a lamp under the unix port; each may send."""

    def __init__(self, folder, firmware):
        self.bus = emulator.Bus()
        self.boards = []
        self.unix = None
        try:
            self._build(folder, firmware)
        except BaseException:
            self.close()
            raise

    def _build(self, folder, firmware):
        gsas = self._provision(folder)
        common = {"main.py": HERE / "bus_node.py", **files.dice(), **files.compiled(resources.EXAMPLES, "bus.py")}
        for name in ("switch", "lamp"):
            self.boards.append(emulator.EmulatedBoard(firmware, {**common, "node.gsa": gsas[name]}, name=name))
        self.unix = UnixNode(gsas["unix"].parent)
        for board in self.boards:
            self.bus.join(board.name, board.uarts[0])
            board.power_on()
        self.bus.join("unix", self.unix.line)
        self.switch, self.lamp = (of_board(board) for board in self.boards)
        self.nodes = [self.switch, self.lamp, self.unix.node]
        for node in self.nodes:
            node.until(lambda told: {"ready": True} in told)

    def _provision(self, folder):
        """Return {name: path of its GSA}."""
        group = keyring.new("street")
        paths = {name: folder / name / "node.gsa" for name in EXPORTED}
        for name in paths:
            keyring.add_sender(group, name)
        keyring.create(folder / "street.group", group)
        for name, path in paths.items():
            path.parent.mkdir()
            keyring.export(folder / "street.group", path, name)
        return paths

    def send(self, word, sender=None):
        """Have a node send, the switch if not told otherwise, and wait until both others have obeyed."""
        sender = sender or self.switch
        listeners = [node for node in self.nodes if node is not sender]
        targets = [len(node.on()) + 1 for node in listeners]
        sender.write(word)
        for node, target in zip(listeners, targets):
            node.until(lambda _, node=node, target=target: len(node.on()) >= target)
            assert node.on()[-1] == (word == "on"), node.name

    def reboot(self, number):
        """Power a board on; return its new Node."""
        board = self.boards[number]
        board.power_on()
        node = of_board(board)
        node.until(lambda told: {"ready": True} in told)
        return node

    def close(self):
        """End all."""
        self.bus.close()
        if self.unix:
            self.unix.close()
        for board in self.boards:
            board.close()


@pytest.fixture
def street(firmware, tmp_path):
    street = Street(tmp_path, firmware)
    yield street
    street.close()


def until_counter(board, name, value):
    """Wait until a counter of epoch 1 in a board's flash has a value."""
    until(lambda: board.files().get(name, bytes(8))[:8] == (1 << 48 | value).to_bytes(8, "big"), name)


def test_the_example_as_it_stands(firmware, tmp_path):
    """firmware/examples/bus.py is main.py; a sender under CPython switches its lamp, and what it alters does not."""
    group = keyring.new("street")
    keyring.add_sender(group, "host")
    keyring.create(tmp_path / "street.group", group)
    keyring.export(tmp_path / "street.group", tmp_path / "node.gsa")
    keyring.export(tmp_path / "street.group", tmp_path / "host.gsa", "host")
    host = Member(decode((tmp_path / "host.gsa").read_bytes()), FileStore(str(tmp_path)), 0)
    example = resources.EXAMPLES / "bus.py"
    with emulator.EmulatedBoard(firmware, {**files.dice(), "main.py": example, "node.gsa": tmp_path / "node.gsa"}) as board:
        counter = f"{group['gid']}r0001"
        until_counter(board, counter, 0)  # it has joined
        for number, word in enumerate((b"on", b"off", b"neither")):
            host.send(word, 0)
            datagram = bytearray(host.transmit())
            datagram[-1] ^= word == b"off"
            board.uarts[0].send(framed(datagram))
            if word != b"off":
                until_counter(board, counter, number + 1)  # it has noted the message
        # SIO_GPIO_OUT, since the emulator does not feed a pin's output back into its input.
        said = board.run("import machine\nprint(machine.mem32[0xD0000010] >> 25 & 1, machine.Pin(14).value())")
    assert said == "1 1\n", "the lamp is on, and the button is not pressed"


def test_each_sends_and_both_others_receive(street):
    """The first record of a sender that was exported earlier is not obeyed: nobody can tell whether it is fresh."""
    for node in street.nodes:
        node.write("hello")
        node.until(lambda told: {"sent": "hello"} in told)
        time.sleep(0.2)
    for number in range(6):
        street.send("off" if number % 2 else "on", street.nodes[number % 3])
    counts = {node.name: node.counts() for node in street.nodes}
    assert counts == {"lamp": (2 + 4, {}), "unix": (1 + 4, {"first": 1}), "switch": (4, {"first": 2})}
    for sender_id, name in enumerate(EXPORTED, 1):
        sent = datagrams(street.bus, name)
        assert [datagram[5] for datagram in sent] == [sender_id] * 3
        assert [int.from_bytes(datagram[7:11], "big") for datagram in sent] == [0, 1, 2]


def attack(street, genuine):
    """Put replays, forgeries, fragments and noise on the bus; return how many of each kind."""
    forged = bytearray(genuine[-1])
    forged[9] ^= 0x40  # a sequence number never used
    flipped = [bytearray(forged) for _ in range(3)]
    for copy, at in zip(flipped, (13, 21, -1)):  # in the nonce, the ciphertext, the tag
        copy[at] ^= 1
    malformed = [genuine[-1][:-1], genuine[-1][:5], b"junk"]
    street.bus.send(b"\xdb\xdb\x00noise")
    for datagram in [*genuine, *flipped, bytes(forged), *malformed]:
        street.bus.send(framed(datagram))
        time.sleep(0.05)
    street.bus.send(b"\xc0" + b"\x55" * 3000 + b"\xc0\xdb\xc0")  # an endless frame, and a broken escape
    return {"replayed": len(genuine), "forged": len(flipped) + 1, "malformed": len(malformed)}


def assert_every_nonce_is_new(street):
    """Look at all that the switch has put on the bus; of the last datagram a power failure may have cut the end."""
    sent = [datagram for datagram in datagrams(street.bus, "switch") if record.well_formed(datagram)]
    nonces = [bytes(datagram[13:21]) for datagram in sent]
    assert len(nonces) > 100
    assert nonces == sorted(set(nonces)), "a nonce was repeated, or counting went on below the mark"


def test_group_on_a_bus(street):
    for word in ("on", "off", "on"):
        street.send(word)
    genuine = datagrams(street.bus, "switch")
    assert len(genuine) == 3 == len({bytes(datagram[3:11]) for datagram in genuine})

    expected = attack(street, genuine)
    for node in street.nodes[1:]:
        assert node.counts() == (3, expected), node.name
    street.send("off")

    street.boards[1].power_off()
    for number in range(3):
        before = len(datagrams(street.bus, "switch"))
        street.switch.write("burst 1000")
        wanted = before + 5 + 30 * number
        until(lambda wanted=wanted: len(datagrams(street.bus, "switch")) >= wanted, "the burst")
        street.boards[0].power_off()
        street.nodes[0] = street.switch = street.reboot(0)
    assert_every_nonce_is_new(street)

    street.nodes[1] = street.lamp = street.reboot(1)
    for datagram in genuine:
        street.bus.send(framed(datagram))  # the lamp has obeyed these before its power failed
        time.sleep(0.05)
    assert street.lamp.counts() == (0, {"replayed": 3})
    for word in ("on", "off"):
        street.send(word)
    assert street.lamp.counts()[0] == 2

    assert_every_nonce_is_new(street)
