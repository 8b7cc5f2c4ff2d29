# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""tinydtls as a program: argv is role, port, identity; the key in hex comes in $DICE_PSK.

A server answers with "echo" and the message, a client sends "ask tinydtls"; both print what they receive. The end of standard input
closes.
"""

import os
import select
import socket
import sys
import time

from DTLSSocket import dtls

HOST = "::ffff:127.0.0.1"  # tinydtls' wrapper knows addresses of this kind only
_CONNECTED = 0x1DE


def main(role, port, identity):
    """Serve or connect until standard input ends."""
    out = sys.stdout.buffer
    wire = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    received, events = [], []

    def write(address, data):
        return wire.sendto(data, address)

    def read(address, data):
        received.append((address, data))
        return len(data)

    def event(level, code):
        out.write(b"event %d %d\n" % (level, code))
        events.append(code)

    name, key = identity.encode(), bytes.fromhex(os.environ["DICE_PSK"])
    end = dtls.DTLS(read=read, write=write, event=event, pskId=name, pskStore={name: key})
    peers = {}
    if role == "server":
        wire.bind((HOST, port))
    else:
        peers[HOST, port] = end.connect(HOST, port)
    next_check = time.monotonic() + 0.5
    while True:
        readable, _, _ = select.select([wire, sys.stdin], [], [], 0.1)
        if wire in readable:
            datagram, source = wire.recvfrom(2048)
            session = peers.setdefault(source[:2], dtls.Session(*source[:2])) if role == "server" else peers[HOST, port]
            end.handleMessage(session, datagram)
        if role == "client" and _CONNECTED in events:
            events.clear()
            end.write(peers[HOST, port], b"ask tinydtls\n")
        for address, data in received:
            out.write(data + b"\n")
            if role == "server":
                end.write(peers[address], b"echo " + data.removeprefix(b"ask ").removeprefix(b"GET "))
        received.clear()
        if time.monotonic() > next_check:
            end.checkRetransmit()
            next_check = time.monotonic() + 0.5
        out.flush()
        if sys.stdin in readable and not os.read(0, 1024):
            break
    for session in peers.values() if role == "client" else ():
        end.close(session)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
