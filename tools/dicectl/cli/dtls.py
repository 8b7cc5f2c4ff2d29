# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl dtls-client` and `dicectl dtls-server`: a DTLS session with a pre-shared key, from this computer, to try a node."""

import contextlib
import json
import sys
import time
from pathlib import Path

import rich_click as click

from dicectl.errors import USAGE, CommandError

_TIMEOUT_S = 30
_LAST_ANSWER_S = 1


_SHARED = (
    click.option("--psk-identity", required=True, help="Who the client is."),
    click.option("--psk-file", type=click.Path(exists=True, dir_okay=False), help="File with the key in hex.  [default: ask]"),
    click.option("--log", type=click.Choice(["packets"]), help="packets: tell each datagram in words."),
    click.option("--keylog", type=click.Path(dir_okay=False), help="Append the master secret there, so that Wireshark decrypts."),
    click.option("--mtu", type=click.IntRange(128, 1232), default=1232, show_default=True, help="Bytes of a datagram, at most."),
    click.option("--timer-ms", type=click.IntRange(1), default=1000, show_default=True, help="Before the first retransmission."),
    click.option("--json", "as_json", is_flag=True, help="For programs: one object at the end."),
)


def _options(function):
    """Add the options that client and server share."""
    for option in reversed(_SHARED):
        function = option(function)
    return function


def _key(path, identity):
    """Return the key from a file, or ask for it; never from an argument, which others could see."""
    text = Path(path).read_text() if path else click.prompt(f"Key of {identity} in hex", hide_input=True, err=True)
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if not 0 < len(key) <= 64:
        raise CommandError("the key is not 1 to 64 bytes in hex, such as 00112233445566778899aabbccddeeff", USAGE)
    return key


class _Watched:
    """A transport that tells and counts what passes."""

    def __init__(self, transport, log):
        self._transport = transport
        self._log = log
        self._start = time.monotonic()
        self.socket = transport.socket
        self.sent = [0, 0]
        self.received = [0, 0]

    def _note(self, arrow, count, datagram):
        from dicectl.net.dissect import describe

        count[0] += 1
        count[1] += len(datagram)
        if self._log:
            click.echo(f"{time.monotonic() - self._start:7.3f} {arrow} {len(datagram):4} bytes  {describe(datagram)}", err=True)

    def send(self, datagram, address=None):
        self._note("->", self.sent, datagram)
        self._transport.send(datagram, address)

    def receive(self):
        datagram, address = self._transport.receive()
        if datagram:
            self._note("<-", self.received, datagram)
        return datagram, address

    def close(self):
        self._transport.close()

    def figures(self):
        """Return what `--json` tells."""
        names = ("datagrams", "bytes")
        return {"sent": dict(zip(names, self.sent)), "received": dict(zip(names, self.received))}


def _write_keylog(path, session):
    """Append the session's secret in the NSS key log format; only its owner may read the file."""
    import os

    from dicectl.net.dissect import keylog

    if path:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
            file.write(keylog(session) + "\n")


def _lines():
    """Return a queue of the lines of standard input, None behind the last.

    A thread reads them, past Python's buffers, whose lock it would hold at the end: that comes also while it waits.
    """
    import asyncio
    import os
    import threading

    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()

    def read():
        rest, part = b"", b"-"
        with contextlib.suppress(RuntimeError, OSError):  # the program has come to its end
            while part:
                part = os.read(sys.stdin.fileno(), 1 << 16)
                *lines, rest = (rest + part).split(b"\n")
                if not part and rest:
                    lines.append(rest)
                for line in lines:
                    loop.call_soon_threadsafe(queue.put_nowait, line + b"\n")
            loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return queue


async def _send_lines(connection):
    """Send each line of standard input; after the last, give the peer a moment to answer, and close."""
    import asyncio

    lines = _lines()
    try:
        while (line := await lines.get()) is not None:
            await connection.send(line)
        await asyncio.sleep(_LAST_ANSWER_S)
    finally:
        connection.close()


@click.command("dtls-client")
@click.argument("host")
@click.argument("port", type=click.IntRange(1, 65535))
@_options
@click.option("--message", help="Send this, print one answer, and close.  [default: lines of standard input]")
@click.option("--server-name", help="Name of the server that is meant (SNI).")
@click.option("--alpn", multiple=True, help="Application protocol to offer, such as co.")
@click.option("--cid/--no-cid", default=True, show_default=True, help="Offer connection ids.")
@click.option("--tickets", is_flag=True, help="Take a ticket to resume by.")
@click.option("--resume", is_flag=True, help="Connect, close, and connect again by resumption, before sending.")
@click.option("--timeout", type=click.FloatRange(0.1), default=_TIMEOUT_S, show_default=True, help="Seconds for the handshake.")
def client(host, port, **options):
    """Connect to a DTLS server with a pre-shared key, as a node does.

    Standard input goes to the server line by line, and what it answers to standard output, until one of the two ends. What is told
    goes to standard error.

    \b
    Examples:
      dicectl dtls-client 192.0.2.7 5684 --psk-identity node1 --psk-file node1.key --log packets
      dicectl dtls-client localhost 5684 --psk-identity node1 --message hello
    """
    _run(_client(host, port, _key(options.pop("psk_file"), options["psk_identity"]), options))


def _run(coroutine):
    """Run a command's coroutine; turn what went wrong into one line."""
    import asyncio

    from dice.errors import DiceError
    from dicectl.reasons import SENTENCES

    try:
        asyncio.run(coroutine)
    except KeyboardInterrupt:
        pass
    except DiceError as error:
        alert = getattr(error, "alert", None)
        told = f" (alert {alert})" if alert is not None else ""
        raise CommandError(f"E{error.reason}{told}: {SENTENCES[error.reason]}")
    except (asyncio.TimeoutError, TimeoutError):
        raise CommandError("connected, but no answer to the message in time")
    except OSError as error:
        raise CommandError(f"network: {error}")


async def _client(host, port, key, options):
    from dice.aio import session as dtls
    from dice.dtls.kx_psk import Psk
    from dice.transport.udp import Unicast

    resumption = None
    for again in (True, False) if options["resume"] else (False,):
        watched = _Watched(Unicast((host, port)), options["log"])
        connection = await dtls.connect(
            (host, port),
            Psk(options["psk_identity"].encode(), key),
            timeout_s=options["timeout"],
            transport=watched,
            timer_ms=options["timer_ms"],
            mtu=options["mtu"],
            cid=b"" if options["cid"] else None,
            server_name=options["server_name"].encode() if options["server_name"] else None,
            alpn=[name.encode() for name in options["alpn"]],
            tickets=options["tickets"],
            resume=resumption,
        )
        _write_keylog(options["keylog"], connection.session)
        resumption = connection.session.resumption()
        if again:
            connection.close()
    handshake = watched.figures()
    _report(connection, "connected", options["as_json"])
    answer = await _talk(connection, options["message"], options["timeout"])
    resumed = connection.session.resumed
    connection.close()
    if options["as_json"]:
        said = {"resumed": resumed, "answer": answer, "handshake": handshake, "all": watched.figures()}
        click.echo(json.dumps({**said, "dropped": connection.session.layer.dropped}))


async def _talk(connection, message, timeout_s):
    """Send a message and return its answer, or be a pipe between standard input and the peer."""
    import asyncio

    if message is not None:
        await connection.send(message.encode())
        answer = await asyncio.wait_for(connection.receive(), timeout_s)
        click.echo((answer or b"").decode(errors="replace").rstrip("\n"))
        return (answer or b"").decode(errors="replace")
    sending = asyncio.ensure_future(_send_lines(connection))
    try:
        async for data in connection:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
    finally:
        sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending  # raises what went wrong there
    return None


def _report(connection, what, quiet):
    session = connection.session
    if not quiet:
        more = [name for name, true in (("resumed", session.resumed), ("connection id", session.layer.peer_cid)) if true]
        click.echo(f"{what}{': ' if more else ''}{', '.join(more)}", err=True)


@click.command("dtls-server")
@click.argument("port", type=click.IntRange(1, 65535))
@_options
@click.option("--echo", is_flag=True, help="Send back what comes.  [default: print it]")
@click.option("--alpn", multiple=True, help="Application protocol, the preferred first.")
@click.option("--cid-bytes", type=click.IntRange(0, 8), default=1, show_default=True, help="Length of connection ids; 0: none.")
@click.option("--connections", type=click.IntRange(1), help="Stop after so many sessions.")
def server(port, **options):
    """Serve DTLS with a pre-shared key on a UDP port, for one identity.

    What clients send is printed. Ends with Ctrl-C.

    \b
    Example:
      dicectl dtls-server 5684 --psk-identity node1 --psk-file node1.key --echo
    """
    _run(_server(port, _key(options.pop("psk_file"), options["psk_identity"]), options))


async def _server(port, key, options):
    import asyncio

    from dice.aio import session as dtls
    from dice.dtls.kx_psk_server import PskLookup
    from dice.transport.udp import Unicast

    watched = _Watched(Unicast(None, port), options["log"])
    done = asyncio.Event()
    count = 0

    async def handle(connection):
        nonlocal count
        _write_keylog(options["keylog"], connection.session)
        _report(connection, f"connected: {connection.session.identity.decode(errors='replace')}", options["as_json"])
        async for data in connection:
            click.echo(data.decode(errors="replace").rstrip("\n"))
            if options["echo"]:
                await connection.send(data)
        count += 1
        if count == options["connections"]:
            done.set()

    keys = {options["psk_identity"].encode(): key}
    alpn = [name.encode() for name in options["alpn"]]
    common = {"timer_ms": options["timer_ms"], "mtu": options["mtu"], "cid_bytes": options["cid_bytes"]}
    service = await dtls.serve(port, PskLookup(keys.get), handle, transport=watched, alpn=alpn, **common)
    if not options["as_json"]:
        click.echo(f"listening on UDP port {port}", err=True)
    try:
        await done.wait()
    finally:
        service.close()
    if options["as_json"]:
        click.echo(json.dumps({"sessions": count, "refused": service.listener.refused, **watched.figures()}))
