# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""GnuTLS's gnutls-serv and gnutls-cli. The server echoes, binds every address, and reads its keys from a file."""

import tempfile
from pathlib import Path

from host_tests.interop.peers.base import EXPORT_BYTES, HOST, Peer, PeerProcess, first_line, tool

_SUITES = {0xC0A8: "AES-128-CCM-8", 0xC0A4: "AES-128-CCM"}


class GnuTLS(Peer):
    """Options: mtu, limit, resume="ticket" (the client connects, disconnects, resumes, then sends), name, alpn, export (client).

    The server requires its name and one of its protocols.
    """

    name = title = "GnuTLS"
    features = frozenset(("client", "server", "ccm", "ticket", "mtu", "write", "hello", "limit", "export"))
    closed = b"EOF"
    material = b"Key material: "
    chosen = b"Application protocol: "

    def check(self):
        tool("gnutls-cli", "gnutls-bin")

    def version(self):
        return first_line("gnutls-cli", "--version").split()[-1]

    def _priority(self, suite):
        return f"NONE:+VERS-DTLS1.2:+PSK:+{_SUITES[suite]}:+AEAD:+SIGN-ALL:+COMP-NULL:+GROUP-ALL:%PROFILE_VERY_WEAK"

    def _serve(self, port, suite, identity, key, mtu=None, ticket=True, limit=None, name=None, alpn=()):
        folder = tempfile.TemporaryDirectory()
        keys = Path(folder.name) / "keys"
        keys.write_text(f"{identity}:{key.hex()}\n")
        words = [
            "stdbuf",
            "-oL",
            "gnutls-serv",
            "--udp",
            "--echo",
            "-p",
            port,
            "--priority",
            self._priority(suite),
            "--pskpasswd",
            keys,
        ]
        words += self._common(mtu, ticket, limit, name, alpn)
        words += (["--sni-hostname-fatal"] if name else []) + (["--alpn-fatal"] if alpn else [])
        running = PeerProcess(self, words)
        running.folder = folder  # as long as the server
        return running

    def _common(self, mtu, ticket, limit, name, alpn):
        words = [*(["--mtu", mtu] if mtu else []), *(["--recordsize", limit] if limit else []), *([] if ticket else ["--noticket"])]
        words += ["--sni-hostname", name] if name else []
        return words + [word for protocol in alpn for word in ("--alpn", protocol)]

    def _connect(self, port, suite, identity, key, mtu=None, ticket=True, limit=None, resume=None, name=None, alpn=(), export=None):
        words = ["gnutls-cli", "--udp", "-p", port, "--priority", self._priority(suite), "--pskusername", identity]
        words += ["--pskkey", key.hex(), *self._common(mtu, ticket, limit, name, alpn), *(["--resume"] if resume else [])]
        words += [*(["--keymatexport", export, "--keymatexportsize", EXPORT_BYTES] if export else []), HOST]
        running = PeerProcess(self, words, says=b"ask GnuTLS")
        running.write(b"ask GnuTLS\n")
        return running

    def ask(self, text):
        return text + b"\n", text
