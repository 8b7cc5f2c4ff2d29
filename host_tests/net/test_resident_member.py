# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""This computer as a member, as users run it: `dicectl member run`, and what shares its folder, with the manager and without."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicectl import line_socket
from dicectl.net import links, namespace
from host_tests.net.test_manager_command import DICECTL, ManagedSite
from host_tests.patience import PATIENCE_S
from host_tests.seeds import seeds

WORDS = [str(number) for number in range(10)]


class MemberSite(ManagedSite):
    """A site with the group lamps, its sender desk, and a tap on the group's datagrams."""

    def begin(self, *options):
        self.manager()
        self.shown = self("group", "new", "lamps", *options, "--json")
        self("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
        self.tap = namespace.Tap(self.shown["port"])  # of `lo`
        self.sent = []

    def close(self):
        subprocess.run([*DICECTL, "member", "stop", "desk"], cwd=self.folder, capture_output=True)  # one in the background
        super().close()

    def member(self, *arguments):
        """Start the resident member of desk, and wait until it has joined."""
        self._start("member", [*DICECTL, "member", "run", "desk", "--json", *arguments], self.folder)
        self.until(lambda: '"joined"' in self.log("member").split("KILLED")[-1], "the member")

    def status(self):
        return self("member", "status", "desk", "--json")

    def at_once(self, *commands):
        """Run commands at the same time; return [(status, output, seconds)]."""
        begin = time.monotonic()
        started = [
            subprocess.Popen([*DICECTL, *command], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for command in commands
        ]
        found = []
        for process in started:
            output = process.communicate()[0]
            found.append((process.returncode, output, time.monotonic() - begin))
        return found

    def send_at_once(self, texts):
        """Send texts at the same time; return what was answered."""
        done = self.at_once(*[("group", "send", "lamps", word, "--as", "desk", "--json") for word in texts])
        assert [status for status, *_ in done] == [0] * len(texts), done
        self.headers()  # before the tap overflows
        return [json.loads(output) for _, output, _ in done]

    def headers(self):
        """Return the headers of all group records on the network, which contain the nonces."""
        self.sent += [bytes(payload[3:11]) for _, payload in self.tap.read() if payload[:1] == b"\x17"]
        assert self.tap.lost() == 0
        return self.sent


def _site(folder, scenario, *options):
    site = MemberSite(folder)
    try:
        site.begin(*options)
        return scenario(site)
    finally:
        site.close()


def _ten_at_once(site):
    site.member()
    said = site.send_at_once(WORDS)
    site.kill("manager")
    away = site.send_at_once(WORDS)
    headers = list(site.headers())
    site.kill("member")  # with SIGKILL
    site.member()
    again = site.send_at_once(WORDS)
    return said, away, headers, again, site.headers()


def test_ten_programs_send_at_once_through_one_member(in_network, tmp_path, recorded_processes):
    """With the manager, without it, and after the member was killed: each message is on the network once, with its own number."""
    said, away, headers, again, all_headers = in_network(_site, tmp_path, _ten_at_once)
    for answers in (said, away, again):
        assert len({(answer["epoch"], answer["number"]) for answer in answers}) == 10
    assert {answer["manager"] for answer in said} == {"connected"}
    assert {answer["manager"] for answer in again} == {"away"}
    numbers = [(answer["epoch"], answer["number"]) for answers in (said, away, again) for answer in answers]
    assert len(set(numbers)) == 30
    assert len(headers) == 20 and len(all_headers) == len(set(all_headers)) == 30


ROUNDS = len(seeds(2))  # of three commands at once


def _without_resident(site):
    said = [answer for _ in range(ROUNDS) for answer in site.send_at_once("abc")]
    site.kill("manager")
    begin = time.monotonic()
    done = site.at_once(("group", "send", "lamps", "x", "--as", "desk", "--json"))
    return said, done, time.monotonic() - begin, site.headers()


def test_commands_without_a_resident_member_queue_and_send_with_kept_keys(in_network, tmp_path, recorded_processes):
    """D12: of three at once, none fails with E51, E19 or E34; and when the manager is away, it takes no 20 s and no E51."""
    said, done, seconds, headers = in_network(_site, tmp_path, _without_resident)
    assert len({(answer["epoch"], answer["number"]) for answer in said}) == 3 * ROUNDS
    ((status, output, _),) = done
    assert status == 0 and json.loads(output)["manager"] == "away", output
    assert seconds < 15
    assert len(headers) == len(set(headers)) == 3 * ROUNDS + 1


def _monitor_and_send(site):
    site._start("one", [*DICECTL, "group", "monitor", "lamps", "--as", "desk", "--count", "3", "--json"], site.folder)
    site.until(lambda: (site.folder / "desk" / "member.socket").exists(), "the monitor")
    site.until(lambda: site.status()["groups"]["lamps"]["joined"], "the group")
    site._start("two", [*DICECTL, "group", "monitor", "lamps", "--as", "desk", "--count", "3", "--json"], site.folder)
    site.until(lambda: site.status()["monitors"] == 2, "the second monitor")
    epoch = site("group", "show", "lamps", "--json")["epoch"]
    said = site.send_at_once("abc")
    for name in ("one", "two"):
        site.until(lambda name=name: site.processes[name].poll() is not None, "three messages")
    audit = site("manager", "audit", "house.db")
    seen = [[json.loads(line) for line in site.log(name).splitlines() if line[0] == "{"] for name in ("one", "two")]
    return epoch, said, seen, site("group", "show", "lamps", "--json")["epoch"], audit, site("group", "members", "lamps", "--json")


def test_monitors_and_senders_of_one_folder_are_one_member(in_network, tmp_path, recorded_processes):
    """D12: no clash, so no new id, and no re-key of the whole group."""
    epoch, said, seen, after, audit, members = in_network(_site, tmp_path, _monitor_and_send)
    for lines in seen:
        assert sorted(line["message"] for line in lines) == ["a", "b", "c"]
        assert [line["own"] for line in lines] == [True] * 3
    assert epoch == after and len({(answer["epoch"], answer["number"]) for answer in said}) == 3
    assert "id" not in {line.split()[2] for line in audit.splitlines()} and len(members) == 1


def _cable(name, number):
    """Plug in an interface with addresses of both families; return a socket that receives what is sent on it."""
    links.add_cable(name, f"fd00:{number}::1")
    links.add_ipv4_address(name, f"10.9.{number}.1")
    far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    far.bind((name + "x", 0x0003))
    far.setblocking(False)
    return far


def _records(far, port):
    """Return how many group records have arrived at the far end of a cable, and their hop limits."""
    found = []
    while True:
        try:
            frame = far.recv(2000)
        except BlockingIOError:
            return found
        ipv6 = frame[12:14] == b"\x86\xdd"
        udp = frame[14 + (40 if ipv6 else 20) :]
        if frame[14 + (6 if ipv6 else 9)] == socket.IPPROTO_UDP and int.from_bytes(udp[2:4], "big") == port:
            found.append(frame[14 + (7 if ipv6 else 8)])


def _on_an_interface(site):
    home, iot = _cable("home", 1), _cable("iot", 2)
    port = site("group", "show", "lamps", "--json")["port"]
    on_iot = ("--interface", "iot", "--hops", "5")
    site("provision", "new", "ear", "--group", "lamps", "--to", "ear")
    site._start("ear", [*DICECTL, "group", "monitor", "lamps", "--as", "ear", "--interface", "iot", "--json"], site.folder)
    site.until(lambda: (site.folder / "ear" / "lamps.gsa").exists(), "the ear")
    site("group", "send", "lamps", "alone", "--as", "desk", *on_iot)
    site.member(*on_iot)
    site("group", "send", "lamps", "resident", "--as", "desk")
    site.until(lambda: "resident" in site.log("ear"), "a message on the interface")
    before = _records(iot, port)
    subprocess.run(["ip", "link", "delete", "iot"], check=True)
    gone = site.at_once(("group", "send", "lamps", "gone", "--as", "desk"))
    iot = _cable("iot", 2)  # it has another index
    back = []

    def comes_back():
        back[:] = site.at_once(("group", "send", "lamps", "back", "--as", "desk"))
        return "back" in site.log("ear")

    site.until(comes_back, "the interface")
    return before, gone, back, _records(iot, port), _records(home, port), site.headers()


@pytest.mark.parametrize("options", [(), ("--ipv6",)], ids=["IPv4", "IPv6"])
def test_a_member_sends_and_receives_on_the_interface_that_it_was_given(in_network, tmp_path, options):
    """The routes lead elsewhere. The interface goes away, and another one of its name comes back."""
    before, gone, back, after, home, on_lo = in_network(_site, tmp_path, _on_an_interface, *options)
    assert before == [5, 5]
    ((status, said, _),) = gone
    assert status == 1 and said.startswith("dicectl: not sent: "), said
    assert back[0][0] == 0 and after and set(after) == {5}
    assert home == on_lo == []


def _life(site):
    seen = {"none": site("member", "status", "desk", status=3), "started": site("member", "run", "desk", "--detach")}
    site.until(lambda: site.status()["groups"]["lamps"]["joined"], "the member")
    seen["second"] = site("member", "run", "desk", status=1)
    seen["wiped"] = site("provision", "wipe", "desk", "--to", "desk", status=1)
    site("group", "rekey", "lamps")
    seen["renewed"] = site("group", "send", "lamps", "a", "--as", "desk", "--json")
    site.kill("manager")
    site.manager()
    begin = time.monotonic()
    site.until(lambda: site.members()["desk"]["connected"], "the member to come back")
    seen["back_s"] = time.monotonic() - begin
    site("group", "rekey", "lamps")
    seen["shown"] = site("member", "status", "desk")
    seen["socket"] = line_socket.call(site.folder / "desk" / "member.socket", {"do": "send", "group": "lamps", "hex": "00ff"}, "it")
    site.kill("manager")
    seen["away"] = site("group", "send", "lamps", "b", "--as", "desk", "--json")
    seen["stopped"] = site("member", "stop", "desk")
    seen["ended"] = site("member", "status", "desk", status=3)
    return seen, (site.folder / "desk" / "member.log").read_text(), site.headers()


def test_a_member_lives_in_the_background(in_network, tmp_path, recorded_processes):
    """It obeys re-keys, comes back to its manager at once, sends without it, and holds its folder until it is stopped."""
    seen, log, headers = in_network(_site, tmp_path, _life)
    assert "no resident member runs on desk: dicectl member run desk" in seen["none"]
    assert "desk takes part as process" in seen["started"] and "member.log" in seen["started"]
    assert "runs already" in seen["second"]
    assert "E34: desk is in use by process" in seen["wiped"] and "member run desk" in seen["wiped"]
    epochs = [seen[name]["epoch"] for name in ("renewed", "socket", "away")]
    assert epochs == [2, 3, 3]
    assert seen["back_s"] < 60, "it was not recalled"
    assert "connected to the manager" in seen["shown"] and "epoch 3" in seen["shown"]
    assert len(headers) == len(set(headers)) == 3
    assert "serves at desk/member.socket" in log


def _notifications(site):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(site.folder / "systemd"))
        systemd.settimeout(PATIENCE_S)
        environment = {**os.environ, "NOTIFY_SOCKET": str(site.folder / "systemd"), "WATCHDOG_USEC": "1000000"}
        site._start("member", [*DICECTL, "member", "run", "desk"], site.folder, environment)
        said = []
        while not {"READY=1", "WATCHDOG=1", "STATUS=lamps: epoch 1, may send"} <= set(said):
            said += systemd.recv(1000).decode().splitlines()
        site.processes["member"].send_signal(signal.SIGTERM)
        status = site.processes["member"].wait()
        while "STOPPING=1" not in said:
            said += systemd.recv(1000).decode().splitlines()
        return status, site.at_once(("group", "send", "lamps", "x", "--as", "desk", "--json"))


def test_a_member_is_a_service_of_systemd(in_network, tmp_path):
    """SIGTERM ends it with status 0, and gives its numbers back: the next one goes on where it has ended."""
    status, ((sent, said, _),) = in_network(_site, tmp_path, _notifications)
    assert status == sent == 0 and json.loads(said)["number"] == 0


PAGE = Path(__file__).resolve().parents[2] / "docs" / "member.md"


def _by_hand(site):
    site.member()
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=site.folder, capture_output=True, text=True)
    return done.stdout, done.stderr, site.headers()


def test_the_lines_of_the_page_send(in_network, tmp_path):
    said, trouble, headers = in_network(_site, tmp_path, _by_hand)
    assert json.loads(said)["ok"]["sent"] and not trouble and len(headers) == 1
