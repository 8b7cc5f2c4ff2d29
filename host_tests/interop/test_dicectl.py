# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl dtls-client` and `dicectl dtls-server` talk to OpenSSL, and tshark decrypts that with the key logs that they write."""

import sys

import pytest

from host_tests.interop import peers
from host_tests.interop.peers.base import Running
from host_tests.interop.relay import Relay
from host_tests.interop.test_dice import WITH_COOKIE
from host_tests.interop.test_wireshark import decrypted


@pytest.fixture
def dicectl(tmp_path):
    """Return a function that runs a command with the key and a key log; `tmp_path` has both."""
    key = tmp_path / "key"
    key.write_text(peers.KEY.hex())

    def run(command, *words):
        shared = ["--psk-identity", peers.IDENTITY, "--psk-file", key, "--keylog", tmp_path / "keys.log"]
        return Running(Commands, [sys.executable, "-m", "dicectl", command, *words, *shared])

    return run


class Commands(peers.Peer):
    """The peer that these commands are."""

    name = "dicectl"


def logged(folder, relay):
    """Return what tshark reads in what the relay saw, with the key log alone."""
    relay.save(folder / "session.pcap")
    (folder / "none.log").touch()
    assert decrypted(folder / "session.pcap", relay.pcap_port, "-o", f"tls.keylog_file:{folder / 'none.log'}") == []
    return decrypted(folder / "session.pcap", relay.pcap_port, "-o", f"tls.keylog_file:{folder / 'keys.log'}")


def test_dtls_client_sends_a_message(dicectl, tmp_path):
    """It prints the answer, closes, and ends."""
    peer = peers.get("OpenSSL")
    port = peers.free_port()
    with (
        peer.serve(port) as server,
        Relay(port) as relay,
        dicectl("dtls-client", peers.HOST, relay.port, "--message", "ask ping\n") as client,
    ):
        server.read_until(b"ask ping")
        client.read_until(b"connected")
        client.read_until(b"echo ping")
        server.read_until(peer.closed)
        assert client.wait() == 0
    assert relay.messages()[:4] == WITH_COOKIE
    assert logged(tmp_path, relay) == [b"ask ping\n", b"echo ping\n"]


def test_dtls_client_is_a_pipe(dicectl, tmp_path):
    """Lines go both ways."""
    peer = peers.get("OpenSSL")
    port = peers.free_port()
    with peer.serve(port), Relay(port) as relay, dicectl("dtls-client", peers.HOST, relay.port) as client:
        client.read_until(b"connected")
        for word in (b"one", b"two"):
            client.write(b"ask " + word + b"\n")
            client.read_until(b"echo " + word)
    assert logged(tmp_path, relay) == [b"ask one\n", b"echo one\n", b"ask two\n", b"echo two\n"]


def test_dtls_server_echoes(dicectl, tmp_path):
    """It prints what comes, sends it back, and ends when the only client has closed."""
    peer = peers.get("OpenSSL")
    port = peers.free_port()
    with dicectl("dtls-server", port, "--echo", "--connections", "1") as server, Relay(port) as relay:
        server.read_until(b"listening")
        with peer.connect(relay.port) as client:
            server.read_until(b"connected: dice")
            server.read_until(client.says)
            client.read_until(b"\n" + client.says)
            client.close()
            assert client.wait() == 0
        assert server.wait() == 0
    assert relay.messages()[:4] == WITH_COOKIE
    assert logged(tmp_path, relay) == [b"ask OpenSSL\n", b"ask OpenSSL\n"]
