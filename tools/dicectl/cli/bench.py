# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl bench`: how long sealing and opening take, and what handshakes take over networks that lose."""

import sys

import rich_click as click


def _print(runs):
    """Print the results for people."""
    from dicectl.cli.table import print_table
    from dicectl.measure import speed

    for name, run in runs.items():
        click.echo(f"{name}: {run['interpreter']}, dice {run['dice']}, back end {run['backend']}")
    for name, run in runs.items():
        if "tls" in run:
            ram = run["tls"]["session_bytes"]
            heap = f", {ram:,} bytes of heap a session" if ram else ""
            psk = run["tls"]["psk"] or "no handshake with a pre-shared key: its API came with MicroPython 1.29"
            click.echo(f"tls on {name}: MicroPython's own, mbedTLS in C, {run['tls']['suite']}{heap}; {psk}")
    click.echo("yardstick: one call of AESCCM of the cryptography package, without DTLS around it")
    click.echo()
    print_table(speed.titles(runs), speed.rows(runs))
    for run in runs.values():
        if "handshakes" in run:
            click.echo(f"\n{speed.HANDSHAKES}\n")
            print_table(speed.HANDSHAKE_TITLES, speed.handshake_rows(run["handshakes"]))
        if "storms" in run:
            click.echo(f"\n{speed.LARGE_GROUPS.format(bytes=run['storms'][0]['manager_bytes'])}\n")
            print_table(speed.LARGE_GROUP_TITLES, speed.large_group_rows(run["storms"]))


def _collect_with_progress(runners, quick):
    """Return what collect() does, with a bar on a terminal's stderr meanwhile."""
    from dicectl.measure.speed import collect

    if not sys.stderr.isatty():
        return collect(runners, quick, lambda name, number, rounds: None)
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks = {name: bar.add_task(name, total=None) for name in runners}
        return collect(runners, quick, lambda name, number, rounds: bar.update(tasks[name], completed=number, total=rounds))


@click.command("bench")
@click.option("--json", "as_json", is_flag=True, help="Print the results for a machine.")
@click.option("--quick", is_flag=True, help="A few repetitions only: shows that it works, not how fast.")
@click.option("--device/--no-device", default=None, help="With the emulated RP2040.  [default: where its firmware is at hand]")
def command(as_json, quick, device):
    """Time sealing and opening of records on CPython, on MicroPython, and on an emulated RP2040; count what handshakes take.

    Measured are one record of 16 to 1024 bytes, a whole receive of a group member (with its replay check and a
    store in RAM), an HMAC-SHA256, and the derivation of a sender's key by P_SHA256. Each time is the best of several rounds.

    What a host measures is noisy and says little about a board: compare the ratios (MicroPython's time to CPython's), and the
    same row before and after a change. The RP2040's times are its own: cycles of a 125 MHz Cortex-M0+, from run to run the same.

    The handshakes run in virtual time, over networks that lose up to half of all datagrams: always the same, from seeds. So does a
    group of a thousand members with its manager.

    The AESCCM rows are a yardstick, not dice: one call of CPython's `cryptography` package. The tls rows are MicroPython's own tls
    with DTLS, both ends on the device; its handshake takes the emulator half a minute, so --quick leaves tls out there.
    """
    from dicectl.measure import speed

    if device is None:
        from dicectl.emulator import runner

        device = runner.at_hand(with_tls=not quick)
        if not device:
            click.echo(speed.NO_DEVICE, err=True)
    runs = _collect_with_progress({**speed.RUNNERS, **(speed.DEVICE if device else {})}, quick)
    if as_json:
        import json

        click.echo(json.dumps(runs, indent=2))
    else:
        _print(runs)
