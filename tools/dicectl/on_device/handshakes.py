# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The handshakes of `dicectl bench`, in virtual time over networks that lose datagrams; needs dice and lossy_network on its path.

Prints JSON lines: {"round", "rounds"} for each network, and {"name": bytes of the server's name in the hello, "mtu": longest
datagram in bytes, "loss": per cent, "handshakes": how many were tried, "connected": how many of them ended with both sides
connected, and of those "ms", "datagrams" and "bytes" on the wire: [median, 90th percentile, maximum]}. All is drawn from seeds, so
it is the same in each run. An argument `quick` tries few.
"""

import json
import sys

from lossy_network import NAME, Network

LOSSES = (0, 10, 20, 30, 50)
KINDS = ((b"", 1232), (NAME, 1232), (NAME, 256), (NAME, 128))  # without a name no message is longer than 128 bytes


def spread(values):
    """Return [median, 90th percentile, maximum] of a list."""
    values = sorted(values)
    return [values[len(values) // 2], values[len(values) * 9 // 10], values[-1]]


def measure(name, mtu, loss, count):
    """Return the line of one network. Every second handshake swaps datagrams; every second pair of handshakes duplicates them."""
    networks = [Network(seed, loss, seed & 1, seed & 2, mtu, server_name=name).run() for seed in range(count)]
    good = [network for network in networks if all(network.connected)]
    line = {"name": len(name), "mtu": mtu, "loss": loss, "handshakes": count, "connected": len(good)}
    for what in ("ms", "datagrams", "bytes"):
        line[what] = spread([getattr(network, what) for network in good])
    return line


def main(quick):
    """Measure and print the lines."""
    cells = [(name, mtu, loss) for name, mtu in KINDS for loss in LOSSES]
    lines = []
    for name, mtu, loss in cells:
        lines.append(measure(name, mtu, loss, 20 if quick else 500))
        print(json.dumps({"round": len(lines), "rounds": len(cells)}), flush=True)
    for line in lines:
        print(json.dumps(line))


main("quick" in sys.argv[1:])
