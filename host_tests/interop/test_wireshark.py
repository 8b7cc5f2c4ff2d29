# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""tshark reads and decrypts sessions by PSK and by key log, with and without connection ids; a relay sees only ciphertext."""

import asyncio
import re
import shutil
import subprocess

import pytest

import dice
from dice.dtls.kx_psk_server import PskLookup
from dicectl.net.dissect import keylog
from host_tests.interop import peers
from host_tests.interop.public_keys import Pair
from host_tests.interop.relay import Relay
from host_tests.interop.test_dice import psk, run_client, run_server

SECRET_TEXT = b"turn off the lights"


def fields(capture, port, name, *options):
    """Return the values of a field that tshark finds in a capture."""
    if not shutil.which("tshark"):
        pytest.skip("no tshark: apt-get install tshark")
    argv = ["tshark", "-r", str(capture), "-d", f"udp.port=={port},dtls", *options, "-Y", name, "-T", "fields", "-e", name]
    done = subprocess.run(argv, capture_output=True, text=True)
    return [value for line in done.stdout.split("\n") if line for value in line.split(",")]


def decrypted(capture, port, *options):
    """Return the application data that tshark decrypts in a capture."""
    return [bytes.fromhex(value) for value in fields(capture, port, "data.data", *options)]


async def talk(cid, cid_bytes, server=None, client=None):
    """Let a dice client and a dice server exchange data through a relay; return (relay, key log)."""

    async def handle(connection):
        async for message in connection:
            await connection.send(b"done: " + message)

    port = peers.free_port()
    known = server or PskLookup({peers.IDENTITY.encode(): peers.KEY}.get)
    service = await dice.serve(port, known, handle, cid_bytes=cid_bytes)
    with Relay(port) as relay:
        connection = await dice.connect((peers.HOST, relay.port), client or psk(), timer_ms=1000, cid=cid)
        secret = keylog(connection.session)
        await connection.send(SECRET_TEXT)
        assert await connection.receive() == b"done: " + SECRET_TEXT
        connection.close()
    service.close()
    return relay, secret


@pytest.mark.parametrize("cid, cid_bytes", [(None, 0), (b"", 1), (b"\7\7", 2)])
@pytest.mark.parametrize("how", ["psk", "keylog"])
def test_tshark_decrypts_a_session_with_the_right_key_only(tmp_path, how, cid, cid_bytes):
    relay, secret = asyncio.run(talk(cid, cid_bytes))
    relay.save(tmp_path / "session.pcap")
    (tmp_path / "keys.log").write_text(secret + "\n")
    options = {"psk": f"dtls.psk:{peers.KEY.hex()}", "keylog": f"tls.keylog_file:{tmp_path / 'keys.log'}"}
    port = relay.pcap_port
    assert decrypted(tmp_path / "session.pcap", port, "-o", options[how]) == [SECRET_TEXT, b"done: " + SECRET_TEXT]
    assert decrypted(tmp_path / "session.pcap", port, "-o", f"dtls.psk:{bytes(16).hex()}") == []


@pytest.mark.parametrize("is_raw", [True, False])
def test_tshark_reads_a_handshake_with_public_keys_and_decrypts_its_session(tmp_path, is_raw):
    """It finds nothing malformed, both raw public keys or all certificates, and the signatures of both sides."""
    pair = Pair(tmp_path, is_raw, 1 if is_raw else 3)
    relay, secret = asyncio.run(talk(None, 0, pair.server, pair.client))
    capture, port = tmp_path / "session.pcap", relay.pcap_port
    relay.save(capture)
    (tmp_path / "keys.log").write_text(secret + "\n")
    options = ("-o", f"tls.keylog_file:{tmp_path / 'keys.log'}")
    assert decrypted(capture, port, *options) == [SECRET_TEXT, b"done: " + SECRET_TEXT]
    assert fields(capture, port, "_ws.malformed") == []
    remarks = fields(capture, port, "_ws.expert.message", *options)
    traceroute = r"Possible traceroute: hop #\d+| attempt #\d+"  # so it calls all UDP to some of the ports that a system gives away
    assert [remark for remark in remarks if not re.fullmatch(traceroute, remark)] == []
    kinds = [int(kind) for kind in fields(capture, port, "dtls.handshake.type", *options)]
    in_order = [kind for at, kind in enumerate(kinds) if kinds[at - 1 : at] != [kind]]  # fragments of a message count once
    assert in_order[4:] == [11, 12, 13, 14, 11, 16, 15, 20]


@pytest.mark.parametrize("way", ["client", "server"])
def test_renegotiation_is_refused_with_an_alert_and_no_hello(way):
    """OpenSSL requests a renegotiation when `r` or `R` is typed."""
    refuse = refuse_as_client if way == "client" else refuse_as_server
    relay = asyncio.run(refuse(peers.get("OpenSSL")))
    direction = "up" if way == "client" else "down"
    ours = [datagram for toward, datagram in relay.passed() if toward == direction]
    data = next(number for number, datagram in enumerate(ours) if datagram[0] == 23)
    assert [datagram[0] for datagram in ours[data + 1 :]][:1] == [21]
    assert all(datagram[0] != 22 for datagram in ours[data:])


async def refuse_as_client(peer):
    port = peers.free_port()
    with peer.serve(port) as server, Relay(port) as relay:
        connection = await dice.connect((peers.HOST, relay.port), psk(), timer_ms=1000)
        await connection.send(b"before\n")
        await asyncio.get_running_loop().run_in_executor(None, server.read_until, b"before")
        server.write(b"r\n")
        await asyncio.sleep(0.3)
        connection.close()
    return relay


async def refuse_as_server(peer):
    async def handle(connection):
        async for _ in connection:
            await connection.send(b"pong\n")

    port = peers.free_port()
    service = await dice.serve(port, PskLookup({peers.IDENTITY.encode(): peers.KEY}.get), handle)
    with Relay(port) as relay, peer.connect(relay.port) as client:
        await asyncio.get_running_loop().run_in_executor(None, client.read_until, b"pong")
        client.write(b"R\n")
        await asyncio.sleep(0.3)
    service.close()
    return relay


def test_a_relay_sees_no_plaintext_and_the_expected_number_of_datagrams():
    peer = peers.get("OpenSSL")
    _, relay = run_client(peer)
    assert all(b"ask ping" not in datagram for _, datagram in relay.passed())
    _, relay = run_server(peer)
    assert relay.handshake()[0] == 6
