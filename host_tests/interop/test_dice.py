# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dice as client and as server with every peer: handshake with cookie, data in both directions, close, and options."""

import asyncio
import subprocess

import pytest

import dice
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dicectl.firmware import unix_port
from host_tests.interop import peers, report
from host_tests.interop.relay import Relay
from host_tests.patience import PATIENCE_S, soon, until

CLIENTS = [name for name in peers.NAMES if "client" in peers.PEERS[name].features]
SERVERS = [name for name in peers.NAMES if "server" in peers.PEERS[name].features]
WITH_COOKIE = [("up", 1), ("down", 3), ("up", 1), ("down", 2)]  # ClientHello, HelloVerifyRequest, ClientHello, ServerHello


def with_suite(credentials, suite):
    """Return the credentials, limited to one suite."""
    credentials.suites = (suite,)
    return credentials


def pairs(names):
    """Return the parameters (peer, suite) for each suite that a peer supports."""
    return [
        pytest.param(name, suite, id=f"{name}-{'CCM_8' if suite == peers.CCM_8 else 'CCM'}")
        for name in names
        for suite in (peers.CCM_8, peers.CCM)
        if suite == peers.CCM_8 or "ccm" in peers.PEERS[name].features
    ]


def psk(suite=peers.CCM_8):
    return with_suite(Psk(peers.IDENTITY.encode(), peers.KEY), suite)


async def connect_and_ask(port, peer, suite=peers.CCM_8, look=None, credentials=None, **options):
    """Connect to a peer's server, send a question, wait for the answer and close; return (session, resumption).

    `look` is called with the session while it is open.
    """
    connection = await dice.connect(
        (peers.HOST, port), credentials or psk(suite), timer_ms=1000, **{"timeout_s": PATIENCE_S, **options}
    )
    question, answer = peer.ask(b"ping")
    await connection.send(question)
    received = b""
    while answer not in received:
        message = await soon(connection.receive())
        assert message is not None, received
        received += message
    resumption = connection.session.resumption()
    session = connection.session
    if look:
        look(session)
    connection.close()
    return session, resumption


def run_client(peer, suite=peers.CCM_8, serve=None, look=None, credentials=None, note="", **options):
    """Run dice as client of a peer's server; return (session, relay). `look` is called with the open session and the server.

    `note`: what the page says of the credentials, which are a pre-shared key by default.
    """
    port = peers.free_port()
    with peer.serve(port, suite=suite, **(serve or {})) as server, Relay(port) as relay:
        seen = look and (lambda session: look(session, server))
        session, _ = asyncio.run(connect_and_ask(relay.port, peer, suite, seen, credentials, **options))
        server.read_until(peer.closed)
    assert relay.messages()[:4] == WITH_COOKIE
    report.add("client", peer, suite, report.words(options, serve, note), relay, (serve or {}).get("keys"))
    return session, relay


def run_server(peer, suite=peers.CCM_8, connect=None, look=None, credentials=None, note="", **options):
    """Run dice as server of a peer's client until it closes; return (sessions, relay).

    `look` is called with the last session, while it is open, and with the running client. `note`: see run_client.
    """
    sessions = []
    closed = []
    received = []

    async def handle(connection):
        sessions.append(connection.session)
        async for message in connection:
            received.append(message)
            await connection.send(peer.answer(message, b"pong"))
        closed.append(connection.session)

    async def run():
        port = peers.free_port()
        known = credentials or with_suite(PskLookup({peers.IDENTITY.encode(): peers.KEY}.get), suite)
        service = await dice.serve(port, known, handle, timer_ms=1000, **options)
        try:
            with Relay(port) as relay:
                await asyncio.get_running_loop().run_in_executor(None, drive, relay)
                return relay
        finally:
            service.close()

    def drive(relay):
        with peer.connect(relay.port, suite=suite, **(connect or {})) as client:
            client.read_until(b"pong")
            if look:
                look(sessions[-1], client)
            client.close()
            client.wait()
            until(lambda: client.says in b"".join(received) and closed == sessions, "datagrams in flight")
        assert client.says in b"".join(received)
        assert closed == sessions
        assert [session.error for session in closed] == [None] * len(closed)

    relay = asyncio.run(run())
    assert relay.messages()[:4] == WITH_COOKIE
    report.add("server", peer, suite, report.words(options, connect, note), relay, (connect or {}).get("keys"))
    return sessions, relay


@pytest.mark.parametrize("name, suite", pairs(SERVERS))
def test_dice_client_exchanges_data_with_every_server(name, suite):
    """The peer reports that it received close_notify."""
    session, relay = run_client(peers.get(name), suite)
    assert session.layer.dropped == {}
    assert relay.alerts("up") == 1
    assert session.resumed is False


@pytest.mark.parametrize("name, suite", pairs(CLIENTS))
def test_dice_server_exchanges_data_with_every_client(name, suite):
    """The peer's close_notify closes the session and is answered by one."""
    (session,), relay = run_server(peers.get(name), suite)
    assert session.identity == peers.IDENTITY.encode()
    assert session.layer.dropped == {}
    assert relay.alerts("up") >= 1  # Bouncy Castle sometimes answers that close_notify too
    assert relay.alerts("down") == 1


@pytest.mark.parametrize("name", sorted(set(peers.with_feature("cid")) & set(SERVERS)))
@pytest.mark.parametrize("own, theirs", [(b"", b"\x05\x06"), (b"\x07", b"\x08"), (b"\x01\x02\x03", b"")])
def test_connection_ids_of_both_sides_as_client(name, own, theirs):
    session, _ = run_client(peers.get(name), serve={"cid": theirs}, cid=own)
    assert (session.layer.cid, session.layer.peer_cid) == (own, theirs)
    assert session.layer.dropped == {}


@pytest.mark.parametrize("name", sorted(set(peers.with_feature("cid")) & set(CLIENTS)))
@pytest.mark.parametrize("theirs, cid_bytes", [(b"", 1), (b"\x05\x06", 2), (b"\x05", 0)])
def test_connection_ids_of_both_sides_as_server(name, theirs, cid_bytes):
    (session,), _ = run_server(peers.get(name), connect={"cid": theirs}, cid_bytes=cid_bytes)
    assert len(session.layer.cid) == cid_bytes
    assert session.layer.peer_cid == (theirs if cid_bytes else b"")
    assert session.layer.dropped == {}


@pytest.mark.parametrize(
    "name, how", [(name, how) for name in SERVERS for how in ("id", "ticket") if name in peers.with_feature(how)]
)
def test_a_session_is_resumed_as_client(name, how):
    peer = peers.get(name)

    async def twice(port):
        _, resumption = await connect_and_ask(port, peer, tickets=how == "ticket")
        assert resumption
        session, _ = await connect_and_ask(port, peer, resume=resumption)
        return session

    port = peers.free_port()
    with peer.serve(port) as server, Relay(port) as relay:
        session = asyncio.run(twice(relay.port))
        server.read_until(peer.closed)
        server.read_until(peer.closed)
    report.add("client", peer, peers.CCM_8, f"resumed by {how}", relay)
    assert session.resumed


@pytest.mark.parametrize("how", ["id", "ticket"])
@pytest.mark.parametrize("name", sorted(set(peers.with_feature("id", "ticket")) & set(CLIENTS) & {"MbedTLS", "wolfSSL"}))
def test_a_session_is_resumed_as_server(name, how):
    sessions, _ = run_server(peers.get(name), connect={"resume": how})
    assert [session.resumed for session in sessions] == [False, True]


@pytest.mark.parametrize("name", sorted(set(peers.with_feature("mfl")) & set(CLIENTS)))
def test_the_clients_max_fragment_length_is_used_as_server(name):
    (session,), _ = run_server(peers.get(name), connect={"mfl": 512})
    assert session.layer.record_max == 512


@pytest.mark.parametrize("name", SERVERS)
def test_a_small_mtu_is_respected_as_client(name):
    """Our hello is fragmented, and the peer's flight is reassembled."""
    peer = peers.get(name)
    session, relay = run_client(peer, mtu=128, serve={"mtu": 256} if "mtu" in peer.features else None)
    assert max(relay.datagrams("up")) <= 128
    assert session.layer.dropped == {}


@pytest.mark.parametrize("who", ["client", "relay"])
def test_a_client_that_changes_its_address_keeps_its_session(who):
    """Bouncy Castle's client opens another port, or the relay does as a NAT would. The answers go to the new address."""
    peer = peers.get("BouncyCastle")
    addresses = []

    async def handle(connection):
        async for message in connection:
            addresses.append(service.listener.sessions[0].address)
            await connection.send(peer.answer(message, b"pong" if len(addresses) == 1 else b"again"))

    def drive(relay):
        with peer.connect(relay.port, cid=b"\2") as client:
            client.read_until(b"pong")
            relay.move() if who == "relay" else peer.move(client)
            client.write(b"ask again\n")
            client.read_until(b"again")
            client.close()

    async def run():
        nonlocal service
        port = peers.free_port()
        service = await dice.serve(port, PskLookup({peers.IDENTITY.encode(): peers.KEY}.get), handle, timer_ms=1000)
        with Relay(port) as relay:
            await asyncio.get_running_loop().run_in_executor(None, drive, relay)
        service.close()

    service = None
    asyncio.run(run())
    assert len(set(addresses)) == (2 if who == "relay" else 1)


def test_dice_client_keeps_its_session_behind_a_nat_that_changes_its_address():
    """Bouncy Castle's server finds the session by its connection id."""
    peer = peers.get("BouncyCastle")

    async def run(relay):
        connection = await dice.connect((peers.HOST, relay.port), psk(), timer_ms=1000, cid=b"\5")
        for text in (b"before", b"after"):
            question, answer = peer.ask(text)
            await connection.send(question)
            assert answer in await soon(connection.receive())
            relay.move()
        connection.close()

    port = peers.free_port()
    with peer.serve(port, cid=b"\1"), Relay(port) as relay:
        asyncio.run(run(relay))


def test_dice_client_on_micropython_exchanges_data_with_openssl(tmp_path):
    """The same code on the unix port."""
    peer = peers.get("OpenSSL")
    port = peers.free_port()
    question, answer = peer.ask(b"ping")
    code = f"""
import asyncio, dice
from dice.dtls.kx_psk import Psk
async def main():
    c = await dice.connect(("127.0.0.1", {port}), Psk({peers.IDENTITY.encode()!r}, {peers.KEY!r}), timer_ms=1000)
    await c.send({question!r})
    said = b""
    while {answer!r} not in said:
        said += await c.receive()
    print("answered")
    c.close()
asyncio.run(main())
"""
    unix_port.compile_to(tmp_path / "code")
    with peer.serve(port):
        argv = [unix_port.find(), "-c", code]
        environment = unix_port.environment(tmp_path / "code")
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "answered\n", done.stderr


def test_dice_server_on_micropython_exchanges_data_with_openssl(tmp_path):
    """The same code on the unix port."""
    peer = peers.get("OpenSSL")
    port = peers.free_port()
    code = f"""
import asyncio, dice
from dice.dtls.kx_psk_server import PskLookup
async def handle(c):
    async for message in c:
        await c.send(b"pong\\n")
async def main():
    await dice.serve({port}, PskLookup({{{peers.IDENTITY.encode()!r}: {peers.KEY!r}}}.get), handle, timer_ms=1000)
    print("ready")
    await asyncio.sleep(3600)
asyncio.run(main())
"""
    unix_port.compile_to(tmp_path / "code")
    argv = [unix_port.find(), "-c", code]
    environment = unix_port.environment(tmp_path / "code")
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    try:
        assert process.stdout.readline() == b"ready\n", process.stderr.read().decode()
        with peer.connect(port) as client:
            client.read_until(b"pong")
            client.close()
            client.wait()
    finally:
        process.kill()
        process.communicate()
