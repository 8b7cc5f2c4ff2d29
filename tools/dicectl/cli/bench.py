# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl bench`: the time that sealing and opening take, and what handshakes take over networks that lose datagrams."""

import rich_click as click

from dicectl.errors import USAGE, CommandError


def _print(runs):
    """Print the results for people."""
    from dicectl.cli.table import print_table
    from dicectl.measure import speed

    for name, run in runs.items():
        click.echo(f"{name}: {run['interpreter']}, dice {run['dice']}, back end {run['backend']}")
    for name, run in runs.items():
        if "tls" in run:
            ram = run["tls"]["session_bytes"]
            heap = f", {ram:,} bytes of heap for a session" if ram else ""
            psk = run["tls"]["psk"] or "no handshake with a pre-shared key, which needs MicroPython 1.29"
            click.echo(f"tls on {name}: MicroPython's own, mbedTLS in C, {run['tls']['suite']}{heap}; {psk}")
    click.echo("yardstick: one call of AESCCM of the cryptography package, without DTLS")
    click.echo()
    print_table(speed.titles(runs), speed.rows(runs))
    for run in runs.values():
        if "handshakes" in run:
            click.echo(f"\n{speed.HANDSHAKES}\n")
            print_table(speed.HANDSHAKE_TITLES, speed.handshake_rows(run["handshakes"]))
        if "storms" in run:
            click.echo(f"\n{speed.LARGE_GROUPS.format(bytes=run['storms'][0]['manager_bytes'])}\n")
            print_table(speed.LARGE_GROUP_TITLES, speed.large_group_rows(run["storms"]))


def _scale(quick, as_json):
    """Measure many sessions and many devices."""
    import json

    from dicectl.cli.table import print_table
    from dicectl.measure import scale
    from dicectl.system import require_unix

    require_unix("a measurement of the group manager")
    found = scale.collect(quick, lambda text: click.echo(f"{text} ...", err=True))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"{scale.SESSIONS_TEXT}\n")
    print_table(scale.SESSION_TITLES, scale.session_rows(found["scale_sessions"]))
    click.echo(f"\n{scale.DEVICES_TEXT}\n")
    print_table(scale.DEVICE_TITLES, scale.device_rows(found["scale_devices"]))


def _airtime(as_json):
    """Print how long messages are on the air."""
    import json

    from dicectl.cli.table import print_table
    from dicectl.measure import airtime

    if as_json:
        click.echo(json.dumps(airtime.figures(), indent=2))
        return
    click.echo(f"{airtime.TEXT}\n")
    print_table(airtime.TITLES, airtime.rows())


def _keys(quick, write, as_json):
    """Measure handshakes with each kind of key."""
    import json

    from dicectl import resources
    from dicectl.cli.progress import with_progress
    from dicectl.cli.table import print_table
    from dicectl.measure import key_handshakes

    if write:
        root = resources.clone("bench --keys --write")
    found = with_progress(lambda progress: key_handshakes.collect(progress, quick))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(f"{key_handshakes.TEXT}\n")
        print_table(key_handshakes.TITLES, key_handshakes.lines(found))
        if chains := key_handshakes.chain_lines(found):
            click.echo(f"\n{key_handshakes.CHAIN_TEXT}\n")
            print_table(("code", "time"), chains)
    if write:
        for path, text in list(key_handshakes.generated(found)):
            path.write_text(text)
            click.echo(f"{path.relative_to(root)}: written", err=True)


@click.command("bench")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--airtime", is_flag=True, help="Compute how long a command of 2 bytes is on the air, recoded and beside others.")
@click.option("--scale", is_flag=True, help="Measure servers with up to 10,000 sessions, and managers of up to 10,000 devices.")
@click.option("--keys", is_flag=True, help="Measure handshakes with each kind of key on the emulated RP2040, tls beside them.")
@click.option("--write", is_flag=True, help="With --keys: write docs/handshakes.*, from which the README takes its figures.")
@click.option("--quick", is_flag=True, help="Repeat only a few times: this shows that it works, not how fast it is.")
@click.option("--device/--no-device", default=None, help="Use the emulated RP2040.  [default: if its firmware is built]")
def command(as_json, airtime, keys, write, quick, scale, device):
    """Time the sealing and opening of records on CPython, MicroPython and an emulated RP2040; count the cost of handshakes.

    The benchmark seals and opens one record of 16 to 1024 bytes. It also times a complete receive of a group member (with the
    replay check and a store in RAM), an HMAC-SHA256, and the derivation of a sender's key by P_SHA256. Each time is the best of
    several rounds.

    Times on a host are noisy and say little about a board. Compare ratios (MicroPython to CPython), and the same row before and
    after a change. Times on the RP2040 are cycles of its 125 MHz Cortex-M0+ and the same in each run.

    Handshakes run in virtual time, over networks that lose up to half of all datagrams, from fixed seeds. So does a group of a
    thousand members with its manager.

    The AESCCM rows are a yardstick, not dice: one call of CPython's `cryptography` package. The tls rows are MicroPython's own tls
    with DTLS, with both ends on the device. Its handshake takes half a minute to emulate, so --quick omits tls there.

    With --keys, only handshakes are measured, on the emulated RP2040, whose firmware is built if it is missing: with pre-shared
    keys, raw public keys and certificates; with P-256 in Python, in the small and in the fast native module; and with
    MicroPython's own tls. That takes ten minutes; with --quick, raw public keys and the fast module alone, half a minute.

    With --scale, only that is measured; it takes a quarter of an hour. The times are CPU times of this computer. With --airtime,
    nothing is measured: the times follow from sizes, by the formulas of docs/comparison.md.

    \b
    Examples:
      dicectl bench --quick --no-device
      dicectl bench --scale --json
      dicectl bench --airtime
      dicectl bench --keys --quick
    """
    if write and (quick or not keys):
        raise CommandError("--write is for the figures of --keys, all of them: leave out --quick", USAGE)
    if keys:
        _keys(quick, write, as_json)
        return
    if airtime:
        _airtime(as_json)
        return
    if scale:
        _scale(quick, as_json)
        return
    from dicectl.cli.progress import bar
    from dicectl.measure import speed

    if device is None:
        from dicectl.emulator import runner

        device = runner.at_hand(with_tls=not quick)
        if not device:
            click.echo(speed.NO_DEVICE, err=True)
    runners = {**speed.RUNNERS, **(speed.DEVICE if device else {})}
    with bar() as report:
        runs = speed.collect(runners, quick, report or (lambda text, fraction: None))
    if as_json:
        import json

        click.echo(json.dumps(runs, indent=2))
    else:
        _print(runs)
