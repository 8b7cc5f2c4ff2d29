# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A sender that is killed at random times, hundreds of times, never repeats a nonce; its datagrams on the wire prove it."""

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

KILLS = 240  # more, on a machine on which too few kills interrupt a take-over of a GSA
KILLS_MAX = 1200
KILLS_A_GROUP = 10  # every tenth start takes over a fresh GSA
TAKE_OVERS_MIN = 7  # the minimum of kills between the first and the last write of a take-over
PORT = 50_000  # the same for all groups, so that one tap records them


def _new_group(folder):
    folder.mkdir()
    group = group_file.new("lamps", port=PORT)
    group_file.add_sender(group, "switch")
    group_file.create(folder / "lamps.group", group)
    group_file.export(folder / "lamps.group", folder / "switch.gsa", "switch")


def _start_and_kill(folder, code, number, has_sent):
    """Run the sender for a random time that starts when its process starts, when it has joined, or when it has sent."""
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
    """Return whether the kill interrupted a take-over, between its first write and its end."""
    return decode((folder / "switch.gsa").read_bytes()).fresh and len(list(folder.iterdir())) > 2


def _kill_often(folder):
    """Start and kill senders repeatedly; return (group, datagrams) of each start, and the counts of kills."""
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


def test_no_nonce_repeats_although_the_sender_is_killed_at_any_time(in_network, tmp_path):
    """SIGKILL at random times: during a take-over of a GSA, a write to the store, before sending, and between two records."""
    starts, interrupted, lost = in_network(_kill_often, tmp_path)
    sent = sum(bool(datagrams) for _, datagrams in starts)
    print(f"{interrupted} kills while a GSA was taken over, {sent} after something was sent")
    assert lost == 0
    assert len(starts) >= KILLS
    assert sent >= KILLS // 4 and interrupted >= TAKE_OVERS_MIN, "too few such kills to prove anything"
    assert all(record.well_formed(datagram) for _, datagrams in starts for datagram in datagrams)
    nonces = [(int(group), bytes(datagram[13:21])) for group, datagrams in starts for datagram in datagrams]
    assert nonces == [(int(group), bytes(datagram[3:11])) for group, datagrams in starts for datagram in datagrams]
    assert len(set(nonces)) == len(nonces)
    assert nonces == sorted(nonces), "after a start, the numbers continued below the reserved ones"
