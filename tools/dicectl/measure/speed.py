# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The time that sealing and opening take on CPython, MicroPython and an emulated RP2040, and the cost of handshakes.

on_device/bench.py is the workload, the same file on each of them, and on_device/tls_dtls.py that of MicroPython's own tls.
on_device/handshakes.py and measure/large_group.py run in virtual time, on CPython only. A runner starts the workload on one
interpreter and yields its JSON lines; add a function to RUNNERS to measure another one.
"""

import sys

from dicectl import resources
from dicectl.errors import CommandError
from dicectl.firmware import unix_port


def _run(command, environment, cwd=None):
    """Yield the JSON lines that a process prints; raises CommandError if it fails."""
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
    """Run the workload with the host back end, the handshakes, and a large group on this Python."""
    import os

    arguments = ["quick"] if quick else []
    for script in ("bench.py", "handshakes.py"):
        command = [sys.executable, str(resources.ON_DEVICE / script), *arguments]
        yield from _run(command, {**os.environ, "PYTHONPATH": str(resources.LIB)})
    yield from _run([sys.executable, "-m", "dicectl.measure.large_group", *arguments], dict(os.environ))


def _handshake(lines):
    """Yield the times of on_device/session_cost.py as results."""
    for line in lines:
        for end in ("client", "server"):
            yield {"name": f"PSK handshake, {end}", "size": 0, "us": max(line[f"{end}_us"], 1), "repetitions": 1, "rounds": 1}


def micropython(quick):
    """Run the workload with the device back end, and the workload of tls, on MicroPython's unix port."""
    from dicectl.emulator import runner

    arguments = ["quick"] if quick else []
    yield from _run(unix_port.command("bench.py", *arguments), unix_port.environment())
    yield from _handshake(_run(unix_port.command("session_cost.py"), unix_port.environment()))
    with runner.in_folder(runner.certificate()) as folder:
        yield from _run(unix_port.command("tls_dtls.py", *arguments), unix_port.environment(), folder)


def rp2040(quick):
    """Run the workload on an emulated RP2040, timed by its own clock; unless `quick`, also that of tls in the same firmware."""
    from dicectl.emulator import board, runner
    from dicectl.firmware import recipe

    firmware = board.firmware() if quick else recipe.firmware("RPI_PICO", with_tls=True) / "firmware.uf2"
    yield from runner.lines(firmware, "bench.py", ["quick"] if quick else [])
    yield from _handshake(runner.lines(firmware, "session_cost.py"))
    if not quick:  # its handshake takes half a minute to emulate
        yield from runner.lines(firmware, "tls_dtls.py", files=runner.certificate())


RUNNERS = {"cpython": cpython, "micropython": micropython}
DEVICE = {"rp2040": rp2040}
NO_DEVICE = "no times of a board: --device builds firmware for the emulated RP2040, in a minute or two; --no-device omits this line"


def collect(runners, quick, progress):
    """Return {runner: the first line of on_device/bench.py, with the other lines as "results", "tls", "handshakes" and "storms"}.

    Calls progress(runner, fraction done).
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
    """Return the cells of a row for each measurement: name, bytes, us and operations per second of each run, and the ratio."""
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
    "full handshakes over networks that lose datagrams, in virtual time: timer 1 s, latency 20 ms; half of the networks swap\n"
    "datagrams, half duplicate them. Median, 90th percentile and maximum of the handshakes that succeed. `name` is the length\n"
    "of the server name in the hello, `datagram` the longest datagram: IPv6's minimum MTU of 1280 bytes leaves 1232"
)
HANDSHAKE_TITLES = ["loss %", "name", "datagram", "succeed", "s", "90 %", "max", "datagrams", "90 %", "max", "bytes", "90 %", "max"]


def handshake_rows(lines):
    """Return the cells of a row for each network, under HANDSHAKE_TITLES."""
    table = []
    for line in lines:
        row = [str(line["loss"]), str(line["name"]), str(line["mtu"]), f"{100 * line['connected'] / line['handshakes']:.1f} %"]
        row += [f"{ms / 1000:.2f}" for ms in line["ms"]]
        row += [f"{value:,}" for name in ("datagrams", "bytes") for value in line[name]]
        table.append(row)
    return table


LARGE_GROUPS = (
    "a large group with its manager, in virtual time: all members join within 10 s, the keys are renewed, a member is expelled,\n"
    "and the keys are renewed while one member has no power. `s`: until all members have the epoch and it is in use; `each s`:\n"
    "until one member has it: median, 90 %, maximum; datagrams and bytes of a member's session, both ways; `obeyed`: members\n"
    "that received one message afterwards, which may be lost too. The manager needs {bytes:,} bytes of memory for each member"
)
LARGE_GROUP_TITLES = ["phase", "members", "loss %", "s", "each s", "90 %", "max", "datagrams", "bytes", "obeyed"]


def large_group_rows(lines):
    """Return the cells of a row for each phase, under LARGE_GROUP_TITLES."""
    return [
        [
            *(line["phase"], f"{line['members']:,}", str(line["loss"]), f"{line['s']:.1f}"),
            *(f"{seconds:.2f}" for seconds in line["each_s"]),
            *(str(line["datagrams"]), f"{line['bytes']:,}", f"{line['heard']} %"),
        ]
        for line in lines
    ]
