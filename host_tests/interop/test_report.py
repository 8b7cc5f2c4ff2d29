# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""docs/interop.md lists every peer in every role and suite, and its statement about MicroPython's own tls is true."""

import re
import subprocess

from dicectl.firmware import unix_port
from host_tests.interop import peers, report
from host_tests.interop.peers.tinydtls import TinyDTLS

CODE = """
import tls
context = tls.SSLContext(tls.PROTOCOL_DTLS_CLIENT)
print("\\n".join(context.get_ciphers()))
"""


def test_the_page_lists_every_peer_in_every_role_and_suite():
    """dice is the client of servers, and the server of clients; with public keys on both sides, and on one."""
    expected = set()
    for peer in peers.PEERS.values():
        for role, other in (("client", "server"), ("server", "client")):
            if other in peer.features:
                expected |= {(role, peer.title, *rest) for rest in rows_of(peer)}
        if "always asks" in peer.features:
            expected.remove(("client", peer.title, report.RAW_KEYS, "CCM_8", "server only"))
    page = {row for row in report.listed(report.PAGE.read_text()) if row[4] in ("-", "mutual", "server only")}
    assert page == expected


def rows_of(peer):
    """Yield (keys, suite, options) of the rows that a peer has in both roles."""
    for suite in ("CCM_8", "CCM") if "ccm" in peer.features else ("CCM_8",):
        yield report.PSK, suite, "-"
    for kind in (report.RAW_KEYS, report.CERTIFICATES):
        if kind in peer.features:
            yield from ((kind, "CCM_8", options) for options in ("mutual", "server only"))
            yield from ((kind, "CCM", "mutual"),) if "ecdsa ccm" in peer.features else ()
    if "ECDHE_PSK" in peer.features:
        yield from ((report.ECDHE_PSK, suite, "-") for suite in ("CCM_8", "CCM"))


def test_the_page_lists_every_resumption():
    """By id and by ticket, with dice as client of the servers that support it."""
    expected = {(peer.title, how) for peer in peers.PEERS.values() for how in ("id", "ticket") if how in peer.features}
    rows = report.listed(report.PAGE.read_text())
    assert {(row[1], row[4].split()[-1]) for row in rows if row[4].startswith("resumed by")} == expected


def test_the_built_in_tls_has_no_suite_in_common():
    """It supports pre-shared keys only with GCM and CBC."""
    done = subprocess.run([unix_port.find(), "-c", CODE], capture_output=True, text=True)
    suites = done.stdout.split()
    assert any(suite.startswith("TLS-PSK-") for suite in suites), done.stderr
    assert not any("CCM" in suite for suite in suites)


def test_options_are_written_as_text():
    assert report.words({"cid": b"\1\2", "mtu": 128, "resume": None, "tickets": True}) == "cid=0102, mtu=128, tickets"
    assert report.words({"mtu": 128}, {"cid": b"\2", "keys": object()}, "mutual") == "mutual, mtu=128, peer's cid=02"
    assert report.words({"alpn": (b"h3", b"co"), "peer's alpn": ["co"], "cid": b""}) == "alpn=h3+co, cid=, peer's alpn=co"


def test_the_gate_installs_the_packages_of_all_peers():
    """All Debian packages that the page names, except those that every machine for the gate has."""
    root = report.PAGE.parents[1]
    gate = set((root / ".ci" / "run").read_text().replace('"', " ").split())
    rows = report.PAGE.read_text().split("## Where the peers come from")[1].split("##")[0]
    named = (
        set(re.findall(r"Debian `([\w-]+)`", rows))
        | {tool for _, tool in TinyDTLS.tools}
        | {"cmake", "dpkg-dev", "default-jdk-headless"}
    )
    assert named - {"gcc", "make"} <= gate
