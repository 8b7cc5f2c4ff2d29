# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What a group member takes of the heap, measured on the unix port, where a pointer has 8 bytes: a board needs about half."""

import json
import subprocess
from pathlib import Path

import pytest

from dice import record
from dice.codes import CONTENT_APPLICATION_DATA
from dice.group.gsa import DERIVE_SHARED, K08, Gsa
from dice.group.gsa_encode import encode
from dice.limits import DATAGRAM_MAX_BYTES, RECORD_OVERHEAD_MAX_BYTES
from dice.suites import PSK_AES_128_CCM_8, SUITES
from dicectl import resources
from dicectl.firmware import mpy
from dicectl.firmware import unix_port as micropython

FOLDER = Path(__file__).resolve().parent
MEMBER_MAX_BYTES = 2 * 1536  # beyond its modules, with 8 senders: 1.5 KB on a board
HEARD_MAX_BYTES = MEMBER_MAX_BYTES + 512  # the same once every window is in use, and every kind of drop has been counted
BLOCKS_BYTES = 64  # two blocks of the unix port's heap, which a stale pointer on the stack may keep
SMALL_HEAP = "64k"
RECORDS = 12_500  # a fifth is forged


def run(arguments, environment, folder):
    """Return the JSON object that a script prints under MicroPython."""
    command = [micropython.find(), *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def member(*arguments):
    """Return what heap_of_a_member.py measures."""
    return run([resources.ON_DEVICE / "heap_of_a_member.py", *arguments], micropython.environment(), FOLDER)


@pytest.mark.parametrize("derive", ["sender", "shared"])
@pytest.mark.parametrize("role", ["own", "listener"])
def test_idle_member_with_8_senders_is_small(derive, role):
    measured = member("idle", derive, role)
    idle, heard = measured["idle"], measured["heard"]
    figures = f"{idle} bytes after joining, {heard} once it has a full window of each sender; {MEMBER_MAX_BYTES} allowed"
    assert measured["accepted"] >= 500, measured
    assert 1000 < idle <= MEMBER_MAX_BYTES, figures
    assert idle < heard <= HEARD_MAX_BYTES, figures


def test_10_000_records_leave_nothing_behind():
    measured = member("steady", RECORDS)
    grown = measured["after"] - measured["before"]
    assert measured["accepted"] >= 10_000, measured
    assert min(measured["dropped"]["forged"], measured["dropped"]["replayed"]) >= 2000, measured
    assert abs(grown) <= BLOCKS_BYTES, f"{grown} bytes more after {measured['accepted']} messages: {measured}"


def write_group(folder, messages):
    """Put into `folder` the GSA of device 3, and what device 5 sends to the group."""
    key = bytearray(range(20))
    senders = [(i, 1 << 48) for i in range(8)]
    gsa = Gsa(
        gid=b"abcd",
        address=b"\xef\x01\x02\x03",
        port=5684,
        suite=PSK_AES_128_CCM_8,
        layout=K08,
        derive=DERIVE_SHARED,
        epoch=1,
        key=key,
        own_id=3,
        own_next=1 << 48,
        lifetime_s=0,
        budget=1000,
        senders=senders,
        fresh=True,
    )
    (folder / "group.gsa").write_bytes(encode(gsa))
    with open(folder / "network", "wb") as file:
        for sequence, message in enumerate(messages):
            datagram = record.seal(
                SUITES[PSK_AES_128_CCM_8], key[:16], key[16:], CONTENT_APPLICATION_DATA, 1, 5 << 40 | sequence, message
            )
            file.write(len(datagram).to_bytes(2, "big") + datagram)


def test_64_kb_of_heap_are_enough_for_the_longest_messages(tmp_path):
    micropython.compile_to(tmp_path)  # a board does not compile either
    (tmp_path / "endpoint.mpy").write_bytes(mpy.compile_here(FOLDER / "heap_of_the_endpoint.py", "endpoint.py", None))
    longest = DATAGRAM_MAX_BYTES - RECORD_OVERHEAD_MAX_BYTES
    write_group(tmp_path, [bytes(longest)] * 20)
    received = run(["-X", f"heapsize={SMALL_HEAP}", "-m", "endpoint"], micropython.environment(tmp_path), tmp_path)
    assert received == [[5, longest, 13 + 8 + longest + 8]] * 20


def test_64_kb_cannot_hold_a_managed_node_here(tmp_path):
    """Not even its modules fit, as .mpy files and with pointers of 8 bytes: so the demo gives more.

    The demo's RP2040, with pointers of 4 bytes and dice in its firmware, has 64 KB.
    """
    micropython.compile_to(tmp_path)
    modules = (
        "import gc, node, link\n"
        "import dice.aio.group, dice.aio.managed, dice.aio.session\n"
        "import dice.dtls.client, dice.dtls.kx_psk, dice.dtls.session, dice.transport.udp\n"
        "import dice.group.member\n"
        "gc.collect()\n"
        "print(gc.mem_alloc())"
    )

    def loading(heap):
        argv = [micropython.find(), "-X", f"heapsize={heap}", "-c", modules]
        return subprocess.run(argv, env=micropython.environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=30)

    for heap in ("64k", "80k"):
        assert "MemoryError" in loading(heap).stdout
    assert int(loading("160k").stdout) > 80 * 1024
