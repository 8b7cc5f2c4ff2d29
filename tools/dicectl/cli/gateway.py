# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl gateway`: connects nodes on a serial bus to the network, without keys."""

import os
import socket
import time

import rich_click as click

from dicectl.cli.options import complete_port, network_options
from dicectl.errors import NO_DEVICE, USAGE, CommandError


def _group(value):
    """Return (address, port) of "239.1.2.3:9000"."""
    address, _, port = value.rpartition(":")
    try:
        raw = socket.inet_aton(address)
        if raw[0] >> 4 == 0xE and 0 < int(port) < 1 << 16:
            return socket.inet_ntoa(raw), int(port)
    except (OSError, ValueError):
        pass
    raise CommandError(f"{value} is not a group's address and port, such as 239.1.2.3:9000: see dicectl group show", USAGE)


class _Capture:
    """Writes the packets of the bus to a new file, for as long as that is possible."""

    def __init__(self, path):
        from dicectl.net import pcapng

        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._writer = pcapng.Writer(os.fdopen(handle, "wb"))
        except OSError as error:
            raise CommandError(f"cannot create {path}: {error.strerror}", USAGE)

    def __call__(self, source, target, datagram, text):
        if self._writer:
            try:
                self._writer.packet(time.time(), datagram, source, target, text)
            except OSError as error:  # a full disk stops no gateway
                self._writer = None
                click.echo(f"the capture has ended: {error.strerror}", err=True)


@click.command("gateway")
@click.argument("port", shell_complete=complete_port)
@click.option("--baud", type=click.IntRange(300, 4_000_000), default=115200, show_default=True, help="Speed of the line.")
@click.option("--group", "groups", multiple=True, help="ADDRESS:PORT of a group to forward to the bus; can be repeated.")
@click.option(
    "--recode/--no-recode", default=True, help="Send records to the bus recoded, by default; older nodes read whole ones."
)
@click.option(
    "--pcapng", type=click.Path(dir_okay=False), help="Write the packets of the bus to a new file for Wireshark, records whole."
)
@network_options
def command(port, baud, groups, recode, pcapng, interface, hops):
    """Connect nodes on a serial bus to the network.

    PORT is the bus: a UART or RS-485 adapter. Its nodes send UDP in IPv4 packets, framed by SLIP. The gateway translates each of
    their ports to one of its own. So nodes reach the manager and groups, and receive the answers: from addresses that they have
    sent to, and, for a minute after a message to a group, from its members. They also receive the messages of the groups that
    --group names. The gateway has no keys and cannot read any message. It sends whatever
    the bus sends to any address that the bus names: whoever has access to the bus can send to this computer and its network.

    On the bus, records are recoded: a command of 2 bytes takes 31 bytes instead of 59 (docs/protocol.md, section 16). The gateway
    always receives both forms. Give --no-recode while the bus has nodes of the time before that.

    \b
    Example:
      dicectl group show lamps                     (prints the address)
      dicectl gateway /dev/ttyUSB0 --group 239.192.7.1:9000
      dicectl gateway /dev/ttyUSB0 --pcapng bus.pcapng      (what is on the bus, for Wireshark)
    """
    from dicectl.net.slip_gateway import Gateway, open_serial
    from dicectl.system import require_unix

    require_unix("dicectl gateway")
    capture = _Capture(pcapng) if pcapng else None
    with open_serial(port, baud) as stream:
        try:
            joined = [_group(value) for value in groups]
            gateway = Gateway(stream, joined, interface, hops=hops or 1, recode=recode, capture=capture)
        except OSError as error:
            raise CommandError(f"cannot join the group on {interface or 'any interface'}: {error.strerror or error}", USAGE)
        click.echo(f"forwarding between {port} and the network; Ctrl-C ends it", err=True)
        try:
            while True:
                gateway.step()
        except OSError as error:
            raise CommandError(f"{port}: {error.strerror or error}", NO_DEVICE)
        except KeyboardInterrupt:
            click.echo(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in gateway.counts.items()), err=True)
        finally:
            gateway.close()
