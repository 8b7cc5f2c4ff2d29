# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dice as client and as server against every peer: handshake with cookie, data both ways, close; and more."""

import asyncio
import subprocess

import pytest

from dice.aio import session as dtls
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dicectl.firmware import unix_port
from host_tests.interop import peers, report
from host_tests.interop.relay import Relay
from host_tests.patience import PATIENCE_S, soon, until

CLIENTS = [name for name in peers.NAMES if "client" in peers.PEERS[name].features]
SERVERS = [name for name in peers.NAMES if "server" in peers.PEERS[name].features]
WITH_COOKIE = [("up", 1), ("down", 3), ("up", 1), ("down", 2)]  # ClientHello, HelloVerifyRequest, ClientHello, ServerHello
CODE = {peers.CCM_8: 0xC0A8, peers.CCM: 0xC0A4}


def with_suite(credentials, suite):
    """Return credentials that know only one suite."""
    credentials.suites = (CODE[suite],)
    return credentials


def pairs(names):
    """Return the pairs of a peer and a suite that it has, to parametrize by."""
    return [
        pytest.param(name, suite, id=f"{name}-{'CCM_8' if suite == peers.CCM_8 else 'CCM'}")
        for name in names
        for suite in (peers.CCM_8, peers.CCM)
        if suite == peers.CCM_8 or "ccm" in peers.PEERS[name].features
    ]


def psk(suite=peers.CCM_8):
    return with_suite(Psk(peers.IDENTITY.encode(), peers.KEY), suite)


async def ask(port, peer, suite=peers.CCM_8, look=None, **options):
    """Connect to a peer's server, ask it something, wait for the answer and close; return the session.

    `look` is called with the session while it is open.
    """
    connection = await dtls.connect((peers.HOST, port), psk(suite), timer_ms=1000, **{"timeout_s": PATIENCE_S, **options})
    question, answer = peer.ask(b"ping")
    await connection.send(question)
    said = b""
    while answer not in said:
        message = await soon(connection.receive())
        assert message is not None, said
        said += message
    resumption = connection.session.resumption()
    session = connection.session
    if look:
        look(session)
    connection.close()
    return session, resumption


def asking(peer, suite=peers.CCM_8, serve=None, look=None, **options):
    """Let dice ask a peer's server; return (session, relay). `look` is called with the open session and the running server."""
    port = peers.free_port()
    with peer.serve(port, suite=suite, **(serve or {})) as server, Relay(port) as relay:
        seen = look and (lambda session: look(session, server))
        session, _ = asyncio.run(ask(relay.port, peer, suite, seen, **options))
        server.read_until(peer.closed)
    assert relay.messages()[:4] == WITH_COOKIE
    report.add(
        "client", peer, suite, report.words({**options, **{f"peer's {key}": value for key, value in (serve or {}).items()}}), relay
    )
    return session, relay


def answering(peer, suite=peers.CCM_8, connect=None, look=None, **options):
    """Let dice answer a peer's client until it closes; return (the sessions, relay).

    `look` is called with the last session, while it is open, and with the running client.
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
        credentials = with_suite(PskLookup({peers.IDENTITY.encode(): peers.KEY}.get), suite)
        service = await dtls.serve(port, credentials, handle, timer_ms=1000, **options)
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
            until(lambda: client.says in b"".join(received) and closed == sessions, "what is still on its way")
        assert client.says in b"".join(received)
        assert closed == sessions
        assert [session.error for session in closed] == [None] * len(closed)

    relay = asyncio.run(run())
    assert relay.messages()[:4] == WITH_COOKIE
    report.add(
        "server",
        peer,
        suite,
        report.words({**options, **{f"peer's {key}": value for key, value in (connect or {}).items()}}),
        relay,
    )
    return sessions, relay


@pytest.mark.parametrize("name, suite", pairs(SERVERS))
def test_dice_asks(name, suite):
    """The peer tells that our close_notify came."""
    session, relay = asking(peers.get(name), suite)
    assert session.layer.dropped == {}
    assert relay.alerts("up") == 1
    assert session.resumed is False


@pytest.mark.parametrize("name, suite", pairs(CLIENTS))
def test_dice_answers(name, suite):
    """The peer's close_notify ends our session, and ours answers it."""
    (session,), relay = answering(peers.get(name), suite)
    assert session.identity == peers.IDENTITY.encode()
    assert session.layer.dropped == {}
    assert relay.alerts("up") >= 1  # Bouncy Castle at times answers our answer
    assert relay.alerts("down") == 1


@pytest.mark.parametrize("name", sorted(set(peers.with_feature("cid")) & set(SERVERS)))
@pytest.mark.parametrize("own, theirs", [(b"", b"\x05\x06"), (b"\x07", b"\x08"), (b"\x01\x02\x03", b"")])
def test_connection_ids_as_client(name, own, theirs):
    session, _ = asking(peers.get(name), serve={"cid": theirs}, cid=own)
    assert (session.layer.cid, session.layer.peer_cid) == (own, theirs)
    assert session.layer.dropped == {}


@pytest.mark.parametrize("name", sorted(set(peers.with_feature("cid")) & set(CLIENTS)))
@pytest.mark.parametrize("theirs, cid_bytes", [(b"", 1), (b"\x05\x06", 2), (b"\x05", 0)])
def test_connection_ids_as_server(name, theirs, cid_bytes):
    (session,), _ = answering(peers.get(name), connect={"cid": theirs}, cid_bytes=cid_bytes)
    assert len(session.layer.cid) == cid_bytes
    assert session.layer.peer_cid == (theirs if cid_bytes else b"")
    assert session.layer.dropped == {}


@pytest.mark.parametrize(
    "name, how", [(name, how) for name in SERVERS for how in ("id", "ticket") if name in peers.with_feature(how)]
)
def test_resumption_as_client(name, how):
    peer = peers.get(name)

    async def twice(port):
        _, resumption = await ask(port, peer, tickets=how == "ticket")
        assert resumption
        session, _ = await ask(port, peer, resume=resumption)
        return session

    port = peers.free_port()
    with peer.serve(port) as server, Relay(port) as relay:
        session = asyncio.run(twice(relay.port))
        server.read_until(peer.closed)
        server.read_until(peer.closed)
    report.add("client", peer, peers.CCM_8, f"resumed by {how}", relay)
    assert session.resumed


@pytest.mark.parametrize("how", ["id", "ticket"])
@pytest.mark.parametrize("name", sorted(set(peers.with_feature("id", "ticket")) & set(CLIENTS) & {"MbedTLS"}))
def test_resumption_as_server(name, how):
    sessions, _ = answering(peers.get(name), connect={"resume": how})
    assert [session.resumed for session in sessions] == [False, True]


@pytest.mark.parametrize("name", sorted(set(peers.with_feature("mfl")) & set(CLIENTS)))
def test_max_fragment_length_as_server(name):
    (session,), _ = answering(peers.get(name), connect={"mfl": 512})
    assert session.layer.record_max == 512


@pytest.mark.parametrize("name", SERVERS)
def test_small_mtu_as_client(name):
    """Our hello is cut to fragments, and theirs put together."""
    peer = peers.get(name)
    session, relay = asking(peer, mtu=128, serve={"mtu": 256} if "mtu" in peer.features else None)
    assert max(relay.datagrams("up")) <= 128
    assert session.layer.dropped == {}


@pytest.mark.parametrize("who", ["client", "relay"])
def test_a_client_moves_in_mid_session(who):
    """Bouncy Castle's client gets another port, by itself or by the relay as by a NAT; our server answers there."""
    peer = peers.get("BouncyCastle")
    addresses = []

    async def handle(connection):
        async for message in connection:
            addresses.append(service.listener.peers[0].address)
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
        service = await dtls.serve(port, PskLookup({peers.IDENTITY.encode(): peers.KEY}.get), handle, timer_ms=1000)
        with Relay(port) as relay:
            await asyncio.get_running_loop().run_in_executor(None, drive, relay)
        service.close()

    service = None
    asyncio.run(run())
    assert len(set(addresses)) == (2 if who == "relay" else 1)


def test_we_move_in_mid_session():
    """A NAT gives our client another port; Bouncy Castle's server follows it by its connection id."""
    peer = peers.get("BouncyCastle")

    async def run(relay):
        connection = await dtls.connect((peers.HOST, relay.port), psk(), timer_ms=1000, cid=b"\5")
        for text in (b"before", b"after"):
            question, answer = peer.ask(text)
            await connection.send(question)
            assert answer in await soon(connection.receive())
            relay.move()
        connection.close()

    port = peers.free_port()
    with peer.serve(port, cid=b"\1"), Relay(port) as relay:
        asyncio.run(run(relay))


def test_micropython_asks_openssl(tmp_path):
    """The same code as client on the unix port."""
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


def test_micropython_answers_openssl(tmp_path):
    """The same code as server on the unix port."""
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
