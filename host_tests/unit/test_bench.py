# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl bench` makes every measurement on both interpreters. The durations are not tested."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from dice import __version__
from dicectl import resources
from dicectl.cli import bench
from dicectl.errors import CommandError
from dicectl.measure import scale, speed

SIZES = (16, 64, 256, 1024)
BOTH = {(name, size) for name in ("seal", "open") for size in SIZES} | {
    ("group open", 64),
    ("HMAC-SHA256", 64),
    ("P_SHA256", 20),
}
PSK = {("PSK handshake, client", 0), ("PSK handshake, server", 0)}
TLS = {
    ("tls: PSK handshake, client", 0),
    ("tls: PSK handshake, server", 0),
    ("tls: seal", 64),
    ("tls: open", 64),
    ("tls: handshake, client", 0),
    ("tls: handshake, server", 0),
}
YARDSTICK = {("yardstick: AESCCM", size) for size in SIZES}
MTUS = (1232, 1232, 256, 128)  # the first with a short hello
LOSSES = (0, 10, 20, 30, 50)
BACKENDS = {"cpython": "host", "micropython": "device"}


def run(*arguments):
    """Return the output of `dicectl bench`."""
    command = [sys.executable, "-m", "dicectl", "bench", "--quick", "--no-device", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_json_contains_every_measurement_of_both_interpreters():
    runs = json.loads(run("--json"))
    assert set(runs) == {"cpython", "micropython"}
    for name, measured in runs.items():
        assert measured["interpreter"].startswith(name + " ")
        assert measured["dice"] == __version__
        assert measured["backend"].startswith(BACKENDS[name])
        rows = [(result["name"], result["size"]) for result in measured["results"]]
        assert len(rows) == len(set(rows))
        assert set(rows) == BOTH | (YARDSTICK if name == "cpython" else TLS | PSK)
        assert ("handshakes" in measured) == (name == "cpython")
        for result in measured["results"]:
            assert result["us"] > 0
            assert result["per_second"] > 0
            assert result["repetitions"] > 0


def test_handshakes_over_lossy_networks_are_measured():
    networks = json.loads(run("--json"))["cpython"]["handshakes"]
    assert [(line["mtu"], line["loss"]) for line in networks] == [(mtu, loss) for mtu in MTUS for loss in LOSSES]
    for line in networks:
        assert line["connected"] == line["handshakes"] or line["loss"] == 50
        for what in ("ms", "datagrams", "bytes"):
            assert sorted(line[what]) == line[what] and len(line[what]) == 3
    for start in range(0, len(networks), len(LOSSES)):
        medians = [line["ms"][0] for line in networks[start : start + len(LOSSES)]]
        assert medians[0] < 1000 < medians[-1]
    without_loss = networks[:: len(LOSSES)]
    assert [line["datagrams"][0] for line in without_loss] == [6, 6, 8, 10], "a smaller MTU takes more datagrams"
    assert 400 < without_loss[0]["bytes"][0] < 500
    assert speed.handshake_rows(networks)[0][:4] == ["0", "0", "1232", "100.0 %"]


def test_a_large_group_is_measured():
    large_groups = json.loads(run("--json"))["cpython"]["storms"]
    phases = ["join", "re-key", "expulsion", "re-key, one lost"]
    assert [(line["phase"], line["loss"]) for line in large_groups] == [(phase, loss) for loss in (0, 10) for phase in phases]
    for line in large_groups:
        assert line["heard"] == 100 if not line["loss"] else 70 < line["heard"] <= 100
        assert sorted(line["each_s"]) == line["each_s"] and line["each_s"][-1] <= line["s"]
        assert line["manager_bytes"] < 20_000
    without_loss = {line["phase"]: line for line in large_groups if not line["loss"]}
    assert 2.0 <= without_loss["re-key"]["datagrams"] <= 4.3, "more than a GSA, the request to enter it, and their responses"
    assert without_loss["re-key"]["s"] < 5 < 30 < without_loss["re-key, one lost"]["s"] < 60, "who does not answer for 30 s is away"
    assert speed.large_group_rows(large_groups)[0][:3] == ["join", "50", "0"]


def test_plain_output_is_aligned_tables():
    head, table, overview, handshakes, about, large_groups = run().split("\n\n")
    assert "bytes of memory for each member" in about
    lines = large_groups.splitlines()
    assert len(lines) == 1 + 8 and len({len(line) for line in lines}) == 1, large_groups
    assert "1280" in overview and "1232" in overview
    lines = handshakes.splitlines()
    assert len(lines) == 1 + 5 * len(MTUS) and len({len(line) for line in lines}) == 1, handshakes
    assert [line.split(":")[0] for line in head.splitlines()] == ["cpython", "micropython", "tls on micropython", "yardstick"]
    lines = table.splitlines()
    assert lines[0].split() == ["operation", "bytes", "cpython", "us", "per", "s", "micropython", "us", "per", "s", "ratio"]
    assert len(lines) == 1 + len(BOTH | YARDSTICK | TLS | PSK)
    assert len({len(line) for line in lines}) == 1, table
    assert "\x1b" not in table


def test_ratios_compare_the_same_measurement():
    def made(us):
        return {"results": [{"name": "seal", "size": 16, "us": us, "per_second": round(1e6 / us)}]}

    assert speed.rows({"cpython": made(10.0), "micropython": made(25.0)}) == [
        ["seal", "16", "10.0", "100,000", "25.0", "40,000", "2.50"],
    ]
    assert speed.rows({"cpython": made(10.0), "micropython": {"results": []}})[0][-1] == "-"


def test_a_failing_workload_is_reported(tmp_path, monkeypatch):
    (tmp_path / "bench.py").write_text("print('{\"interpreter\": \"x\"}')\nraise ValueError('no tag')\n")
    monkeypatch.setattr(resources, "ON_DEVICE", tmp_path)
    for runner in speed.RUNNERS.values():
        with pytest.raises(CommandError, match="no tag"):
            list(runner(True))


def test_without_firmware_the_command_that_builds_it_is_named(monkeypatch, tmp_path):
    """Nothing is built without a request."""
    monkeypatch.setenv("DICE_CACHE", str(tmp_path))
    monkeypatch.delenv("DICE_FIRMWARE", raising=False)
    monkeypatch.setattr(speed, "RUNNERS", {})
    done = CliRunner().invoke(bench.command, ["--json"])
    assert (done.exit_code, done.stdout) == (0, "{}\n")
    assert "--device builds" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_many_sessions_and_a_real_manager_are_measured():
    done = CliRunner().invoke(bench.command, ["--scale", "--quick", "--json"], catch_exceptions=False)
    found = json.loads(done.stdout)
    assert [line["sessions"] for line in found["scale_sessions"]] == [1, 100]
    assert all(line["record_us"] > 0 and line["handshake_us"] > 0 and line["session_bytes"] > 0 for line in found["scale_sessions"])
    assert [line["phase"] for line in found["scale_devices"]] == ["join", "re-key", "expulsion", "restart"]
    rows = scale.session_rows(found["scale_sessions"]), scale.device_rows(found["scale_devices"])
    assert {len(row) for row in rows[0]} == {len(scale.SESSION_TITLES)} and {len(row) for row in rows[1]} == {
        len(scale.DEVICE_TITLES)
    }
