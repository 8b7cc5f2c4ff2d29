# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""OpenSSL's s_server and s_client. CCM_8 counts as weak there: security level 0."""

import time

from host_tests.interop.peers.base import EXPORT_BYTES, HOST, PATIENCE_S, Failed, Peer, Running, first_line, tool

_SUITES = {0xC0A8: "PSK-AES128-CCM8", 0xC0A4: "PSK-AES128-CCM"}


class OpenSSL(Peer):
    """Options: mtu, mfl (client), ticket, session=PATH (client: written by the first run, read by the next, to resume), name,
    alpn, export. With a name, the server prints the extensions of the client, whatever the name.
    """

    name = title = "OpenSSL"
    features = frozenset(("client", "server", "ccm", "id", "ticket", "mfl", "mtu", "write", "hello", "export", "export as server"))
    closed = b"DONE"
    material = b"Keying material: "
    chosen = b"ALPN protocol: "

    def check(self):
        tool("openssl", "openssl")

    def version(self):
        return first_line("openssl", "version").split()[1]

    def _common(self, suite, identity, key, mtu, ticket, alpn, export):
        words = ["-dtls1_2", "-psk_identity", identity, "-psk", key.hex(), "-cipher", f"{_SUITES[suite]}@SECLEVEL=0"]
        words += ["-no_ticket"] if not ticket else []
        words += ["-mtu", mtu] if mtu else []
        words += ["-alpn", ",".join(alpn)] if alpn else []
        return words + (["-keymatexport", export, "-keymatexportlen", EXPORT_BYTES] if export else [])

    def _serve(self, port, suite, identity, key, mtu=None, ticket=True, name=None, alpn=(), export=None):
        words = ["openssl", "s_server", "-accept", f"{HOST}:{port}", "-listen", "-nocert"]
        words += self._common(suite, identity, key, mtu, ticket, alpn, export)
        return Running(self, words + (["-tlsextdebug"] if name else []), answer_lines=True)

    def _connect(self, port, suite, identity, key, mtu=None, mfl=None, ticket=True, session=None, name=None, alpn=(), export=None):
        words = ["openssl", "s_client", "-connect", f"{HOST}:{port}"]
        words += self._common(suite, identity, key, mtu, ticket, alpn, export)
        words += ["-servername", name] if name else []
        words += ["-maxfraglen", mfl] if mfl else []
        if session:
            words += ["-sess_in" if session.exists() else "-sess_out", session]
        running = Running(self, words, says=b"ask OpenSSL")
        running.write(b"ask OpenSSL\n")  # it reads this when the handshake is over
        return running

    def hang_up(self, running):
        """A line with Q closes; s_client takes it only in order, as the first letter of what it reads at once."""
        end = time.monotonic() + PATIENCE_S
        while running._process.poll() is None:
            if time.monotonic() > end:
                raise Failed(running.tell("did not hang up"))
            try:
                running.write(b"Q\n")
            except Failed:
                return
            try:
                running.wait(1)
            except Failed:
                pass
