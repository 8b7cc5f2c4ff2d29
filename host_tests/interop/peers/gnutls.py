# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""GnuTLS's gnutls-serv and gnutls-cli. The server echoes, listens on every address, and takes its keys from a file."""

import tempfile
from pathlib import Path

from host_tests.interop.peers.base import HOST, Peer, Running, first_line, tool

_SUITES = {0xC0A8: "AES-128-CCM-8", 0xC0A4: "AES-128-CCM"}


class GnuTLS(Peer):
    """Options: mtu, mfl (client: record size), resume="ticket" (client: connects, leaves, comes back, then talks)."""

    name = title = "GnuTLS"
    features = frozenset(("client", "server", "ccm", "ticket", "mtu", "close", "write"))

    def check(self):
        tool("gnutls-cli", "gnutls-bin")

    def version(self):
        return first_line("gnutls-cli", "--version").split()[-1]

    def _priority(self, suite):
        return f"NONE:+VERS-DTLS1.2:+PSK:+{_SUITES[suite]}:+AEAD:+SIGN-ALL:+COMP-NULL:+GROUP-ALL:%PROFILE_VERY_WEAK"

    def _serve(self, port, suite, identity, key, mtu=None, ticket=True):
        folder = tempfile.TemporaryDirectory()
        keys = Path(folder.name) / "keys"
        keys.write_text(f"{identity}:{key.hex()}\n")
        words = ["gnutls-serv", "--udp", "--echo", "-p", port, "--priority", self._priority(suite), "--pskpasswd", keys]
        words += (["--mtu", mtu] if mtu else []) + ([] if ticket else ["--noticket"])
        running = Running(self, words)
        running.folder = folder  # lives as long as the server
        return running

    def _connect(self, port, suite, identity, key, mtu=None, mfl=None, ticket=True, resume=None):
        words = ["gnutls-cli", "--udp", "-p", port, "--priority", self._priority(suite), "--pskusername", identity]
        words += ["--pskkey", key.hex(), *(["--mtu", mtu] if mtu else []), *(["--recordsize", mfl] if mfl else [])]
        words += [*([] if ticket else ["--noticket"]), *(["--resume"] if resume else []), HOST]
        running = Running(self, words, says=b"ask GnuTLS")
        running.write(b"ask GnuTLS\n")
        return running

    def ask(self, text):
        return text + b"\n", text
