# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The demo as users run it, its capture in Wireshark, and its failures."""

import os
import pty
import re
import shutil
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dice.group.member import Member
from dice.store import FileStore
from dice.transport.udp import Multicast
from dicectl.manager import group_file
from dicectl.net import namespace

_NO_NETWORK = ("cannot make a network namespace", "needs Linux")


def _program(before=""):
    """Return the argument vector of `dicectl demo`, run after some Python code that modifies it."""
    program = f"import sys; sys.argv[0] = 'dicectl'; {before}\nfrom dicectl.__main__ import main\nmain()"
    return [sys.executable, "-c", program, "demo"]


def _demo(*arguments, before=""):
    """Run the demo; return the finished process. Skip the test if there can be no network for it."""
    return _or_skip(subprocess.run([*_program(before), *arguments], capture_output=True, text=True))


def _or_skip(done):
    if any(reason in done.stderr for reason in _NO_NETWORK):
        pytest.skip(done.stderr.strip())
    return done


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the demo once; return (finished process with the path of its `picture`, capture file)."""
    folder = tmp_path_factory.mktemp("demo")
    capture, picture = folder / "demo.pcap", folder / "demo.svg"
    picture.write_text("of an earlier run")
    done = _demo("--pcap", str(capture), "--record", str(picture))
    done.picture = picture
    return done, capture


def test_the_demo_succeeds(demo):
    """All checks pass, and the last line reports that, in plain text."""
    done, _ = demo
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("All checks passed: ")
    assert "WRONG" not in done.stdout
    assert "\x1b" not in done.stdout


@pytest.fixture(scope="module")
def demo_on_a_terminal(demo, tmp_path_factory):
    """Run the demo with IPv6 alone, on a terminal of its own; return (exit status, output, capture file)."""
    capture = tmp_path_factory.mktemp("demo") / "demo.pcap"
    terminal, other_end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160", "LINES": "40"}
    argv = [*_program(), "--ipv6", "--pcap", str(capture)]
    process = subprocess.Popen(argv, stdin=other_end, stdout=other_end, stderr=other_end, env=environment)
    os.close(other_end)
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:  # on Linux, the end of a terminal
        pass
    os.close(terminal)
    return process.wait(), shown.decode(), capture


def _screen(written):
    """Return the text on a long terminal after this output."""
    lines, at = [""], 0
    for part in re.split(r"(\x1b\[[?\d;]*[A-Za-z]|\r|\n)", written):
        if part == "\n":
            at += 1
            lines.extend([""] * (at == len(lines)))
        elif part == "\x1b[1A":
            at -= 1
        elif part == "\x1b[2K":
            lines[at] = ""
        elif part != "\r" and not part.startswith("\x1b"):
            lines[at] += part
    return "\n".join(lines)


def _without_board(text):
    """Return the lines that are the same whether or not an emulated board takes part."""
    return [line for line in _without_numbers(text) if not re.match(r"The porch|The RPN with dice|Its flash|Its bus", line)]


def test_on_a_terminal_the_demo_updates_a_live_table(demo, demo_on_a_terminal):
    """The table shows a lamp without power. In the end the screen shows the same text as without a terminal."""
    status, shown, _ = demo_on_a_terminal
    assert status == 0, shown
    assert shown.count("\x1b[1A\x1b[2K") > 100, "the table was not redrawn"
    assert "no power" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0, "the cursor stayed hidden"
    assert _without_board(_screen(shown)) == _without_board(demo[0].stdout)


def test_openssl_reads_both_states_of_the_lamp(demo):
    """With a wrong key it gets only an alert. The key is not printed."""
    shown = demo[0].stdout
    assert "ok    the answer is: off" in shown and "ok    the answer is: on" in shown
    assert "ok    with a wrong key it gets only the alert decrypt_error" in shown
    assert "-psk ... " in shown


def test_an_emulated_board_takes_part_and_its_costs_are_shown(demo):
    """It is an RP2040 with real firmware."""
    shown = demo[0].stdout
    assert "The porch is real firmware on an emulated RP2040" in shown
    assert "10 nodes, each with its own key, have joined" in shown
    used, dice, application, carried, message = (
        int(number.replace(",", ""))
        for number in re.search(
            r"The RP2040, .* used (\d+) of 64 KB.\nIts flash has (\d+) .* and (\d+) .*\n"
            r"Its bus carried ([\d,]+) .* datagram of (\d+)",
            shown,
        ).groups()
    )
    assert 20 < used < 64 and 40 < dice < 80 and 3 < application < 20 and carried > 2000 and message == 31


def test_without_a_firmware_and_openssl_the_demo_reports_both_and_runs():
    """All other checks pass."""
    missing = (
        "from dicectl.demo import emulated_node; from dicectl import errors\n"
        "def firmware(progress):\n    raise errors.CommandError('no compiler')\n"
        "emulated_node.firmware = firmware\n"
        "from dicectl.demo import openssl; openssl.available = lambda: False"
    )
    done = _demo(before=missing)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no firmware for an emulated RP2040: no compiler" in done.stderr
    assert "skipped: there is no openssl here (apt-get install openssl)" in done.stdout
    assert "is omitted" in done.stdout and "9 nodes, each with its own key, have joined" in done.stdout


def test_the_demo_runs_in_a_network_of_ipv6_alone(demo_on_a_terminal):
    """Without the board, whose bus is IPv4. The capture has the group's datagrams."""
    status, shown, capture = demo_on_a_terminal
    assert status == 0, shown
    assert "All checks passed: " in shown and "WRONG" not in shown and "is omitted" in shown
    assert capture.read_bytes().count(b"\x86\xdd\x60") > 1000


def test_the_demo_page_shows_the_output_of_the_demo(demo):
    """Except for numbers, and widths that depend on them."""
    page = (Path(__file__).parents[2] / "docs" / "demo.md").read_text()
    shown = re.search(r"```text\n(.*?)```", page, re.DOTALL)[1]
    assert _without_numbers(shown) == _without_numbers(demo[0].stdout)


def _printed_in(picture):
    """Return the words of all lines in a picture, except the command line."""
    printed = ElementTree.parse(picture).find(".//{*}g[@id='s']")
    words = " ".join(element.text for element in printed).split()
    assert words[:3] == ["$", "dicectl", "demo"]
    return words[3:]


def test_the_recording_shows_every_line_and_the_table_of_lamps(demo):
    """It contains nothing about the computer on which it was made."""
    done = demo[0]
    assert _printed_in(done.picture) == done.stdout.split()
    text = done.picture.read_text()
    assert {"on", "off", "no power"} <= {element.text for element in ElementTree.fromstring(text).find(".//{*}g[@id='l']")}
    assert len(text.encode()) < 100_000
    assert re.findall(r"(?<![<\w/])/\w+/\w*", text) == [], "a path"


def test_the_picture_in_the_readme_shows_the_output_of_the_demo(demo):
    """Except for numbers. If it differs: dicectl demo --record docs/demo.svg."""
    picture = Path(__file__).parents[2] / "docs" / "demo.svg"
    assert _without_numbers(" ".join(_printed_in(picture))) == _without_numbers(" ".join(demo[0].stdout.split()))


def _without_numbers(text):
    lines = (re.sub(r"[\d,]+", "N", line) for line in text.splitlines())
    return [" ".join(line.replace("─", "").split()) for line in lines if line.strip()]


def _datagrams(capture):
    """Return (source port, destination port, payload) of every datagram in a capture file."""
    data = capture.read_bytes()
    at = 24
    datagrams = []
    while at < len(data):
        length = struct.unpack_from("=I", data, at + 8)[0]
        udp = data[at + 16 + 34 : at + 16 + length]  # after the headers of Ethernet and IP
        datagrams.append((*struct.unpack_from("!HH", udp), udp[8:]))
        at += 16 + length
    return datagrams


def test_renumbered_attacks_are_consistent_in_header_and_nonce(demo):
    """An attacker who changes only one of both would be detected too easily."""
    attacks = [payload for source, target, payload in _datagrams(demo[1]) if source != target]
    records = [payload for payload in attacks if payload[:3] == b"\x17\xfe\xfd" and len(payload) < 100]
    assert len(records) > 1500
    assert [record for record in records if len(record) > 20 and record[3:11] != record[13:21]] == []


_FIELDS = ["udp.srcport", "udp.dstport", "dtls.record.content_type", "dtls.record.version", "dtls.record.epoch"]


def test_tshark_dissects_every_group_record_as_dtls_application_data(demo):
    """The records of the group's members; the attacker's datagrams are left out."""
    done, capture = demo
    # A member sends messages from the group's port, and requests from a port of its own. The attacker has another port.
    rows = _tshark(capture, _FIELDS)
    ports = Counter(row[0] for row in rows if row[0] != row[1])
    attacker = max(ports, key=ports.get)
    genuine = [row for row in rows if row[0] != attacker]
    assert {(*row[2:4], row[5]) for row in genuine} == {("23", "0xfefd", "")}
    assert {row[4] for row in genuine} == {"1", "3", "4"}, "not the epochs of both groups"
    assert len(genuine) == int(re.search(r"(\d+) messages on the wire", done.stdout)[1])


def _tshark(capture, fields):
    """Return a row for each frame: these fields, and the parts that Wireshark considers malformed."""
    if not shutil.which("tshark"):
        pytest.skip("no tshark: apt-get install tshark")
    argv = ["tshark", "-r", str(capture), "-T", "fields", *(part for field in (*fields, "_ws.malformed") for part in ("-e", field))]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def _send_and_capture(folder, layout, suite, sender_id):
    """Send three records of a group in a network of their own; return the path of the capture."""
    group = group_file.new("lamps", layout=layout, suite=suite)
    group_file.add_sender(group, "switch", sender_id)
    gsa = group_file.gsa(group, "switch")
    tap = namespace.Tap(gsa.port)
    transport = Multicast(gsa.address, gsa.port)
    member = Member(gsa, FileStore(str(folder)), 0)
    for message in (b"on", b"", bytes(1000)):
        member.send(message, 0)
        transport.send(member.transmit())
    tap.read()
    capture = folder / "group.pcap"
    with open(capture, "wb") as file:
        tap.write_pcap(file)
    return capture


@pytest.mark.parametrize("layout, sender_id, shift", [("k08", 0xA7, 40), ("d00", 0xA7B8, 32)])
@pytest.mark.parametrize("suite, tag_bytes", [("ccm8", 8), ("ccm", 16)])
def test_tshark_dissects_both_layouts_with_both_tag_lengths(in_network, tmp_path, layout, sender_id, shift, suite, tag_bytes):
    """For Wireshark the SenderID is the upper part of the sequence number, and the explicit nonce the beginning of the data."""
    capture = in_network(_send_and_capture, tmp_path, layout, suite, sender_id)
    fields = [
        "dtls.record.content_type",
        "dtls.record.version",
        "dtls.record.epoch",
        "dtls.record.sequence_number",
        "dtls.record.length",
    ]
    expected = [
        ["23", "0xfefd", "1", str(sender_id << shift | number), str(8 + length + tag_bytes), ""]
        for number, length in enumerate((2, 0, 1000))
    ]
    assert _tshark(capture, fields) == expected


def test_a_broken_replay_window_fails_the_demo():
    """With a library that considers every number fresh: exit status 1, and the failed checks are named."""
    sabotage = (
        "from dicectl.firmware import mpy; original = mpy._converted\n"
        "right = b'if next_sequence is None or sequence >= next_sequence:\\n            return True'\n"
        "def converted(convert, source, data, lib):\n"
        "    assert data.count(right) == (source.name == 'replay.py')\n"
        "    return original(convert, source, data.replace(right, b'return True'), lib)\n"
        "mpy._converted = converted"
    )
    done = _demo("--no-board", before=sabotage)
    assert done.returncode == 1
    assert "WRONG replays the recorded messages" in done.stdout
    assert "checks failed" in done.stderr


@pytest.mark.parametrize(
    "before, message, status",
    [
        (
            "from dicectl.firmware import unix_port; from dicectl.net import namespace\nunix_port.compile_to = None\n"
            "def refuse(flags):\n    raise PermissionError(1, 'refused')\nnamespace._unshare = refuse",
            "user namespaces",
            1,
        ),
        ("sys.platform = 'darwin'", "dicectl demo needs Linux", 2),
    ],
    ids=["refused", "not Linux"],
)
def test_without_a_network_namespace_the_demo_says_what_to_do(before, message, status):
    """In one line, if the kernel refuses it and on systems other than Linux, before anything is compiled.

    The tests of the demo are then skipped.
    """
    done = subprocess.run(_program(before), capture_output=True, text=True)
    assert done.returncode == status
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    with pytest.raises(pytest.skip.Exception, match=message):
        _or_skip(done)
