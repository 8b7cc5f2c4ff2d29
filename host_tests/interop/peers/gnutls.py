# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""GnuTLS's gnutls-serv and gnutls-cli. The server echoes, binds every address, and reads its keys from a file.

The programs verify certificates, the client with a name; they accept any raw public key.
"""

import tempfile
from pathlib import Path

from host_tests.interop.peers.base import EXPORT_BYTES, HOST, Peer, PeerProcess, first_line, tool

_SUITES = {0xC0A8: "AES-128-CCM-8", 0xC0A4: "AES-128-CCM", 0xC0AE: "AES-128-CCM-8", 0xC0AC: "AES-128-CCM"}


class GnuTLS(Peer):
    """Options: mtu, limit, resume="ticket" (the client connects, disconnects, resumes, then sends), name, alpn, export (client),
    keys (certificates, raw public keys).

    The server requires its name and one of its protocols.
    """

    name = title = "GnuTLS"
    features = frozenset(
        (
            "client",
            "server",
            "ccm",
            "certificates",
            "chains",
            "raw public keys",
            "ecdsa ccm",
            "ticket",
            "mtu",
            "write",
            "hello",
            "limit",
        )
    ) | {"export"}
    closed = b"EOF"
    material = b"Key material: "
    chosen = b"Application protocol: "
    alert = rb"Received alert \[(\d+)\]"

    def check(self):
        tool("gnutls-cli", "gnutls-bin")

    def version(self):
        return first_line("gnutls-cli", "--version").split()[-1]

    def _priority(self, suite, keys):
        kinds = "+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK" if keys and keys.is_raw else "+CTYPE-X509"
        exchange = f"+ECDHE-ECDSA:{kinds}" if keys else "+PSK"
        return f"NONE:+VERS-DTLS1.2:{exchange}:+{_SUITES[suite]}:+AEAD:+SIGN-ALL:+COMP-NULL:+GROUP-ALL:%PROFILE_VERY_WEAK"

    def _keys(self, keys):
        words = ["--x509cafile", keys.trusted_files.ca] if keys.trusted and not keys.is_raw else []
        if keys.own and keys.is_raw:
            words += ["--rawpkkeyfile", keys.files.key, "--rawpkfile", keys.files.public]
        elif keys.own:
            words += ["--x509keyfile", keys.files.key, "--x509certfile", keys.files.cert]
        return words

    def _serve(self, port, suite, identity, key, mtu=None, ticket=True, limit=None, name=None, alpn=(), keys=None):
        folder = tempfile.TemporaryDirectory()
        psk = Path(folder.name) / "keys"
        psk.write_text(f"{identity}:{key.hex()}\n")
        words = ["stdbuf", "-oL", "gnutls-serv", "--udp", "--echo", "-p", port, "--priority", self._priority(suite, keys)]
        if keys:
            words += self._keys(keys) + (["--require-client-cert"] if keys.ask else ["--disable-client-cert"])
            words += ["--verify-client-cert"] if keys.ask and not keys.is_raw else []
        else:
            words += ["--pskpasswd", psk]
        words += self._common(mtu, ticket, limit, name, alpn)
        words += (["--sni-hostname-fatal"] if name else []) + (["--alpn-fatal"] if alpn else [])
        running = PeerProcess(self, words)
        running.folder = folder  # as long as the server
        return running

    def _common(self, mtu, ticket, limit, name, alpn):
        words = [*(["--mtu", mtu] if mtu else []), *(["--recordsize", limit] if limit else []), *([] if ticket else ["--noticket"])]
        words += ["--sni-hostname", name] if name else []
        return words + [word for protocol in alpn for word in ("--alpn", protocol)]

    def _connect(
        self, port, suite, identity, key, mtu=None, ticket=True, limit=None, resume=None, name=None, alpn=(), export=None, keys=None
    ):
        words = ["gnutls-cli", "--udp", "-p", port, "--priority", self._priority(suite, keys)]
        if keys:
            words += self._keys(keys) + (["--verify-hostname", keys.name] if keys.name else ["--insecure"])
        else:
            words += ["--pskusername", identity, "--pskkey", key.hex()]
        words += [*self._common(mtu, ticket, limit, name, alpn), *(["--resume"] if resume else [])]
        words += [*(["--keymatexport", export, "--keymatexportsize", EXPORT_BYTES] if export else []), HOST]
        running = PeerProcess(self, words, says=b"ask GnuTLS")
        running.write(b"ask GnuTLS\n")
        return running

    def ask(self, text):
        return text + b"\n", text
