# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A network for the demo and the tests: a Linux network namespace that has only the loopback interface.

It needs no root if user namespaces are allowed. No datagram that is sent in it can reach a real network.
"""

import ctypes
import os
import socket
import struct
import time

from dicectl.errors import CommandError
from dicectl.system import require_linux

ADDRESS6 = "fd00::1"
_INTERFACE6 = "ipv6"
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCADDRT = 0x890B
_RTF_UP = 1
_ETH_P_IP = 0x0800
_ETH_P_IPV6 = 0x86DD
_LINKTYPE_ETHERNET = 1
_SOL_PACKET = 263
_PACKET_STATISTICS = 6


class _RouteEntry(ctypes.Structure):
    """struct rtentry of <linux/route.h>."""

    _fields_ = [
        ("pad1", ctypes.c_ulong),
        ("dst", ctypes.c_ubyte * 16),
        ("gateway", ctypes.c_ubyte * 16),
        ("genmask", ctypes.c_ubyte * 16),
        ("flags", ctypes.c_ushort),
        ("pad2", ctypes.c_short),
        ("pad3", ctypes.c_ulong),
        ("pad4", ctypes.c_void_p),
        ("metric", ctypes.c_short),
        ("dev", ctypes.c_char_p),
        ("mtu", ctypes.c_ulong),
        ("window", ctypes.c_ulong),
        ("irtt", ctypes.c_ushort),
    ]


def _unshare(flags):
    if ctypes.CDLL(None, use_errno=True).unshare(flags):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)


def _inet(text):
    """Return struct sockaddr_in as an array for _RouteEntry."""
    return (ctypes.c_ubyte * 16)(*struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(text)))


def _unshare_network():
    uid, gid = os.getuid(), os.getgid()
    try:
        _unshare(_CLONE_NEWNET)
    except PermissionError:
        _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")


def _refusal(number):
    return CommandError(
        f"cannot make a network namespace ({os.strerror(number)}): run as root, or allow user namespaces "
        "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; in a container "
        "--cap-add SYS_ADMIN)"
    )


def check():
    """Raise CommandError if enter() would: before work that takes long, and needs the network that enter() leaves."""
    require_linux("a network namespace")
    child = os.fork()
    if not child:
        number = 0
        try:
            _unshare_network()
        except OSError as error:
            number = error.errno
        finally:
            os._exit(number)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number:
        raise _refusal(number)


def enter(ipv6=False):
    """Move this process, which has one thread, to a new namespace; raises CommandError.

    It has a route of 239.0.0.0/8 to `lo`. With `ipv6` it has none, but an interface with the IPv6 address ADDRESS6, because `lo`
    carries no IPv6 multicast.
    """
    require_linux("a network namespace")
    import fcntl

    from dicectl.net import links

    try:
        _unshare_network()
    except OSError as error:
        raise _refusal(error.errno)
    links.set_up("lo")
    if ipv6:
        links.add_cable(_INTERFACE6, ADDRESS6)
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        route = _RouteEntry(dst=_inet("239.0.0.0"), genmask=_inet("255.0.0.0"), flags=_RTF_UP, dev=b"lo")
        fcntl.ioctl(control, _SIOCADDRT, bytes(route))


class Tap:
    """Captures every datagram that is sent to a UDP port, as any device on a shared network could.

    The network is `lo` and IPv4, or, with `ipv6`, the far end of the interface of enter(ipv6=True), where multicast arrives.
    """

    def __init__(self, port, ipv6=False):
        self.frames = []  # (seconds, Ethernet frame)
        self._port = port
        interface, protocol = (_INTERFACE6 + "x", _ETH_P_IPV6) if ipv6 else ("lo", _ETH_P_IP)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        self._socket.bind((interface, protocol))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setblocking(False)

    def fileno(self):
        """Return the descriptor for select."""
        return self._socket.fileno()

    def read(self):
        """Return the new datagrams, a list of (source port, payload)."""
        datagrams = []
        while True:
            try:
                frame = self._socket.recv(1 << 16)
            except BlockingIOError:
                return datagrams
            ipv6 = frame[14] >> 4 == 6
            udp = frame[14 + (40 if ipv6 else (frame[14] & 0xF) * 4) :]  # after the Ethernet and IP headers
            if frame[20 if ipv6 else 23] != socket.IPPROTO_UDP or struct.unpack("!H", udp[2:4])[0] != self._port:
                continue
            self.frames.append((time.time(), frame))
            datagrams.append((struct.unpack("!H", udp[:2])[0], udp[8:]))

    def lost(self):
        """Return how many frames the kernel dropped since the last call, because they were not read in time."""
        return struct.unpack("=II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]

    def write_pcap(self, file):
        """Write all frames to an open binary file in the libpcap format, version 2.4, for Wireshark."""
        file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 16, _LINKTYPE_ETHERNET))
        for seconds, frame in sorted(self.frames):
            whole = int(seconds)
            file.write(struct.pack("=IIII", whole, int((seconds - whole) * 1e6), len(frame), len(frame)) + frame)

    def close(self):
        """Stop capturing."""
        self._socket.close()
