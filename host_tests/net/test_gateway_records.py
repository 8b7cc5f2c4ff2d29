# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Records at a gateway: recoded on the bus, whole on the network and in captures. The gateway has no keys."""

import errno
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from dice.group.context import Context
from dice.group.gsa import DERIVE_SENDER, K08, Gsa
from dice.suites import PSK_AES_128_CCM_8
from dice.transport.slip import Serial
from dice.transport.slip_ip import packet, parse
from dicectl.cli import gateway as gateway_command
from dicectl.errors import CommandError
from host_tests.net.test_gateway import GROUP, KEY, GatewayLine
from host_tests.patience import PATIENCE_S, until


def carry_record(recode):
    """Carry a record and an answer over a gateway; return what is on the network, and the frames on the bus."""
    record = context_of_a_sender().seal(5, b"on")
    with GatewayLine(recode=recode) as bus, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        peer.settimeout(PATIENCE_S)
        peer.bind(GROUP)
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP[0]) + socket.inet_aton("127.0.0.1"))
        line = Serial(bus.near, 1300, False)
        node, group = b"\x0a\x4d\0\1\x15\xe0", socket.inet_aton(GROUP[0]) + GROUP[1].to_bytes(2, "big")
        line.send(packet(node, group, record, True))
        seen, source = peer.recvfrom(2000)
        frames = []
        for target in (source, GROUP):  # an answer, and a message of a member on the network
            peer.sendto(record if target == source else record[:-1] + b"x", target)
            poll = select.poll()
            poll.register(bus.near, select.POLLIN)
            frame = None
            while not frame and poll.poll(PATIENCE_S * 1000):
                frame = line.receive()
            frames.append(frame)
        return record, seen, frames


def context_of_a_sender():
    """Return a Context of a group of one sender."""
    return Context(
        Gsa(
            gid=bytes(4), address=socket.inet_aton(GROUP[0]), port=GROUP[1], suite=PSK_AES_128_CCM_8, layout=K08,
            derive=DERIVE_SENDER, epoch=1, key=KEY, own_id=1, own_next=0, lifetime_s=0, budget=1000, senders=[(1, 0)], fresh=True,
        )
    )  # fmt: skip


def test_records_are_whole_on_the_network_and_recoded_on_the_bus(in_network):
    """So Wireshark and everything else on the network reads the bytes that the member has sealed. The gateway has no keys."""
    for recode, sizes in ((True, [31, 31]), (False, [59, 59])):
        record, seen, frames = in_network(carry_record, recode)
        assert seen == record
        assert [len(frame) for frame in frames] == sizes
        assert [parse(frame)[2] for frame in frames] == [record, record[:-1] + b"x"]


def capture_with_the_command(capture, peer_port):
    """Run `dicectl gateway` on a terminal; a node sends a record in both forms, and gets one back. Return its last words."""
    record = context_of_a_sender().seal(7, b"on")
    master, slave = pty.openpty()
    argv = [sys.executable, "-m", "dicectl", "gateway", os.ttyname(slave), "--pcapng", str(capture)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", peer_port))
        peer.settimeout(PATIENCE_S)
        process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        assert "forwarding" in process.stderr.readline()
        with open(master, "r+b", buffering=0) as stream:
            line = Serial(stream, 1300, False)
            target = socket.inet_aton("127.0.0.1") + peer_port.to_bytes(2, "big")
            for records in (True, False):
                line.send(packet(b"\x0a\x4d\0\1\x15\xe0", target, record, records))
                seen, source = peer.recvfrom(2000)
                assert seen == record
            peer.sendto(record, source)
            frame = None
            while not frame:
                frame = line.receive()
            assert parse(frame)[2] == record and len(frame) == 31
            until(lambda: capture.read_bytes().count(b"bytes on the bus") == 3, "the capture")
            process.send_signal(signal.SIGINT)
            return process.communicate()[1]


def test_wireshark_reads_recoded_records_in_the_capture_of_the_command(in_network, tmp_path):
    capture = tmp_path / "bus.pcapng"
    assert "to network 2, to bus 1, dropped 0" in in_network(capture_with_the_command, capture, 5684)
    if not shutil.which("tshark"):
        pytest.skip("no tshark: apt-get install tshark")
    fields = ("ip.src", "dtls.record.epoch", "dtls.record.sequence_number", "frame.comment")
    argv = ["tshark", "-r", str(capture), "-d", "udp.port==5684,dtls", "-T", "fields", "-E", "separator=|"]
    done = subprocess.run([*argv, *[part for field in fields for part in ("-e", field)]], capture_output=True, text=True)
    number = (1 << 40) + 7
    assert done.stdout.splitlines() == [
        f"10.77.0.1|1|{number}|31 bytes on the bus, recoded",
        f"10.77.0.1|1|{number}|59 bytes on the bus, IP",
        f"127.0.0.1|1|{number}|31 bytes on the bus, recoded",
    ]


def test_a_capture_overwrites_no_file_and_does_not_end_the_gateway(tmp_path):
    (tmp_path / "kept").write_bytes(b"kept")
    done = CliRunner().invoke(gateway_command.command, ["/dev/null", "--pcapng", str(tmp_path / "kept")])
    assert isinstance(done.exception, CommandError | SystemExit) and (tmp_path / "kept").read_bytes() == b"kept"
    capture = gateway_command._Capture(str(tmp_path / "new"))

    def full(*packet):
        raise OSError(errno.ENOSPC, "no space left")

    capture._writer.packet = full
    for _ in range(2):
        capture((bytes(4), 1), (bytes(4), 2), b"", "text")
