# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""transport/udp on boards: doubles of their modules `socket`, by ports/esp32/modsocket.c and extmod/modlwip.c (1.25)."""

import errno
import types

import pytest

from dice.transport import udp
from dice.transport.udp import Multicast, Unicast

GROUP4 = bytes((239, 1, 2, 3))
GROUP6 = bytes.fromhex("ff150000000000000000000000000abc")


class BoardSocket:
    """A socket of a board: it records what is asked of it."""

    def __init__(self, *arguments):
        self.asked = [("socket", *arguments)]

    def __getattr__(self, name):
        return lambda *arguments: self.asked.append((name, *arguments))


def board(getaddrinfo):
    module = types.SimpleNamespace(AF_INET=2, SOCK_DGRAM=2, SOL_SOCKET=1, SO_REUSEADDR=4, IP_ADD_MEMBERSHIP=0x400, AF_INET6=10)
    module.socket = BoardSocket
    module.getaddrinfo = getaddrinfo
    return module


def esp32(host, port):
    """Return what an ESP32 returns: no address for IPv6."""
    return [(10, 1, 0, host, None)] if ":" in host else [(2, 1, 0, host, (host, port))]


def pico_w(host, port):
    """Return what a Pico W returns: the family is that of IPv4, whatever the address is."""
    return [(2, 1, 0, "", (host, port))]


@pytest.mark.parametrize("getaddrinfo", [esp32, pico_w])
def test_boards_serve_and_join_groups_on_ipv4(monkeypatch, getaddrinfo):
    monkeypatch.setattr(udp, "socket", board(getaddrinfo))
    assert Unicast(None, 5684).socket.asked[-1] == ("bind", ("0.0.0.0", 5684))
    asked = Multicast(GROUP4, 50_000).socket.asked
    assert asked[-3:] == [
        ("setsockopt", 1, 4, 1),
        ("bind", ("0.0.0.0", 50_000)),
        ("setsockopt", 0, 0x400, GROUP4 + bytes(4)),
    ]
    group = Multicast(GROUP4, 50_000)
    before = group.socket
    group.renew()
    assert group.socket is before and before.asked[-2:] == asked[-1:] * 2, "joined again, by the same socket"
    client = Unicast(("192.0.2.7", 5684))
    client.send(b"hello")
    assert client.socket.asked[-1] == ("sendto", b"hello", ("192.0.2.7", 5684))
    with pytest.raises(OSError) as raised:
        Multicast(GROUP6, 50_000)
    assert raised.value.args == (errno.EAFNOSUPPORT,)


@pytest.mark.parametrize("number", [6, 22])
def test_a_group_that_is_joined_before_wifi_says_what_to_do(monkeypatch, number):
    """lwIP has no interface then: ERR_VAL, which an ESP32 reports as number 6, and a Pico W as EINVAL."""

    class NotConnected(BoardSocket):
        closed = 0

        def setsockopt(self, level, option, value):
            if option == 0x400 and not self.up:
                raise OSError(number)

        def close(self):
            NotConnected.closed += 1

    NotConnected.up = False
    module = board(esp32)
    module.socket = NotConnected
    monkeypatch.setattr(udp, "socket", module)
    with pytest.raises(OSError, match="connect Wi-Fi first") as raised:
        Multicast(GROUP4, 50_000)
    assert raised.value.errno == number and NotConnected.closed == 1
    NotConnected.up = True
    group = Multicast(GROUP4, 50_000)
    NotConnected.up = False
    with pytest.raises(OSError, match="connect Wi-Fi first"):
        group.renew()
    assert NotConnected.closed == 1, "a group that renews its membership goes on with its socket"


def test_an_esp32_says_that_it_has_no_ipv6(monkeypatch):
    monkeypatch.setattr(udp, "socket", board(esp32))
    with pytest.raises(OSError) as raised:
        Unicast(("2001:db8::1", 5684))
    assert raised.value.args == (errno.EAFNOSUPPORT,)


def test_a_pico_w_connects_over_ipv6_from_a_socket_that_was_bound_to_it(monkeypatch):
    monkeypatch.setattr(udp, "socket", board(pico_w))
    client = Unicast(("2001:db8::1", 5684))
    client.send(b"hello")
    assert client.socket.asked[-2:] == [("bind", ("::", 0)), ("sendto", b"hello", ("2001:db8::1", 5684))]
