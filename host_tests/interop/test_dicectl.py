# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl dtls-client` and `dicectl dtls-server` exchange data with other stacks; tshark decrypts it with their key logs."""

import sys

import pytest

from host_tests.interop import peers
from host_tests.interop.peers.base import PeerProcess
from host_tests.interop.public_keys import NAME, Pair
from host_tests.interop.relay import Relay
from host_tests.interop.test_dice import WITH_COOKIE
from host_tests.interop.test_wireshark import decrypted


@pytest.fixture
def dicectl(tmp_path):
    """Return a function that runs a command with a key log, by default with a pre-shared key, both in `tmp_path`."""
    key = tmp_path / "key"
    key.write_text(peers.KEY.hex())

    def run(command, *words, keys=("--psk-identity", peers.IDENTITY, "--psk-file", key)):
        shared = [*keys, "--keylog", tmp_path / "keys.log"]
        return PeerProcess(DicectlPeer, [sys.executable, "-m", "dicectl", command, *words, *shared])

    return run


class DicectlPeer(peers.Peer):
    """dicectl as a peer."""

    name = "dicectl"


def decrypt_with_keylog(folder, relay):
    """Return the application data that tshark decrypts in the relay's capture with only the key log."""
    relay.save(folder / "session.pcap")
    (folder / "none.log").touch()
    assert decrypted(folder / "session.pcap", relay.pcap_port, "-o", f"tls.keylog_file:{folder / 'none.log'}") == []
    return decrypted(folder / "session.pcap", relay.pcap_port, "-o", f"tls.keylog_file:{folder / 'keys.log'}")


def test_dtls_client_sends_one_message_and_prints_the_answer(dicectl, tmp_path):
    """Then it closes and ends."""
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
    assert decrypt_with_keylog(tmp_path, relay) == [b"ask ping\n", b"echo ping\n"]


def test_dtls_client_pipes_lines_in_both_directions(dicectl, tmp_path):
    """Each line of standard input is a message; each answer is a line of output."""
    peer = peers.get("OpenSSL")
    port = peers.free_port()
    with peer.serve(port), Relay(port) as relay, dicectl("dtls-client", peers.HOST, relay.port) as client:
        client.read_until(b"connected")
        for word in (b"one", b"two"):
            client.write(b"ask " + word + b"\n")
            client.read_until(b"echo " + word)
    assert decrypt_with_keylog(tmp_path, relay) == [b"ask one\n", b"echo one\n", b"ask two\n", b"echo two\n"]


def test_dtls_server_echoes_and_ends_with_its_client(dicectl, tmp_path):
    """It prints each message, echoes it, and ends when the only client has closed."""
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
    assert decrypt_with_keylog(tmp_path, relay) == [b"ask OpenSSL\n", b"ask OpenSSL\n"]


@pytest.mark.parametrize("fingerprint", [False, True])
def test_dtls_client_has_a_raw_public_key(dicectl, tmp_path, fingerprint):
    peer, pair = peers.get("GnuTLS"), Pair(tmp_path, True)
    own = pair.own_client.files(tmp_path / "mine")
    server = pair.own_server
    trusted = server.key.identity.hex() if fingerprint else server.files(tmp_path / "server").public
    port = peers.free_port()
    with (
        peer.serve(port, suite=pair.suite, keys=pair.peer_server),
        dicectl("dtls-client", peers.HOST, port, "--message", "ping\n", keys=["--key", own.key, "--peer-key", trusted]) as client,
    ):
        client.read_until(b"connected")
        client.read_until(b"ping")
        assert client.wait() == 0


def test_dtls_server_has_raw_public_keys_beside_pre_shared_ones(dicectl, tmp_path):
    """tinydtls is one client with its raw public key, and OpenSSL another with a pre-shared key."""
    pair = Pair(tmp_path, True)
    own = pair.own_server.files(tmp_path / "mine")
    (tmp_path / "psk").write_text(peers.KEY.hex())
    keys = ["--key", own.sec1, "--peer-key", pair.own_client.key.spki.hex()]
    keys += ["--psk-identity", peers.IDENTITY, "--psk-file", tmp_path / "psk"]
    port = peers.free_port()
    with dicectl("dtls-server", port, "--echo", "--connections", "2", keys=keys) as server:
        server.read_until(b"listening")
        with peers.get("tinydtls").connect(port, suite=pair.suite, keys=pair.peer_client) as client:
            server.read_until(b"connected: " + pair.own_client.key.identity.hex().encode())
            client.read_until(client.says)
            client.close()
            client.wait()
        with peers.get("OpenSSL").connect(port) as client:
            server.read_until(b"connected: dice")
            client.read_until(b"\n" + client.says)
            client.close()
            client.wait()
        assert server.wait() == 0


def test_dtls_client_and_server_have_certificates(dicectl, tmp_path):
    """A chain of two, with an encrypted key of the client; OpenSSL is the other side."""
    peer, pair = peers.get("OpenSSL"), Pair(tmp_path, False, 2)
    own = pair.own_client.files(tmp_path / "mine", b"open sesame")
    (tmp_path / "passphrase").write_text("open sesame\n")
    keys = ["--key", own.key, "--passphrase-file", tmp_path / "passphrase", "--cert", own.cert, "--ca", own.ca, "--name", NAME]
    port = peers.free_port()
    with (
        peer.serve(port, suite=pair.suite, keys=pair.peer_server),
        Relay(port) as relay,
        dicectl("dtls-client", peers.HOST, relay.port, "--message", "ask ping\n", keys=keys) as client,
    ):
        client.read_until(b"echo ping")
        assert client.wait() == 0
    assert decrypt_with_keylog(tmp_path, relay) == [b"ask ping\n", b"echo ping\n"]
    own = pair.own_server.files(tmp_path / "server")
    keys = ["--key", own.key, "--cert", own.cert, "--ca", own.ca]
    with dicectl("dtls-server", port, "--echo", "--connections", "1", keys=keys) as server:
        server.read_until(b"listening")
        with peer.connect(port, suite=pair.suite, keys=pair.peer_client) as client:
            server.read_until(b"connected: client.test")
            client.read_until(b"\n" + client.says)
            client.close()
            client.wait()
        assert server.wait() == 0
