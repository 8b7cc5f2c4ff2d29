# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Addresses of groups, the address of this computer, and captures of both families."""

import io
import ipaddress
import struct

import pytest
from click.testing import CliRunner

from dicectl.__main__ import cli
from dicectl.errors import CommandError
from dicectl.net import address, pcapng

GOOD = ["224.0.0.1", "239.255.255.255", "ff15::abc", "ff02::1", "ff35:40:2001:db8::1", "ff1e::1", "ff11::1", "ff13::1", "ff18::1"]
BAD = ["", "lamps", "192.0.2.1", "240.0.0.1", "::", "fe80::1", "2001:db8::1", "::ffff:239.1.2.3", "ff15::1%eth0", "239.1.2"]
RESERVED = [f"ff1{scope:x}::1" for scope in (0, 6, 7, 9, 10, 11, 12, 13, 15)]


@pytest.mark.parametrize("text", GOOD)
def test_a_multicast_address_of_either_family_is_one_of_a_group(text):
    packed = address.packed(text)
    assert packed == ipaddress.ip_address(text).packed
    assert address.text_of(packed) == text


@pytest.mark.parametrize("text", BAD + RESERVED)
def test_other_addresses_are_refused(text):
    with pytest.raises(ValueError):
        address.packed(text)


def test_random_addresses_are_of_the_scopes_for_it():
    """Local scope of IPv4; transient, of site scope and with a dynamic group id for IPv6."""
    drawn = {address.draw(ipv6) for ipv6 in (False, True) for _ in range(100)}
    for text in drawn:
        packed = address.packed(text)
        if len(packed) == 4:
            assert packed[:2] == bytes((239, 255)) and 1 <= packed[3] <= 254
        else:
            assert packed[:2] == b"\xff\x15" and packed[12] & 0x80
    assert len(drawn) > 190


class Probe:
    """A double of a socket in networks where `routes` has the source address of each target."""

    def __init__(self, routes):
        self._routes = routes

    def __call__(self, family, kind):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def connect(self, target):
        if target[0] not in self._routes:
            raise OSError(101, "Network is unreachable")
        self._source = self._routes[target[0]]

    def getsockname(self):
        return self._source, 9


@pytest.mark.parametrize(
    "routes, found",
    [
        ({"239.255.0.1": "192.0.2.7", "2001:db8::1": "2001:db8::7"}, "192.0.2.7"),
        ({"2001:db8::1": "2001:db8::7", "ff05::1": "fe80::7"}, "2001:db8::7"),
        ({"ff05::1": "fd00::7"}, "fd00::7"),
        ({"ff05::1": "fe80::7"}, "127.0.0.1"),
        ({}, "127.0.0.1"),
    ],
)
def test_the_address_of_this_computer_is_one_that_others_can_use(monkeypatch, routes, found):
    """In networks with both families, with one, and with none."""
    monkeypatch.setattr(address.socket, "socket", Probe(routes))
    assert address.own() == found


def _sum(data):
    """Return the ones' complement sum of 16-bit words; it is FFFF where a checksum is right."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return total % 0xFFFF or (0xFFFF if total else 0)


@pytest.mark.parametrize("size", [0, 1, 8, 1201])
def test_packets_of_a_capture_have_headers_that_are_right(size):
    payload = bytes(range(256)) * 5
    payload = payload[:size]
    for source, target in (("192.0.2.7", "239.1.2.3"), ("fe80::7", "ff15::abc")):
        source, target = ipaddress.ip_address(source).packed, ipaddress.ip_address(target).packed
        packet = pcapng._ip_udp(payload, (source, 49_152), (target, 50_000))
        if len(target) == 4:
            assert _sum(packet[:20]) == 0xFFFF and packet[9] == 17 and packet[12:20] == source + target
            assert struct.unpack("!H", packet[2:4])[0] == len(packet)
            udp = packet[20:]
        else:
            assert packet[:4] == b"\x60\0\0\0" and packet[6] == 17 and packet[8:40] == source + target
            udp = packet[40:]
            assert struct.unpack("!H", packet[4:6])[0] == len(udp)
            assert _sum(source + target + struct.pack("!II", len(udp), 17) + udp) == 0xFFFF
            assert udp[6:8] != b"\0\0"
        assert struct.unpack("!HHH", udp[:6]) == (49_152, 50_000, 8 + size) and udp[8:] == payload


def test_a_capture_of_both_families_is_written():
    file = io.BytesIO()
    writer = pcapng.Writer(file)
    for source, target in ((bytes(4), bytes(4)), (bytes(16), bytes(16))):
        writer.packet(0, b"payload", (source, 1), (target, 2), "comment")
    assert file.getvalue().count(b"payload") == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "239.1.2.3", "ff15::1", "255.255.255.255"])
def test_devices_are_given_no_address_that_no_computer_has(host):
    """D7: where no route exists, devices were provisioned with 0.0.0.0."""
    with pytest.raises(CommandError, match="no address of one computer"):
        address.served(host)


def test_devices_are_given_names_and_addresses():
    assert [address.served(host) for host in ("manager.example", "10.0.0.1", "fd00::1", "127.0.0.1")] == [
        "manager.example",
        "10.0.0.1",
        "fd00::1",
        "127.0.0.1",
    ]


@pytest.mark.parametrize(
    "host", ["192.168.1.10", "fd00::1", "fe80::1%eth0", "manager.example.org", "manager.local", "127.0.0.1", "::1"]
)
def test_an_address_for_devices_is_worth_a_hint(host):
    """D7: it is written into each device, and the manager can move only with its address."""
    done = CliRunner().invoke(cli, ["manager", "unit", "--host", host])
    is_address = host.startswith(("192", "f"))
    assert done.exit_code == 0 and ("hint: devices keep" in done.stderr) == is_address and "hint" not in done.stdout
    assert done.stderr.count("\n") <= 2
