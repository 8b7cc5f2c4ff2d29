# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl demo`: a secured group at work, and under attack."""

import rich_click as click

_DESCRIPTION = (
    "A terminal that runs dicectl demo. A switch turns three lamps on and off by secured multicast messages; a table shows which "
    "lamps are on, how many messages each has obeyed, and how many it has dropped. An attacker replays, forges, alters and floods, "
    "a switch and a lamp lose power, OpenSSL asks the switch for a lamp's state, and a manager delivers keys and expels a node. "
    "At the end all checks have passed."
)


def _firmware():
    """Return the path of the RP2040's firmware; if it cannot be built, print why and return None."""
    from dicectl.cli.progress import with_progress
    from dicectl.demo import emulated_node
    from dicectl.errors import CommandError

    try:
        return with_progress(emulated_node.firmware)
    except CommandError as failure:
        click.echo(f"no firmware for an emulated RP2040: {failure.format_message()}", err=True)
        return None


@click.command("demo")
@click.option("--pcap", type=click.File("wb", lazy=False), help="Write all network traffic to FILE, for Wireshark.")
@click.option(
    "--record",
    type=click.File("a", encoding="utf-8", lazy=False),
    help="Write the demo to FILE, an animated SVG of about 40 seconds. Long pauses are shortened.",
)
@click.option("--no-board", is_flag=True, help="Omit the emulated RP2040, and so the build of its firmware.")
@click.option("--ipv6", is_flag=True, help="Use a network of IPv6 alone, without the RP2040, whose bus is IPv4.")
def command(pcap, record, no_board, ipv6):
    """Watch a secured group at work, and under attack.

    A switch and three lamps are MicroPython processes with a heap of 72 KB (the switch: 160 KB). They run in a network namespace:
    nothing is sent to a real network, and root is not needed. An attacker replays, forges, alters and floods. The switch and a lamp
    lose power. OpenSSL asks the switch for a lamp's state. A manager delivers keys to ten more nodes, one of them an emulated
    RP2040 on a serial bus, expels one, and is killed. Every claim is checked; the exit status is 0 if all checks pass. The first
    run builds the RP2040's firmware, which takes a minute.

    \b
    Examples:
      dicectl demo
      dicectl demo --no-board --pcap demo.pcapng
    """
    from dicectl.system import require_linux

    require_linux("dicectl demo")
    import tempfile
    from pathlib import Path

    from dicectl.demo import scenario
    from dicectl.demo.display import Display
    from dicectl.demo.nodes import Testbed, create_group
    from dicectl.demo.recording import Recording
    from dicectl.errors import CommandError
    from dicectl.firmware import unix_port
    from dicectl.net import namespace

    namespace.check()
    with tempfile.TemporaryDirectory(prefix="dice-demo-") as folder:
        folder = Path(folder)
        unix_port.compile_to(folder / "code")
        image = None if no_board or ipv6 else _firmware()
        namespace.enter(ipv6)
        recording = Recording("dicectl demo") if record else None
        with Display(recording) as display:
            testbed = Testbed(folder, folder / "code", create_group(folder / "lamps.group", ipv6), display.refresh)
            try:
                scenario.play(testbed, display, image)
            finally:
                testbed.close()
                if pcap:
                    testbed.tap.write_pcap(pcap)
    if record:
        record.truncate(0)
        record.write(recording.svg("dicectl demo", _DESCRIPTION))
    if display.failed:
        raise CommandError(f"{display.failed} checks failed")
