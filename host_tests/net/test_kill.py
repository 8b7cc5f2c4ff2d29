# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A sender killed at random points, hundreds of times, never uses a nonce twice: shown from what was on the wire."""

import random
import subprocess
import time
from pathlib import Path

from dice import record
from dice.group.gsa import decode
from dicectl.firmware import unix_port
from dicectl.manager import group_file
from dicectl.net import namespace
from host_tests.patience import until

KILLS = 240  # or more, on a machine where too few fall into a take-over
KILLS_MAX = 1200
KILLS_A_GROUP = 10  # every tenth start takes over a fresh GSA
TAKE_OVERS_MIN = 7  # so many kills between its first write and its last
PORT = 50_000  # of all groups, so that one tap hears them


def _new_group(folder):
    folder.mkdir()
    group = group_file.new("lamps", port=PORT)
    group_file.add_sender(group, "switch")
    group_file.create(folder / "lamps.group", group)
    group_file.export(folder / "lamps.group", folder / "switch.gsa", "switch")


def _start_and_kill(folder, code, number, has_sent):
    """Run the sender for a while that begins with its take-over of a GSA, with its process, when it has joined, or has sent."""
    argv = [unix_port.find(), str(Path(__file__).parent / "kill_sender.py"), str(number)]
    process = subprocess.Popen(argv, cwd=folder, env=unix_port.environment(code), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if number % KILLS_A_GROUP == 0:
        while len(list(folder.iterdir())) == 2 and process.poll() is None:
            pass
        time.sleep(random.uniform(0, 0.005))
    elif number % 2 == 0:
        time.sleep(random.uniform(0, 0.1))
    else:
        assert process.stdout.readline() == b"ready\n", process.stderr.read().decode()
        if number % 4 == 1:
            until(has_sent, "the first record")
        time.sleep(random.expovariate(1 / 0.01))
    process.kill()
    _, stderr = process.communicate()
    assert not stderr, stderr.decode()


def _taking_over(folder):
    """Tell whether the kill came between the first write and the end of the take-over."""
    return decode((folder / "switch.gsa").read_bytes()).fresh and len(list(folder.iterdir())) > 2


def _kill_often(folder):
    """Start and kill senders again and again; return what was on their network, as (group, datagrams) of each start, and more."""
    unix_port.compile_to(folder / "code")
    tap = namespace.Tap(PORT)
    random.seed(1)
    starts = []
    interrupted = 0
    for number in range(KILLS_MAX):
        if number >= KILLS and interrupted >= TAKE_OVERS_MIN:
            break
        home = folder / str(number // KILLS_A_GROUP)
        if number % KILLS_A_GROUP == 0:
            _new_group(home)
        datagrams = []

        def has_sent(datagrams=datagrams):
            datagrams += tap.read()
            return bool(datagrams)

        _start_and_kill(home, folder / "code", number, has_sent)
        interrupted += _taking_over(home)
        has_sent()
        starts.append((home.name, [payload for _, payload in datagrams]))
    return starts, interrupted, tap.lost()


def test_no_nonce_repeats_whenever_the_power_fails(in_network, tmp_path):
    """SIGKILL at random points: while a GSA is taken over, while the store is written, before sending, between two records."""
    starts, interrupted, lost = in_network(_kill_often, tmp_path)
    sent = sum(bool(datagrams) for _, datagrams in starts)
    print(f"{interrupted} kills while a GSA was taken over, {sent} after something was sent")
    assert lost == 0
    assert len(starts) >= KILLS
    assert sent >= KILLS // 4 and interrupted >= TAKE_OVERS_MIN, "too few such kills: the test shows nothing"
    assert all(record.well_formed(datagram) for _, datagrams in starts for datagram in datagrams)
    nonces = [(int(group), bytes(datagram[13:21])) for group, datagrams in starts for datagram in datagrams]
    assert nonces == [(int(group), bytes(datagram[3:11])) for group, datagrams in starts for datagram in datagrams]
    assert len(set(nonces)) == len(nonces)
    assert nonces == sorted(nonces), "after a start, counting went on below the mark"
