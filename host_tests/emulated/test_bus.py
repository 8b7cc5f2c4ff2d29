# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Two emulated RP2040 boards and a node of the unix port in one group on a serial bus, under attack and with power failures."""

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
from dice.transport.recode import recode, restore
from dice.transport.slip import Serial
from dicectl import resources
from dicectl.emulator.board import EmulatedBoard
from dicectl.emulator.bus import Bus
from dicectl.firmware import unix_port
from dicectl.manager import group_file
from host_tests.emulated import files
from host_tests.patience import until

HERE = Path(__file__).resolve().parent
EXPORTED = ("lamp", "unix", "switch")  # in this order: a GSA has the first sequence numbers of the senders behind it alone


class ByteStream:
    """Bytes from the bus or for it, as a stream for dice.transport.slip."""

    def __init__(self, data=b""):
        self.data = data

    def read(self, count):
        """Return the next bytes."""
        head, self.data = self.data[:count], self.data[count:]
        return head

    def write(self, data):
        """Append bytes."""
        self.data += bytes(data)
        return len(data)


def framed(datagram, recode=True):
    """Return the bytes that carry a datagram on the line."""
    tape = ByteStream()
    Serial(tape, recode=recode).send(datagram)
    return tape.data


def raw(bus, name):
    """Return all bytes that one node has sent on the bus."""
    return b"".join(data for who, data in list(bus.carried) if who == name)


def datagrams(bus, name):
    """Return all datagrams that one node has sent on the bus."""
    tape = ByteStream(raw(bus, name))
    line = Serial(tape)
    found = []
    while tape.data or line._rest:
        found.append(line.receive())
    return [datagram for datagram in found if datagram]


class BusNode:
    """A node as the test sees it: its `reports`, read from a stream with fileno()."""

    def __init__(self, name, out, write, check):
        self.name = name
        self.reports = []
        self._out = out
        self._write = write
        self._check = check
        self._rest = b""

    def write(self, line):
        """Send a line to the node's stdin."""
        self._write(line.encode() + b"\n")

    def _read(self):
        """Read new reports."""
        while select.select([self._out], (), (), 0)[0]:
            data = os.read(self._out.fileno(), 1 << 16)
            if not data:
                break
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.reports += [json.loads(line) for line in lines if line.strip().startswith(b"{")]

    def until(self, condition):
        """Wait until the reports fulfil a condition."""

        def met():
            self._check()
            self._read()
            return condition(self.reports)

        until(met, self.name, lambda: f"it reported only {self.reports[-5:]} {self._rest}")

    def on(self):
        """Return the commands that it has obeyed."""
        return [report["on"] for report in self.reports if "on" in report]

    def counts(self):
        """Return the counts of accepted and of dropped records, when they no longer change."""
        while True:
            answers = []
            for _ in range(2):
                self.reports = [report for report in self.reports if "accepted" not in report]
                self.write("counts")
                self.until(lambda reports: any("accepted" in each for each in reports))
                answers.append(self.reports[-1])
                time.sleep(0.3)
            if answers[0] == answers[1]:
                return answers[0]["accepted"], answers[0]["dropped"]


def of_board(board):
    """Return the BusNode of a board that runs bus_node.py as main.py."""
    return BusNode(board.name, board.console, board.console.sendall, board.check)


class UnixNode:
    """The node of the unix port: a process with the bus on a descriptor, or on the system's UDP."""

    def __init__(self, folder, on_bus=True):
        near, far = socket.socketpair()
        far.setblocking(False)
        self.line = near
        environment = unix_port.environment(f"{resources.LIB}:{resources.EXAMPLES}")
        argv = [unix_port.find(), str(HERE / "bus_node.py"), *[str(far.fileno())] * on_bus]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, cwd=folder, env=environment, stdin=pipe, stdout=pipe, pass_fds=[far.fileno()])
        far.close()
        self.node = BusNode("unix", self.process.stdout, self._write, self._check)

    def _write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def _check(self):
        assert self.process.poll() is None, "the node of the unix port has stopped"

    def close(self):
        """End the process."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.line.close()


class GroupOnBus:
    """The bus, with a switch and a lamp on boards, and a lamp under the unix port; each may send."""

    def __init__(self, folder, firmware):
        self.bus = Bus()
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
            self.boards.append(EmulatedBoard(firmware, {**common, **self.files_of(name), "node.gsa": gsas[name]}, name=name))
        for board in self.boards:
            self.bus.join(board.name, board.uarts[0])
        self.add_unix(gsas["unix"].parent)
        for board in self.boards:
            board.power_on()
        self.switch, self.lamp = (of_board(board) for board in self.boards)
        self.nodes = [self.switch, self.lamp, self.unix.node]
        for node in self.nodes:
            node.until(lambda reports: {"ready": True} in reports)

    def files_of(self, name):
        """Return further files of a board."""
        return {}

    def add_unix(self, folder):
        """Start the node of the unix port in its folder."""
        self.unix = UnixNode(folder)
        self.bus.join("unix", self.unix.line)

    def _provision(self, folder):
        """Return {name: path of its GSA}."""
        group = self.group = group_file.new("street")
        paths = {name: folder / name / "node.gsa" for name in EXPORTED}
        for name in paths:
            group_file.add_sender(group, name)
        group_file.create(folder / "street.group", group)
        for name, path in paths.items():
            path.parent.mkdir()
            group_file.export(folder / "street.group", path, name)
        return paths

    def send(self, word, sender=None):
        """Send from a node, by default the switch, and wait until both others have obeyed."""
        sender = sender or self.switch
        listeners = [node for node in self.nodes if node is not sender]
        targets = [len(node.on()) + 1 for node in listeners]
        sender.write(word)
        for node, target in zip(listeners, targets):
            node.until(lambda _, node=node, target=target: len(node.on()) >= target)
            assert node.on()[-1] == (word == "on"), node.name

    def reboot(self, number):
        """Power a board on; return its new BusNode."""
        board = self.boards[number]
        board.power_on()
        node = of_board(board)
        node.until(lambda reports: {"ready": True} in reports)
        return node

    def close(self):
        """End all nodes."""
        self.bus.close()
        if self.unix:
            self.unix.close()
        for board in self.boards:
            board.close()


@pytest.fixture
def network(firmware, tmp_path):
    network = GroupOnBus(tmp_path, firmware)
    yield network
    network.close()


def until_counter(board, name, value):
    """Wait until a counter of epoch 1 in a board's flash has a value."""
    until(lambda: board.files().get(name, bytes(8))[:8] == (1 << 48 | value).to_bytes(8, "big"), name)


def test_the_bus_example_obeys_a_sender_and_ignores_forgeries(firmware, tmp_path):
    """firmware/examples/bus.py is main.py. A sender under CPython switches its lamp; an altered record does not."""
    group = group_file.new("street")
    group_file.add_sender(group, "host")
    group_file.create(tmp_path / "street.group", group)
    group_file.export(tmp_path / "street.group", tmp_path / "node.gsa")
    group_file.export(tmp_path / "street.group", tmp_path / "host.gsa", "host")
    host = Member(decode((tmp_path / "host.gsa").read_bytes()), FileStore(str(tmp_path)), 0)
    example = resources.EXAMPLES / "bus.py"
    with EmulatedBoard(firmware, {**files.dice(), "main.py": example, "node.gsa": tmp_path / "node.gsa"}) as board:
        counter = f"{group['gid']}r0001"
        until_counter(board, counter, 0)  # it has joined
        for number, word in enumerate((b"on", b"off", b"neither")):
            host.send(word, 0)
            datagram = bytearray(host.transmit())
            datagram[-1] ^= word == b"off"
            board.uarts[0].send(framed(datagram))
            if word != b"off":
                until_counter(board, counter, number + 1)  # it has counted the message
        # SIO_GPIO_OUT: the emulator does not feed a pin's output back into its input.
        output = board.run("import machine\nprint(machine.mem32[0xD0000010] >> 25 & 1, machine.Pin(14).value())")
    assert output == "1 1\n", "the lamp is on, and the button is not pressed"


def test_each_node_sends_and_both_others_receive(network):
    """A receiver does not obey the first record of a sender that was exported before it: the record may be a replay.

    The boards send recoded records, and the unix port whole ones. Both forms are the same to everybody.
    """
    for node in network.nodes:
        node.write("hello")
        node.until(lambda reports: {"sent": "hello"} in reports)
        time.sleep(0.2)
    for number in range(6):
        network.send("off" if number % 2 else "on", network.nodes[number % 3])
    counts = {node.name: node.counts() for node in network.nodes}
    assert counts == {"lamp": (2 + 4, {}), "unix": (1 + 4, {"first": 1}), "switch": (4, {"first": 2})}
    for sender_id, name in enumerate(EXPORTED, 1):
        sent = datagrams(network.bus, name)
        assert [datagram[5] for datagram in sent] == [sender_id] * 3
        assert [int.from_bytes(datagram[7:11], "big") for datagram in sent] == [0, 1, 2]
        frames = [frame for frame in raw(network.bus, name).split(b"\xc0") if frame]
        assert [frame[0] for frame in frames] == [0x17 if name == "unix" else 0x80] * 3, name


def attack(network, genuine):
    """Send replays, forgeries, fragments and noise on the bus; return the number of each kind."""
    forged = bytearray(genuine[-1])
    forged[9] ^= 0x40  # a sequence number never used
    flipped = [bytearray(forged) for _ in range(3)]
    for copy, at in zip(flipped, (13, 21, -1)):  # in the nonce, the ciphertext, the tag
        copy[at] ^= 1
    small = bytearray(recode(genuine[-1]))
    small[2] ^= 0x40  # a sequence number never used
    recoded = [bytearray(small) for _ in range(5)]
    for copy, at in zip(recoded, (0, 1, 2, 6, -1)):  # in the number, the ciphertext, the tag
        copy[at] ^= 1
    strangers = [bytearray(small) for _ in range(3)]
    for copy, at in zip(strangers, (3, 4, 5)):  # in the epoch, the SenderID
        copy[at] ^= 0x40
    flipped += [restore(bytes(frame)) for frame in recoded]
    malformed = [genuine[-1][:-1], genuine[-1][:5], b"junk"]
    network.bus.send(b"\xdb\xdb\x00noise")
    for datagram in [*genuine, *flipped, bytes(forged), *malformed, *[restore(bytes(frame)) for frame in strangers]]:
        network.bus.send(framed(datagram))
        time.sleep(0.05)
    for datagram in genuine:
        network.bus.send(framed(datagram, False))
        time.sleep(0.05)
    network.bus.send(b"\xc0" + b"\x55" * 3000 + b"\xc0\xdb\xc0")  # an endless frame, and a broken escape
    expected = {"replayed": 2 * len(genuine), "forged": len(flipped) + 1, "malformed": len(malformed)}
    return {**expected, "epoch": 2, "unknown": 1}


def assert_every_nonce_is_new(network):
    """Check all records of the switch on the bus. A power failure may have cut off the last datagram."""
    sent = [datagram for datagram in datagrams(network.bus, "switch") if record.well_formed(datagram)]
    nonces = [bytes(datagram[13:21]) for datagram in sent]
    assert len(nonces) > 100
    assert nonces == sorted(set(nonces)), "a nonce was repeated, or the counter restarted too low"


def test_a_group_on_a_bus_survives_attacks_and_power_failures(network):
    for word in ("on", "off", "on"):
        network.send(word)
    genuine = datagrams(network.bus, "switch")
    assert len(genuine) == 3 == len({bytes(datagram[3:11]) for datagram in genuine})

    expected = attack(network, genuine)
    for node in network.nodes[1:]:
        assert node.counts() == (3, expected), node.name
    network.send("off")

    network.boards[1].power_off()
    for number in range(3):
        before = len(datagrams(network.bus, "switch"))
        network.switch.write("burst 1000")
        wanted = before + 5 + 30 * number
        until(lambda wanted=wanted: len(datagrams(network.bus, "switch")) >= wanted, "the burst")
        network.boards[0].power_off()
        network.nodes[0] = network.switch = network.reboot(0)
    assert_every_nonce_is_new(network)

    network.nodes[1] = network.lamp = network.reboot(1)
    for datagram in genuine:
        network.bus.send(framed(datagram))  # the lamp has obeyed these before its power failed
        time.sleep(0.05)
    assert network.lamp.counts() == (0, {"replayed": 3})
    for word in ("on", "off"):
        network.send(word)
    assert network.lamp.counts()[0] == 2

    assert_every_nonce_is_new(network)
