# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""docs/interop.md names every peer in every role, and what MicroPython's own tls has in common with dice is as it says."""

import re
import subprocess

from dicectl import micropython
from host_tests.interop import peers, report
from host_tests.interop.peers.of_pypi import TinyDTLS

CODE = """
import tls
context = tls.SSLContext(tls.PROTOCOL_DTLS_CLIENT)
print("\\n".join(context.get_ciphers()))
"""


def test_the_page_has_every_peer_in_every_role():
    """dice is the client of servers, and the server of clients."""
    expected = set()
    for peer in peers.PEERS.values():
        expected |= {("client", peer.title)} if "server" in peer.features else set()
        expected |= {("server", peer.title)} if "client" in peer.features else set()
    assert report.listed(report.PAGE.read_text()) == expected


def test_the_built_in_tls_has_no_suite_in_common():
    """It has pre-shared keys, but with GCM and CBC alone."""
    done = subprocess.run([micropython.find(), "-c", CODE], capture_output=True, text=True, timeout=20)
    suites = done.stdout.split()
    assert any(suite.startswith("TLS-PSK-") for suite in suites), done.stderr
    assert not any("CCM" in suite for suite in suites)


def test_rows_are_told_in_words():
    assert report.words({"cid": b"\1\2", "mtu": 128, "resume": None, "tickets": True}) == "cid=0102, mtu=128, tickets"


def test_the_gate_installs_what_the_peers_need():
    """All of Debian's packages that the page names, but for what whoever runs the gate has."""
    root = report.PAGE.parents[1]
    gate = set((root / ".ci" / "run").read_text().replace('"', " ").split())
    rows = report.PAGE.read_text().split("## Where the peers come from")[1].split("##")[0]
    named = (
        set(re.findall(r"Debian `([\w-]+)`", rows))
        | {tool for _, tool in TinyDTLS.tools}
        | {"cmake", "dpkg-dev", "default-jdk-headless"}
    )
    assert named - {"gcc", "make"} <= gate
