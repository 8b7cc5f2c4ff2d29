# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The heap that each side needs for flights of several KB, measured on the unix port, where pointers have 8 bytes."""

import json
import subprocess
from pathlib import Path

import pytest

from dicectl import resources
from dicectl.firmware import unix_port

FOLDER = Path(__file__).resolve().parent
BYTES_MAX = 4608
HELD_MAX_BYTES = 5120  # beside the certificates: session, role, exchange, and a message that is short
CALL_MAX_BYTES = 24 * 1024  # the same in one call, with garbage; in addition, copies of a certificate


@pytest.mark.parametrize("server, client", [(4096, 256), (256, 4096), (4096, 4096), (512, 512)])
def test_each_side_holds_one_flight_and_one_certificate(server, client):
    path = ":".join(map(str, (resources.LIB, FOLDER.parent / "portable")))
    command = [unix_port.find(), "-X", "heapsize=512k", FOLDER / "heap_of_flights.py", server, client, BYTES_MAX]
    done = subprocess.run([*map(str, command)], env=unix_port.environment(path), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads(done.stdout)
    assert measured["connected"] == [True, True]
    for held in measured["held"]:
        assert held - max(server, client) > 2048 and held <= server + client + HELD_MAX_BYTES, measured
    for call in measured["call"]:
        assert call <= 4 * max(server, client) + CALL_MAX_BYTES, measured
