# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How long sealing and opening take on CPython, on MicroPython and on an emulated RP2040, and what handshakes
take over networks that lose.

on_device/bench.py is the workload, the same file everywhere, on_device/tls_dtls.py that of MicroPython's own tls; handshakes.py and
storm.py, a group of a thousand, run in virtual time, so that CPython alone will do. A runner starts them somewhere and yields their
JSON lines as they come; one for another place to run is a function more in RUNNERS.
"""

import sys

from dicectl import resources
from dicectl.errors import CommandError
from dicectl.firmware import unix_port


def _run(command, environment, cwd=None):
    """Yield the JSON lines that a process prints; raises CommandError when it fails."""
    import json
    import subprocess

    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, cwd=cwd, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
        try:
            other = ""
            for line in process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
                else:
                    other += line
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise CommandError(f"the workload failed on {command[0]}: {other.strip() or process.returncode}")


def cpython(quick):
    """Run the workload on this Python, with the host back end, the handshakes, and a large group."""
    import os

    arguments = ["quick"] if quick else []
    for script in ("bench.py", "handshakes.py"):
        command = [sys.executable, str(resources.ON_DEVICE / script), *arguments]
        yield from _run(command, {**os.environ, "PYTHONPATH": str(resources.LIB)})
    yield from _run([sys.executable, "-m", "dicectl.measure.large_group", *arguments], dict(os.environ))


def _handshake(lines):
    """Yield the figures of on_device/session_cost.py as results."""
    for line in lines:
        for end in ("client", "server"):
            yield {"name": f"PSK handshake, {end}", "size": 0, "us": max(line[f"{end}_us"], 1), "repetitions": 1, "rounds": 1}


def micropython(quick):
    """Run the workload on MicroPython's unix port, with the device back end, and that of its tls."""
    from dicectl.emulator import runner

    arguments = ["quick"] if quick else []
    yield from _run(unix_port.command("bench.py", *arguments), unix_port.environment())
    yield from _handshake(_run(unix_port.command("session_cost.py"), unix_port.environment()))
    with runner.in_folder(runner.certificate()) as folder:
        yield from _run(unix_port.command("tls_dtls.py", *arguments), unix_port.environment(), folder)


def rp2040(quick):
    """Run the workload on an emulated RP2040, by its own clock, and that of tls on the same firmware unless it must be quick."""
    from dicectl.emulator import board, runner
    from dicectl.firmware import recipe

    firmware = board.firmware() if quick else recipe.firmware("RPI_PICO", with_tls=True) / "firmware.uf2"
    yield from runner.lines(firmware, "bench.py", ["quick"] if quick else [])
    yield from _handshake(runner.lines(firmware, "session_cost.py"))
    if not quick:  # its handshake takes half a minute to emulate
        yield from runner.lines(firmware, "tls_dtls.py", files=runner.certificate())


RUNNERS = {"cpython": cpython, "micropython": micropython}
DEVICE = {"rp2040": rp2040}
NO_DEVICE = "no figures of a board: --device builds what the emulated RP2040 runs, in a minute or two; --no-device is quiet"


def collect(runners, quick, progress):
    """Return {runner: what on_device/bench.py says of itself, with its "results", "tls", "handshakes" and "storms"}.

    Calls progress(runner, fraction done) meanwhile.
    """
    runs = {}
    for name, runner in runners.items():
        lines = runner(quick)
        run = next(lines, None)
        if run is None:
            raise CommandError(f"the workload printed nothing on {name}")
        run["results"] = []
        for line in lines:
            if "round" in line:
                progress(name, line["round"] / line["rounds"])
            elif "suite" in line:
                run["tls"] = line
            elif "phase" in line:
                run.setdefault("storms", []).append(line)
            elif "loss" in line:
                run.setdefault("handshakes", []).append(line)
            else:
                run["results"].append({**line, "per_second": round(1e6 / line["us"])})
        runs[name] = run
    return runs


def rows(runs):
    """Return the cells of a line for each measurement: name, bytes, us and operations a second of each run, and the ratio."""
    cells = {}
    for name, run in runs.items():
        for result in run["results"]:
            cells.setdefault((result["name"], result["size"]), {})[name] = result
    table = []
    for (what, size), results in cells.items():
        row = [what, str(size)]
        for name in runs:
            result = results.get(name)
            row += [f"{result['us']:.1f}", f"{result['per_second']:,}"] if result else ["-", "-"]
        both = "cpython" in results and "micropython" in results
        row.append(f"{results['micropython']['us'] / results['cpython']['us']:.2f}" if both else "-")
        table.append(row)
    return table


def titles(runs):
    """Return the heading of each column of rows()."""
    return ["operation", "bytes", *(title for name in runs for title in (f"{name} us", "per s")), "ratio"]


HANDSHAKES = (
    "full handshakes over networks that lose, in virtual time: timer 1 s, 20 ms from end to end, half of them with swapped,\n"
    "half with doubled datagrams; of those that succeed the median, 90th percentile and maximum. `name` is the length of the\n"
    "server's name in the hello, `datagram` the longest one: an MTU of 1280 bytes, IPv6's least, leaves 1232"
)
HANDSHAKE_TITLES = ["loss %", "name", "datagram", "succeed", "s", "90 %", "max", "datagrams", "90 %", "max", "bytes", "90 %", "max"]


def handshake_rows(lines):
    """Return the cells of a line for each network, under HANDSHAKE_TITLES."""
    table = []
    for line in lines:
        row = [str(line["loss"]), str(line["name"]), str(line["mtu"]), f"{100 * line['connected'] / line['handshakes']:.1f} %"]
        row += [f"{ms / 1000:.2f}" for ms in line["ms"]]
        row += [f"{value:,}" for name in ("datagrams", "bytes") for value in line[name]]
        table.append(row)
    return table


LARGE_GROUPS = (
    "a large group with its manager, in virtual time: all join within 10 s, then keys are renewed, a member is expelled, and keys\n"
    "are renewed while one has no power. `s` until all have it and it is in use; `each` member, from the beginning of that (of\n"
    "its own join): median, 90 %, maximum; datagrams and bytes of sessions, both ways, for each member; of the members, how many\n"
    "obeyed one message afterwards, which is lost as all else is; {bytes:,} bytes of memory of the manager for each member"
)
LARGE_GROUP_TITLES = ["phase", "members", "loss %", "s", "each s", "90 %", "max", "datagrams", "bytes", "obeyed"]


def large_group_rows(lines):
    """Return the cells of a line for each phase, under LARGE_GROUP_TITLES."""
    return [
        [
            *(line["phase"], f"{line['members']:,}", str(line["loss"]), f"{line['s']:.1f}"),
            *(f"{seconds:.2f}" for seconds in line["each_s"]),
            *(str(line["datagrams"]), f"{line['bytes']:,}", f"{line['heard']} %"),
        ]
        for line in lines
    ]
