# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""OpenSSL's s_server and s_client. OpenSSL considers CCM_8 weak, so it needs security level 0."""

import time

from host_tests.interop.peers.base import EXPORT_BYTES, HOST, PATIENCE_S, Failed, Peer, PeerProcess, first_line, tool

_SUITES = {
    0xC0A8: "PSK-AES128-CCM8",
    0xC0A4: "PSK-AES128-CCM",
    0xC0AE: "ECDHE-ECDSA-AES128-CCM8",
    0xC0AC: "ECDHE-ECDSA-AES128-CCM",
}


class OpenSSL(Peer):
    """Options: mtu, mfl (client), ticket, session=PATH (client: the first run writes it, the next reads it to resume), name, alpn,
    export, keys (certificates). With a name, the server prints the client's extensions, whatever the name.
    """

    name = title = "OpenSSL"
    features = frozenset(
        ("client", "server", "ccm", "certificates", "chains", "ecdsa ccm", "id", "ticket", "mfl", "mtu", "write", "hello", "export")
    ) | {"export as server"}
    closed = b"DONE"
    material = b"Keying material: "
    chosen = b"ALPN protocol: "
    alert = rb"SSL alert number (\d+)"

    def check(self):
        tool("openssl", "openssl")

    def version(self):
        return first_line("openssl", "version").split()[1]

    def _common(self, suite, identity, key, mtu, ticket, alpn, export, keys):
        words = ["-dtls1_2", "-cipher", f"{_SUITES[suite]}@SECLEVEL=0"]
        words += self._keys(keys) if keys else ["-psk_identity", identity, "-psk", key.hex()]
        words += ["-no_ticket"] if not ticket else []
        words += ["-mtu", mtu] if mtu else []
        words += ["-alpn", ",".join(alpn)] if alpn else []
        return words + (["-keymatexport", export, "-keymatexportlen", EXPORT_BYTES] if export else [])

    def _keys(self, keys):
        words = ["-CAfile", keys.trusted_files.ca, "-verify_return_error"] if keys.trusted else []
        if not keys.own:
            return words
        words += ["-cert", keys.files.leaf, "-key", keys.files.key]
        return words + (["-cert_chain", keys.files.above] if keys.own.chain[1:] else [])

    def _serve(self, port, suite, identity, key, mtu=None, ticket=True, name=None, alpn=(), export=None, keys=None):
        words = ["openssl", "s_server", "-accept", f"{HOST}:{port}", "-listen"]
        words += self._common(suite, identity, key, mtu, ticket, alpn, export, keys)
        words += (["-verify" if keys.ask == "request" else "-Verify", 5] if keys.ask else []) if keys else ["-nocert"]
        return PeerProcess(self, words + (["-tlsextdebug"] if name else []), answer_lines=True)

    def _connect(
        self, port, suite, identity, key, mtu=None, mfl=None, ticket=True, session=None, name=None, alpn=(), export=None, keys=None
    ):
        words = ["openssl", "s_client", "-connect", f"{HOST}:{port}"]
        words += self._common(suite, identity, key, mtu, ticket, alpn, export, keys)
        words += ["-verify_hostname", keys.name] if keys and keys.name else []
        words += ["-servername", name] if name else []
        words += ["-maxfraglen", mfl] if mfl else []
        if session:
            words += ["-sess_in" if session.exists() else "-sess_out", session]
        running = PeerProcess(self, words, says=b"ask OpenSSL")
        running.write(b"ask OpenSSL\n")  # is read when the handshake is complete
        return running

    def end_session(self, running):
        """Type a line with Q. s_client accepts it only as the first letter of a read."""
        end = time.monotonic() + PATIENCE_S
        while not running.has_ended():
            if time.monotonic() > end:
                raise Failed(running.describe("did not hang up"))
            try:
                running.write(b"Q\n")
            except Failed:
                return
            try:
                running.wait(1)
            except Failed:
                pass
