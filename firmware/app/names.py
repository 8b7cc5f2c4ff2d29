# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Looks names up without stopping the program: MicroPython's getaddrinfo blocks until it has an answer, on a board for longer than
the watchdog waits, and meanwhile no message of a group is obeyed.

A board with Wi-Fi asks its name server itself (RFC 1035; RFC 6762, section 5.1, for names in .local). A computer asks its system,
in a thread. An address of each name is kept in a file until the name has others, so that a node needs no name server to start.
"""

import asyncio
import errno
import json
import os
import socket

from dice import read_file, replace_file

_DNS_PORT = 53
_MDNS = ("224.0.0.251", 5353)
_ASKED_MAX = 3  # times; an answer is awaited for 1, 2 and 3 s; once, if the one before was not answered at all
_POLL_S = 0.05
_SYSTEM_S = 30  # for an answer of the system
_HEADER_BYTES = 12
_TYPE_A = 1
_KEPT = "addresses"
_KEPT_MAX = 16
_silent = set()  # the name servers that did not answer last
_asked = {}  # {name: [] or [what the system says]} of threads


async def look_up(host, server=None):
    """Return an address of `host`, or a name that the system has just looked up; raises OSError.

    * `server`: the address of the name server, or "" if it is not known; None: ask the system.

    Without an answer it is one that was found last, also before the last reboot.
    """
    if ":" in host or not host.strip("0123456789."):
        return host
    try:
        if server is None:
            return await _by_system(host)
        addresses = await _by_server(host, server)
    except OSError:
        address = _kept().get(host)
        if address is None:
            raise
        return address
    if not addresses:
        return host  # it may have an address of IPv6, and a name server that answers lets the system wait no longer than we did
    _keep(host, addresses)
    return addresses[0]


async def _by_server(host, server):
    """Return the IPv4 addresses that a name server knows; raises OSError if it does not answer."""
    labels = host.encode().strip(b".").split(b".")
    name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    to = _MDNS if labels[-1] == b"local" else (server, _DNS_PORT)
    if not to[0]:
        raise OSError(errno.ENODEV)
    query = os.urandom(2) + b"\1\0\0\1" + bytes(6) + name + b"\0\1\0\1"  # recursion desired, one question: A, IN
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for seconds in range(1, 2 if to in _silent else _ASKED_MAX + 1):
            sock.sendto(query, to)
            for _ in range(int(seconds / _POLL_S)):
                await asyncio.sleep(_POLL_S)
                try:
                    data = sock.recv(512)
                except OSError:  # nothing yet
                    continue
                if data[:2] == query[:2] and data[2] & 0x80:
                    _silent.discard(to)
                    return _addresses(data, name)
    finally:
        sock.close()
    _silent.add(to)
    raise OSError(errno.ETIMEDOUT)


def _addresses(data, name):
    """Return the IPv4 addresses in the answer to our question."""
    found = []
    try:
        at = _HEADER_BYTES + (len(name) + 4 if data[5] else 0)  # mDNS may leave the question out
        for _ in range(data[7]):
            while 0 < data[at] < 0xC0:
                at += 1 + data[at]
            at += 2 if data[at] else 1  # a pointer, or the end
            if data[at + 1] == _TYPE_A and data[at + 9] == 4:
                found.append("%d.%d.%d.%d" % tuple(data[at + 10 : at + 14]))
            at += 10 + data[at + 8] * 256 + data[at + 9]
    except (IndexError, TypeError):  # too short
        pass
    return found


async def _by_system(host):
    """Return `host` once the system can look it up; raises OSError. A thread that hangs is not started again, but awaited again."""
    try:
        from _thread import start_new_thread
    except ImportError:
        return host
    answer = _asked.get(host)
    if answer is None:
        answer = _asked[host] = []
        start_new_thread(_ask_system, (host, answer))
    for _ in range(int(_SYSTEM_S / _POLL_S)):
        if answer:
            del _asked[host]
            if isinstance(answer[0], Exception):
                raise OSError(*answer[0].args)
            return host
        await asyncio.sleep(_POLL_S)
    raise OSError(errno.ETIMEDOUT)


def _ask_system(host, answer):
    try:
        answer.append(socket.getaddrinfo(host, _DNS_PORT))
    except Exception as error:
        answer.append(error)


def _kept():
    """Return {name: address} of the file."""
    try:
        return read_file(_KEPT, json.loads) or {}
    except Exception:  # it is damaged: as if it was not there
        return {}


def _keep(host, addresses):
    """Keep an address for the next start. One that is kept stays while the name has it: flash wears, and servers rotate them."""
    kept = dict(_kept())
    if kept.get(host) not in addresses:
        if len(kept) >= _KEPT_MAX:
            kept = {}
        kept[host] = addresses[0]
        try:
            replace_file(_KEPT, json.dumps(kept).encode())
        except Exception:  # the file system is full
            pass
