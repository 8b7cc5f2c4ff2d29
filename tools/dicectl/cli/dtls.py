# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl dtls-client` and `dicectl dtls-server`: a DTLS session from this computer, to test a node.

The keys are pre-shared, raw public keys or certificates: see dicectl.net.credentials.
"""

import json

import rich_click as click

from dicectl import ending, small_file
from dicectl.errors import USAGE, CommandError
from dicectl.text import printable

_TIMEOUT_S = 30
_FILE = click.Path(exists=True, dir_okay=False)

_SHARED = (
    click.option("--psk-identity", help="Pre-shared keys: identity of the client."),
    click.option("--psk-file", type=_FILE, help="File with the pre-shared key in hex.  [default: ask]"),
    click.option("--ecdhe", is_flag=True, help="With forward secrecy: ECDHE_PSK."),
    click.option(
        "--key", type=_FILE, help="Private key of this side on P-256: PEM, PKCS8 or SEC1. Without --cert a raw public key."
    ),
    click.option("--passphrase-file", type=_FILE, help="File with the passphrase of an encrypted --key.  [default: ask]"),
    click.option("--cert", type=_FILE, help="Certificate of --key, and behind it those of its authorities."),
    click.option("--ca", type=_FILE, help="Certificates of the authorities that are trusted."),
    click.option(
        "--peer-key",
        "peer_keys",
        multiple=True,
        help="Raw public key that is trusted: a file in PEM, its digits in hex, or those of its SHA-256. Repeatable.",
    ),
    click.option("--log", type=click.Choice(["packets"]), help="packets: describe each datagram."),
    click.option("--keylog", type=click.Path(dir_okay=False), help="Append the master secret to a file, for Wireshark."),
    click.option("--mtu", type=click.IntRange(128, 1232), default=1232, show_default=True, help="Largest datagram in bytes."),
    click.option(
        "--timer-ms", type=click.IntRange(1), default=1000, show_default=True, help="Time until the first retransmission."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end."),
)


def _options(function):
    """Add the options that client and server share."""
    for option in reversed(_SHARED):
        function = option(function)
    return function


def _key(path, identity):
    """Return the key from a file, or prompt for it. It is no argument, because other users can read arguments."""
    if path:
        text = small_file.read(path, "a key in hex").decode("latin-1")
    else:
        text = click.prompt(f"Key of {identity} in hex", hide_input=True, err=True)
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if not 0 < len(key) <= 64:
        raise CommandError("the key is not 1 to 64 bytes in hex, such as 00112233445566778899aabbccddeeff", USAGE)
    return key


def _exchange(make, options, *arguments):
    """Return the key exchange that credentials.client or .server makes of the options, which are removed."""
    import sys

    from dice.errors import DiceError
    from dicectl.net import credentials

    def ask(path):
        question = f"Passphrase of {path}"
        return click.prompt(question, hide_input=True, err=True).encode() if sys.stdin.isatty() else None

    identity, psk_file = options.pop("psk_identity"), options.pop("psk_file")
    if psk_file and not identity:
        raise CommandError("--psk-file needs the identity of its key: --psk-identity", USAGE)
    files = {name: options.pop(name, None) for name in ("ecdhe", "key", "cert", "ca", "peer_keys", "name", "client_auth")}
    given = credentials.Options(
        identity=identity,
        psk=lambda: _key(psk_file, identity),
        passphrase=options.pop("passphrase_file"),
        ask=ask,
        warn=lambda line: click.echo(line, err=True),
        **files,
    )
    try:
        return getattr(credentials, make)(given, *arguments)
    except DiceError as error:
        raise CommandError(f"E{error.reason}: the keys cannot be used: {_sentence(error)}", USAGE)


def _sentence(error):
    from dicectl.reasons import SENTENCES

    return SENTENCES[error.reason]


def _watched(transport, log):
    """Return a transport that counts, and that prints each datagram if `log` is set."""
    from dicectl.net.watched import WatchedTransport

    return WatchedTransport(transport, (lambda line: click.echo(line, err=True)) if log else None)


def _append_keylog(path, session):
    from dicectl.net.watched import append_keylog

    if path:
        append_keylog(path, session)


def _run(coroutine):
    """Run the coroutine of a command; turn exceptions into one line."""
    import asyncio

    from dice.errors import DiceError
    from dicectl.reasons import SENTENCES

    try:
        ending.run(coroutine)
    except KeyboardInterrupt:
        pass
    except DiceError as error:
        alert = getattr(error, "alert", None)
        number = f" (alert {alert})" if alert is not None else ""
        raise CommandError(f"E{error.reason}{number}: {SENTENCES[error.reason]}")
    except (asyncio.TimeoutError, TimeoutError):
        raise CommandError("connected, but the answer to the message timed out")
    except (OSError, UnicodeError) as error:  # the latter of a name that no host can have
        raise CommandError(f"network: {error}")


def _report(connection, event, quiet):
    """Print that a session is connected, and what it uses."""
    session = connection.session
    if not quiet:
        features = {"resumed": session.resumed, "connection id": session.layer.peer_cid}
        used = [name for name, value in features.items() if value]
        click.echo(f"{event}{': ' if used else ''}{', '.join(used)}", err=True)


def _name_of(identity):
    """Return the identity of a client as text: names as they are, the SHA-256 of a raw public key in hex."""
    is_hash = len(identity) == 32 and not identity.isascii()
    return bytes(identity).hex() if is_hash else printable(identity)


def _report_end(error, quiet):
    """Print why a session ended that its client did not close."""
    from dicectl.reasons import SENTENCES

    if not quiet:
        click.echo(f"ended: E{error.reason}: {SENTENCES[error.reason]}", err=True)


@click.command("dtls-client")
@click.argument("host")
@click.argument("port", type=click.IntRange(1, 65535))
@_options
@click.option("--name", help="What the certificate of the server must be for.  [default: HOST]")
@click.option("--message", help="Send this, print one answer, and close.  [default: lines of standard input]")
@click.option("--server-name", help="Name of the requested server (SNI).")
@click.option("--alpn", multiple=True, help="Application protocol to offer, such as co.")
@click.option("--cid/--no-cid", default=True, show_default=True, help="Offer connection ids.")
@click.option("--tickets", is_flag=True, help="Request a session ticket.")
@click.option("--resume", is_flag=True, help="Connect, close, and resume the session before sending.")
@click.option("--timeout", type=click.FloatRange(0.1), default=_TIMEOUT_S, show_default=True, help="Seconds for the handshake.")
def client(host, port, **options):
    """Connect to a DTLS server, as a node does, with a pre-shared key, a raw public key or certificates.

    Lines of standard input are sent to the server, and its answers are written to standard output, until one of the two ends.
    Everything else is printed to standard error.

    \b
    Examples:
      dicectl dtls-client 192.0.2.7 5684 --psk-identity node1 --psk-file node1.key --log packets
      dicectl dtls-client localhost 5684 --psk-identity node1 --message hello
      dicectl dtls-client fe80::1%eth0 5684 --psk-identity node1 --ecdhe --message hello
      dicectl dtls-client 192.0.2.7 5684 --key mine.pem --peer-key node1.pub.pem --message hello
      dicectl dtls-client node1.example 5684 --key mine.pem --cert mine.crt --ca ca.crt --message hello
    """
    _run(_client(host, port, _exchange("client", options, host), options))


async def _client(host, port, exchange, options):
    connection, transport = await _connect((host, port), exchange, options, None)
    if options["resume"]:
        resumption = connection.session.resumption()
        connection.close()
        connection, transport = await _connect((host, port), exchange, options, resumption)
    handshake = transport.counts()
    _report(connection, "connected", options["as_json"])
    answer = await _converse(connection, options["message"], options["timeout"])
    resumed = connection.session.resumed
    connection.close()
    if options["as_json"]:
        result = {"resumed": resumed, "answer": answer, "handshake": handshake, "all": transport.counts()}
        click.echo(json.dumps({**result, "dropped": connection.session.layer.dropped}))


async def _connect(address, exchange, options, resumption):
    """Return (connection, its WatchedTransport)."""
    from dice.aio.session import connect
    from dice.transport.udp import Unicast

    transport = _watched(Unicast(address), options["log"])
    connection = await connect(
        address,
        exchange,
        timeout_s=options["timeout"],
        transport=transport,
        timer_ms=options["timer_ms"],
        mtu=options["mtu"],
        cid=b"" if options["cid"] else None,
        server_name=options["server_name"].encode() if options["server_name"] else None,
        alpn=[name.encode() for name in options["alpn"]],
        tickets=options["tickets"],
        resume=resumption,
    )
    _append_keylog(options["keylog"], connection.session)
    return connection, transport


async def _converse(connection, message, timeout_s):
    """Send a message and return its answer; without a message, connect standard input and output to the peer."""
    from dice.aio.wait import wait_for
    from dicectl.net.watched import pipe

    if message is None:
        await pipe(connection)
        return None
    await connection.send(message.encode())
    answer = await wait_for(connection.receive(), timeout_s)
    text = (answer or b"").decode(errors="replace")
    click.echo(printable(text.rstrip("\n"), "\n\t"))
    return text


@click.command("dtls-server")
@click.argument("port", type=click.IntRange(1, 65535))
@_options
@click.option(
    "--client-auth",
    type=click.Choice(["require", "none"]),
    help="Whether clients prove their public key.  [default: require if --ca or --peer-key says whom to trust]",
)
@click.option("--host", help="Listen on this address of ours alone, such as ::1.  [default: all, IPv6 and IPv4]")
@click.option("--echo", is_flag=True, help="Send messages back.  [default: print them]")
@click.option("--alpn", multiple=True, help="Application protocol, the preferred one first.")
@click.option("--cid-bytes", type=click.IntRange(0, 8), default=4, show_default=True, help="Length of connection ids; 0: none.")
@click.option("--sessions", "sessions_max", type=click.IntRange(1), default=4096, show_default=True, help="Sessions at a time.")
@click.option("--half-open", "half_open_max", type=click.IntRange(1), default=256, show_default=True, help="Handshakes at a time.")
@click.option("--connections", type=click.IntRange(1), help="Stop after this many sessions.")
def server(port, **options):
    """Serve DTLS on a UDP port: with a pre-shared key for one identity, with a raw public key or with certificates, or with both.

    The messages of clients are printed. Ctrl-C ends the server.

    \b
    Examples:
      dicectl dtls-server 5684 --psk-identity node1 --psk-file node1.key --echo
      dicectl dtls-server 5684 --key mine.pem --peer-key node1.pub.pem --echo
      dicectl dtls-server 5684 --key mine.pem --cert mine.crt --ca ca.crt --psk-identity node2 --echo
    """
    _run(_server(port, _exchange("server", options), options))


async def _server(port, exchange, options):
    import asyncio

    from dice.aio.service import serve
    from dice.errors import DiceError
    from dice.transport.udp import Unicast
    from dicectl.manager.service import MESSAGES_MAX_BYTES

    try:
        listening = Unicast(None, port, options["host"])
    except OSError as error:
        where = f"UDP port {port}" + (f" of {options['host']}" if options["host"] else "")
        raise CommandError(f"cannot serve on {where}: {error.strerror or error}; choose another port")
    transport = _watched(listening, options["log"])
    done = asyncio.Event()
    count = 0

    async def handle(connection):
        nonlocal count
        _append_keylog(options["keylog"], connection.session)
        _report(connection, f"connected: {_name_of(connection.session.identity)}", options["as_json"])
        try:
            async for data in connection:
                click.echo(printable(bytes(data).rstrip(b"\n")))
                if options["echo"] and len(data) <= connection.session.data_max():  # --mtu may be smaller than the client's
                    await connection.send(data)
        except DiceError as error:
            _report_end(error, options["as_json"])
        count += 1
        if count == options["connections"]:
            done.set()

    exchange.bytes_max = max(exchange.bytes_max, MESSAGES_MAX_BYTES)
    alpn = [name.encode() for name in options["alpn"]]
    common = {name: options[name] for name in ("timer_ms", "mtu", "cid_bytes", "sessions_max", "half_open_max")}
    service = await serve(port, exchange, handle, transport=transport, alpn=alpn, **common)
    if not options["as_json"]:
        click.echo(f"listening on UDP port {port}", err=True)
    try:
        await _serve_until(done, service)
    finally:
        service.close()
    _report_counts(count, service.listener.refused, transport, options["as_json"])


async def _serve_until(done, service):
    """Wait for an event; raises CommandError if the service fails before."""
    import asyncio

    tasks = [asyncio.ensure_future(work) for work in (done.wait(), service.wait_closed())]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    except OSError as error:
        raise CommandError(f"the network has failed: {error.strerror or error}")
    finally:
        for task in tasks:
            task.cancel()


def _report_counts(sessions, refused, transport, as_json):
    if as_json:
        click.echo(json.dumps({"sessions": sessions, "refused": refused, **transport.counts()}))
    elif refused:
        click.echo(
            f"refused {refused} hellos: all slots were taken, or too many came from one address; raise --half-open", err=True
        )
