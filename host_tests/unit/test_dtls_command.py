# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl dtls-client` and `dicectl dtls-server` with each other on loopback, and their error messages."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys

import pytest

import dice
from dice.dtls.kx_psk import Psk
from dicectl.net.dissect import describe
from host_tests.patience import soon
from host_tests.ports import free_port

KEY = "000102030405060708090a0b0c0d0e0f"


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "node1.key"
    path.write_text(KEY + "\n")
    return path


def dicectl(*words, text=None):
    argv = [sys.executable, "-m", "dicectl", *map(str, words)]
    return subprocess.run(argv, input=text, capture_output=True, text=True)


@contextlib.contextmanager
def serving(port, key, *options, identity="node1"):
    argv = [sys.executable, "-m", "dicectl", "dtls-server", port, "--psk-identity", identity, "--psk-file", key, "--echo", *options]
    process = subprocess.Popen([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr.readline() == f"listening on UDP port {port}\n"
        yield process
    finally:
        process.terminate()
        process.communicate()


def connect(port, key, *options):
    return dicectl("dtls-client", "127.0.0.1", port, "--psk-identity", "node1", "--psk-file", key, "--message", "hello", *options)


def test_a_message_is_sent_and_its_echo_printed(key):
    port = free_port()
    with serving(port, key, "--connections", "1") as server:
        done = connect(port, key, "--log", "packets")
        assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
        assert server.stdout.readline() == "hello\n"
        assert server.wait() == 0
    words = [line.split("bytes  ")[1] for line in done.stderr.splitlines() if "bytes  " in line]
    assert words[:4] == ["ClientHello", "HelloVerifyRequest", "ClientHello", "ServerHello, ServerHelloDone"]
    assert words[5] == "ChangeCipherSpec, Handshake (encrypted)"
    assert "connected: connection id\n" in done.stderr


def test_messages_of_the_other_side_are_printed_without_control_characters(key):
    port = free_port()
    with serving(port, key, "--connections", "1") as server:
        words = ("--psk-identity", "node1", "--psk-file", key, "--message", "\x1b]52;c;aGk=\x07")
        done = dicectl("dtls-client", "127.0.0.1", port, *words)
        assert (done.returncode, done.stdout) == (0, "\\x1b]52;c;aGk=\\x07\n"), done.stderr
        assert server.stdout.readline() == "\\x1b]52;c;aGk=\\x07\n"


@pytest.mark.parametrize(
    "options, answers", [((), ["127.0.0.1", "::1"]), (("--host", "::1"), ["::1"]), (("--host", "127.0.0.1"), ["127.0.0.1"])]
)
def test_a_server_listens_on_both_families_or_on_the_address_that_is_named(key, options, answers):
    port = free_port()
    with serving(port, key, *options):
        for host in ("127.0.0.1", "::1"):
            common = (
                "--psk-identity",
                "node1",
                "--psk-file",
                key,
                "--message",
                "hello",
                "--timeout",
                1 if host not in answers else 30,
            )
            done = dicectl("dtls-client", host, port, *common)
            assert (done.returncode, done.stdout) == ((0, "hello\n") if host in answers else (1, "")), done.stderr


def test_a_port_that_is_taken_gives_one_line(key, tmp_path):
    """Of a DTLS server, and of a group manager with a registry of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 0))
        port = other.getsockname()[1]
        manager = dicectl("manager", "run", tmp_path / "house.db", "--new", "--port", port)
        server = dicectl("dtls-server", port, "--psk-identity", "node1", "--psk-file", key)
    for done in (manager, server):
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(rf"dicectl: cannot serve on UDP port {port}: Address already in use; choose another .*\n", done.stderr)


def test_a_server_that_no_route_leads_to_gives_one_line(key):
    done = dicectl("dtls-client", "fe80::1%nowhere", 5684, "--psk-identity", "node1", "--psk-file", key, "--message", "hello")
    assert done.returncode == 1
    assert re.fullmatch(r"dicectl: network: .*\n", done.stderr)


def test_standard_input_is_sent_line_by_line(key):
    """The session is closed after standard input has ended and its answers have arrived. The last line may be incomplete."""
    port = free_port()
    with serving(port, key, "--connections", "1") as server:
        done = dicectl("dtls-client", "127.0.0.1", port, "--psk-identity", "node1", "--psk-file", key, text="one\ntwo\nthree")
        assert (done.returncode, done.stdout) == (0, "one\ntwo\nthree\n"), done.stderr
        assert server.wait() == 0


def test_the_client_ends_when_the_server_closes(key):
    """Although standard input is still open."""
    port = free_port()
    argv = [
        sys.executable,
        "-m",
        "dicectl",
        "dtls-client",
        "127.0.0.1",
        str(port),
        "--psk-identity",
        "node1",
        "--psk-file",
        str(key),
    ]
    with serving(port, key) as server, subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        client.stdin.write("one\n")
        client.stdin.flush()
        assert client.stdout.readline() == "one\n"
        server.send_signal(signal.SIGINT)
        assert client.wait() == 0


@pytest.mark.parametrize("tickets", [(), ("--tickets",)])
def test_a_session_is_resumed_by_id_or_ticket(key, tickets):
    port = free_port()
    with serving(port, key):
        done = connect(port, key, "--resume", "--json", "--no-cid", *tickets)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["resumed"], said["answer"], said["dropped"]) == (True, "hello", {})
    assert said["handshake"]["sent"]["datagrams"] == 3
    assert said["handshake"]["received"]["datagrams"] == 2


def test_a_handshake_takes_the_bytes_that_rfc_7925_allows(key):
    """Without connection ids: 6 datagrams and 480 bytes, plus 16 bytes of a session id."""
    port = free_port()
    with serving(port, key):
        handshake = json.loads(connect(port, key, "--json", "--no-cid").stdout.splitlines()[-1])["handshake"]
    assert [handshake[way]["datagrams"] for way in ("sent", "received")] == [3, 3]
    assert sum(handshake[way]["bytes"] for way in ("sent", "received")) <= 480 + 16


@pytest.mark.parametrize("identity, text", [("node1", "ff" * 16), ("node2", KEY)])
def test_a_wrong_key_and_an_unknown_identity_give_one_error(key, tmp_path, identity, text):
    port = free_port()
    other = tmp_path / "other.key"
    other.write_text(text)
    with serving(port, other, identity=identity):
        done = connect(port, key)
    assert done.returncode == 1
    assert done.stderr.startswith("dicectl: E50 (alert 51): The peer ended the session with an alert")


def test_a_silent_server_gives_E51(key):
    done = connect(free_port(), key, "--timeout", "0.5")
    assert done.returncode == 1
    assert done.stderr.startswith("dicectl: E51: The peer did not answer")


def test_a_name_that_no_host_can_have_gives_one_line(key):
    done = dicectl("dtls-client", "a..", 1, "--psk-identity", "node1", "--psk-file", key)
    assert done.returncode == 1 and done.stderr.startswith("dicectl: network: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("text", ["", "0", "xyz", "00" * 65, b"\xff\xfe"])
def test_a_malformed_key_is_refused(tmp_path, text):
    path = tmp_path / "key"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = connect(1, path)
    assert done.returncode == 2
    assert done.stderr == "dicectl: the key is not 1 to 64 bytes in hex, such as 00112233445566778899aabbccddeeff\n"


def test_the_key_log_is_readable_only_by_its_owner(key, tmp_path):
    port = free_port()
    path = tmp_path / "keys.log"
    with serving(port, key):
        assert connect(port, key, "--keylog", path).returncode == 0
    assert re.fullmatch(r"CLIENT_RANDOM [0-9a-f]{64} [0-9a-f]{96}\n", path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", ["dtls-client", "dtls-server"])
def test_the_help_shows_an_example(command):
    assert f"dicectl {command}" in dicectl(command, "--help").stdout


@pytest.mark.parametrize(
    "datagram, words",
    [
        ("", "malformed"),
        ("16fefd", "malformed"),
        ("16 fefd 0000 000000000000 0005 0102030405", "Handshake"),
        ("16 fefd 0000 000000000000 000d 01000002 0000 000000 000001 03", "ClientHello (bytes 0 to 1 of 2)"),
        ("15 fefd 0000 000000000000 0002 0233", "Alert 51 (fatal)"),
        ("14 fefd 0000 000000000000 0001 01 ff", "ChangeCipherSpec, malformed"),
        ("17 fefd 0001 000000000001 0002 0000", "ApplicationData (encrypted)"),
    ],
)
def test_datagrams_are_described_record_by_record(datagram, words):
    assert describe(bytes.fromhex(datagram)) == words


def test_an_echo_server_survives_records_of_any_length(key):
    """The server echoes what it receives, and drops longer records. No length prints a traceback or ends a session."""
    port = free_port()

    async def talk():
        options = {"fragment_code": None, "cid": None, "timer_ms": 500}
        connection = await dice.connect(("127.0.0.1", port), Psk(b"node1", bytes.fromhex(KEY)), **options)
        session = connection.session
        echoed = []
        for size in (1, 1152, 1153, 1160, 1198, 1199, 1203, 1204, 1216, 1400, 4000):
            session._out.append(session.layer.seal(23, 1, bytes(size)))
            connection._owner.flush()
            await connection.send(b"next")
            while (answer := await soon(connection.receive())) != b"next":
                echoed.append(len(answer))
        connection.close()
        return echoed

    with serving(port, key, "--connections", "1") as server:
        assert asyncio.run(talk()) == [1, 1152, 1153, 1160, 1198, 1199, 1203]
        assert server.wait() == 0
        assert "Traceback" not in server.stderr.read()


def test_an_echo_server_with_a_small_mtu_stays_after_a_message_that_it_cannot_send_back(key):
    port = free_port()

    async def talk():
        connection = await dice.connect(("127.0.0.1", port), Psk(b"node1", bytes.fromhex(KEY)), timer_ms=500)
        for message in (bytes(900), b"short"):
            await connection.send(message)
        answer = await soon(connection.receive())
        connection.close()
        return answer

    with serving(port, key, "--mtu", "256", "--connections", "1") as server:
        assert asyncio.run(talk()) == b"short"
        assert server.wait() == 0


def test_a_server_has_options_for_its_sessions_and_handshakes(key):
    """With one place the second client evicts the first, and the server prints why that session ended."""
    port = free_port()

    async def connect_twice():
        options = {"timer_ms": 500}
        psk = Psk(b"node1", bytes.fromhex(KEY))
        first = await dice.connect(("127.0.0.1", port), psk, **options)
        second = await dice.connect(("127.0.0.1", port), psk, **options)
        assert await soon(first.receive()) is None
        second.close()
        first.close()

    with serving(port, key, "--sessions", "1", "--half-open", "1", "--connections", "2") as server:
        asyncio.run(connect_twice())
        assert server.wait() == 0
        assert "ended: E64: " in server.stderr.read()
