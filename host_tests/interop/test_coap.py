# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP over DTLS: aiocoap and libcoap read, write and observe the resources of a node, and dice those of libcoap's server."""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import dice
from dice.aio.coap import Coap
from dice.coap.codes import CHANGED, CONTENT, CREATED, GET, PUT, URI_QUERY
from dice.dtls.kx_psk import Psk
from dice.errors import PeerError
from dice.group.gsa import decode
from dice.reasons import E_BLOCKS
from dicectl import resources
from dicectl.firmware import unix_port
from dicectl.manager import control
from host_tests.interop.peers.base import HOST, IDENTITY, KEY, PROGRAMS, Missing, free_port, is_bound, tool
from host_tests.interop.peers.pypi import environment
from host_tests.interop.peers.tinydtls import TinyDTLS

SECRET = b"libcoap: as text"  # as text for libcoap; tinydtls accepts at most 16 bytes
NODE = Path(__file__).with_name("coap_node.py")


@pytest.fixture(params=["CPython", "MicroPython"])
def node(request):
    """Start a node, return its port, and kill it in the end."""
    port = free_port()
    if request.param == "CPython":
        command, variables = [sys.executable, NODE], None
    else:
        command, variables = [unix_port.find(), "-X", "heapsize=512k", NODE], {"MICROPYPATH": f"{resources.LIB}:.frozen"}
    words = [*map(str, command), str(port), IDENTITY]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables) as process:
        process.stdin.write(SECRET.hex() + "\n")
        process.stdin.flush()
        try:
            assert process.stdout.readline() == "ready\n"
            yield port
        finally:
            process.kill()


def require_tool(name, provider="libcoap3-bin"):
    """Skip the test if a program is not installed."""
    try:
        return tool(name, provider)
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("build", ["openssl", "gnutls"])
def test_libcoap_client_reads_writes_and_observes_resources(node, build, tmp_path):
    require_tool(f"coap-client-{build}")
    long = tmp_path / "long"
    long.write_bytes(b"0123456789" * 150)

    def ask(path, *options):
        words = [
            f"coap-client-{build}",
            "-k",
            SECRET.decode(),
            "-u",
            IDENTITY,
            "-B",
            "10",
            *options,
            f"coaps://{HOST}:{node}/{path}",
        ]
        done = subprocess.run(words, capture_output=True)
        assert done.returncode == 0, done
        return done.stdout.strip()

    assert ask("time") == b"1"
    assert ask("time") == b"2"
    ask("shelf", "-m", "put", "-f", long)
    assert ask("shelf") == long.read_bytes()
    assert ask("slow") == b"late"
    assert ask(".well-known/core") == b"</shelf>,</slow>,</ticker>,</time>"
    assert ask("ticker", "-s", "1").replace(b"\n", b"") == b"tick 1tick 2tick 3tick 4"


def test_aiocoap_client_reads_writes_and_observes_resources(node):
    try:
        python = environment("aiocoap", TinyDTLS.tools)
    except Missing as missing:
        pytest.skip(str(missing))
    words = [python, PROGRAMS / "aiocoap_client.py", str(node), IDENTITY]
    done = subprocess.run(words, capture_output=True, text=True, env={"DICE_PSK": SECRET.hex()})
    assert done.returncode == 0, done.stderr
    responses = [json.loads(line) for line in done.stdout.splitlines()]
    assert responses == [
        ["2.05 Content", 1, "1"],
        ["2.04 Changed", 0, ""],
        ["2.05 Content", 2000, "0123456789" * 3 + "01"],
        ["4.04 Not Found", 0, ""],
        ["2.05 Content", 4, "late"],
        ["2.05 Content", 34, "</shelf>,</slow>,</ticker>,</time>"[:32]],
        *(["2.05 Content", 6, f"tick {number}"] for number in (1, 2, 3, 4)),
    ]


class UdpConnection:
    """The part of a session that Coap uses, over plain UDP: this is about CoAP."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((HOST, port))
        self.socket.setblocking(False)

    async def send(self, message):
        await asyncio.get_running_loop().sock_sendall(self.socket, bytes(message))

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await asyncio.get_running_loop().sock_recv(self.socket, 2048)

    def close(self):
        self.socket.close()


def test_bodies_of_an_aiocoap_server_are_of_one_version_and_one_query():
    """A resource that changes once while it is read is read again; one that always does is not read. Queries do not mix."""
    try:
        python = environment("aiocoap", TinyDTLS.tools)
    except Missing as missing:
        pytest.skip(str(missing))
    port = free_port()

    async def talk():
        coap = Coap(UdpConnection(port), blockwise=True)
        once = await coap.request(GET, "changes/once")
        failed = []
        for path in ("changes/twice", "changes/always"):
            with pytest.raises(PeerError) as caught:
                await coap.request(GET, path)
            failed.append(caught.value.reason)
        twice = await coap.request(GET, "changes/twice")  # it does not change any more
        log = await asyncio.gather(*(coap.request(GET, "log", options=[(URI_QUERY, b"n=%d" % n)]) for n in (1, 2)))
        puts = await asyncio.gather(*(coap.request(PUT, "shelf", b"%d" % n * 1500) for n in (1, 2)))
        shelf = await coap.request(GET, "shelf")
        coap.close()
        return once, failed, twice, log, puts, shelf

    words = [python, PROGRAMS / "aiocoap_server.py", str(port)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            once, failed, twice, log, puts, shelf = asyncio.run(talk())
        finally:
            process.kill()
    assert once.payload == b"1" * 1200 and twice.payload == b"3" * 1200
    assert failed == [E_BLOCKS, E_BLOCKS]
    assert [response.payload for response in log] == [b"n=1;" * 300, b"n=2;" * 300]
    assert [response.code for response in puts] == [CHANGED] * 2 and shelf.payload == b"2" * 1500


def test_aiocoap_client_joins_a_group_of_the_manager(tmp_path):
    try:
        python = environment("aiocoap", TinyDTLS.tools)
    except Missing as missing:
        pytest.skip(str(missing))
    port, registry = free_port(), tmp_path / "house.db"
    command = [
        sys.executable,
        "-m",
        "dicectl",
        "manager",
        "run",
        str(registry),
        "--new",
        "--port",
        str(port),
        "--host",
        HOST,
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert json.loads(process.stdout.readline())["event"] == "serving"
            for group in ("lamps", "fans"):
                control.call(registry, "new", group=group)
            control.call(registry, "provision", name="switch", groups={"lamps": "sender", "fans": "sender"})
            listener = control.call(registry, "provision", name="ear", groups={"lamps": "listener"})
            words = [python, PROGRAMS / "aiocoap_manager.py", str(port), listener["identity"]]
            done = subprocess.run(words, capture_output=True, text=True, env={"DICE_PSK": listener["key"]})
            shown = control.call(registry, "show", group="lamps")
        finally:
            process.kill()
    assert done.returncode == 0, done.stderr
    number, joined, refused, unknown = [json.loads(line) for line in done.stdout.splitlines()]
    assert number == ["2.05 Content", "0001"]
    _grace_s, _active, *encoded = bytes.fromhex(joined[1])
    gsa = decode(bytes(encoded))
    assert (joined[0], gsa.epoch, gsa.own_id, gsa.gid.hex()) == ("2.01 Created", 1, None, shown["gid"])
    assert refused == ["4.03 Forbidden", ""]
    assert unknown == ["4.04 Not Found", ""]


@pytest.mark.parametrize("build", ["openssl", "gnutls"])
def test_libcoap_server_is_read_and_written_by_dice(build):
    program = f"coap-server-{build}"
    require_tool(program)
    port = free_port()

    async def talk():
        while not is_bound(port):
            await asyncio.sleep(0.05)
        peer = Coap(await dice.connect((HOST, port), Psk(b"anybody", KEY), timer_ms=1000), blockwise=True)
        root = await peer.request(GET, "")
        put = await peer.request(PUT, "example_data", b"0123456789" * 150)
        got = await peer.request(GET, "example_data")
        peer.close()
        return root.code, put.code, got.code, got.payload

    words = [program, "-A", HOST, "-p", str(port - 1), "-k", KEY.decode()]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            root, put, got, payload = asyncio.run(talk())
        finally:
            process.kill()
    assert (root, got) == (CONTENT, CONTENT) and put in (CREATED, CHANGED)
    assert payload == b"0123456789" * 150
