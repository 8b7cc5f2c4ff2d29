# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The heap that a group member needs, measured on the unix port. Pointers have 8 bytes there; a board needs about half."""

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
from dicectl.firmware import mpy, unix_port

FOLDER = Path(__file__).resolve().parent
MEMBER_MAX_BYTES = 2 * 1536  # with 8 senders, without the modules: 1.5 KB on a board
HEARD_MAX_BYTES = MEMBER_MAX_BYTES + 512  # when every window is in use and every kind of drop was counted
BLOCKS_BYTES = 64  # two blocks of the unix port's heap, which a stale pointer on the stack may retain
SMALL_HEAP = "64k"
RECORDS = 12_500  # a fifth of them forged


def run(arguments, environment, folder):
    """Return the JSON object that a script prints under MicroPython."""
    command = [unix_port.find(), *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def member(*arguments):
    """Return the measurements of heap_of_a_member.py."""
    return run([resources.ON_DEVICE / "heap_of_a_member.py", *arguments], unix_port.environment(), FOLDER)


@pytest.mark.parametrize("derive", ["sender", "shared"])
@pytest.mark.parametrize("role", ["own", "listener"])
def test_a_member_with_8_senders_stays_within_its_heap_budget(derive, role):
    measured = member("idle", derive, role)
    idle, busy = measured["idle"], measured["heard"]
    figures = f"{idle} bytes after joining, {busy} with a full window for each sender; {MEMBER_MAX_BYTES} allowed"
    assert measured["accepted"] >= 500, measured
    assert 1000 < idle <= MEMBER_MAX_BYTES, figures
    assert idle < busy <= HEARD_MAX_BYTES, figures


def test_10_000_records_leave_no_garbage_behind():
    measured = member("steady", RECORDS)
    grown = measured["after"] - measured["before"]
    assert measured["accepted"] >= 10_000, measured
    assert min(measured["dropped"]["forged"], measured["dropped"]["replayed"]) >= 2000, measured
    assert abs(grown) <= BLOCKS_BYTES, f"{grown} bytes more after {measured['accepted']} messages: {measured}"


def write_group(folder, messages):
    """Write into `folder` the GSA of device 3, and the datagrams of device 5."""
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
                SUITES[PSK_AES_128_CCM_8].cipher, key[:16], key[16:], CONTENT_APPLICATION_DATA, 1, 5 << 40 | sequence, message
            )
            file.write(len(datagram).to_bytes(2, "big") + datagram)


def test_the_longest_messages_are_exchanged_with_64_kb_of_heap(tmp_path):
    unix_port.compile_to(tmp_path)  # as on a board, nothing is compiled here
    (tmp_path / "endpoint.mpy").write_bytes(mpy.compile_here(FOLDER / "heap_of_the_endpoint.py", "endpoint.py", None))
    longest = DATAGRAM_MAX_BYTES - RECORD_OVERHEAD_MAX_BYTES
    write_group(tmp_path, [bytes(longest)] * 20)
    received = run(["-X", f"heapsize={SMALL_HEAP}", "-m", "endpoint"], unix_port.environment(tmp_path), tmp_path)
    assert received == [[5, longest, 13 + 8 + longest + 8]] * 20


def test_the_modules_of_a_managed_node_need_more_than_80_kb_here(tmp_path):
    """With pointers of 8 bytes and .mpy files they do not fit into 64 KB, so the demo uses a larger heap.

    The demo's RP2040, with pointers of 4 bytes and dice in its firmware, has 64 KB.
    """
    unix_port.compile_to(tmp_path)
    modules = (
        "import gc, node, link\n"
        "import dice.aio.group, dice.aio.managed, dice.aio.session\n"
        "import dice.dtls.client, dice.dtls.kx_psk, dice.dtls.session, dice.transport.udp\n"
        "import dice.group.member\n"
        "gc.collect()\n"
        "print(gc.mem_alloc())"
    )

    def loading(heap):
        argv = [unix_port.find(), "-X", f"heapsize={heap}", "-c", modules]
        return subprocess.run(argv, env=unix_port.environment(tmp_path), cwd=tmp_path, capture_output=True, text=True)

    for heap in ("64k", "80k"):
        assert "MemoryError" in loading(heap).stdout
    assert int(loading("160k").stdout) > 80 * 1024


_OPTIONS = """
import gc, json
from dice.coap import multicast
from dice.coap.message import CONTENT, GET
from dice.coap.resource import Router
from dice.limits import COAP_OPTIONS_MAX

router = Router({"light": {GET: lambda request, sender: (CONTENT, b"on")}})
head = b"\\x51\\x01\\x12\\x34t"
paths = bytes((0xb0,)) + bytes(COAP_OPTIONS_MAX - 1)  # empty Uri-Path options, as many as one message may have
found = []
for data in (head + b"\\xb5light", head + bytes(1190), head + paths, head + bytes((0xb0,)) + bytes(1189)):
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    request = multicast.parse(data)
    response = request and router(request, 5)
    found.append((response and response[0], gc.mem_alloc() - before))
    gc.enable()
print(json.dumps(found))
"""


def test_a_message_that_is_all_options_costs_little_memory(tmp_path):
    """1,187 options took more than 150 KB, and routing 1,150 segments of a path a string for each of its parents."""
    (tmp_path / "options.py").write_text(_OPTIONS)
    light, zeros, paths, more = run(["options.py"], unix_port.environment(), tmp_path)
    assert (light[0], zeros[0], paths[0], more[0]) == (0x45, None, 0x84, None)
    assert max(light[1], zeros[1], paths[1], more[1]) < 16 * 1024, (light, zeros, paths, more)
