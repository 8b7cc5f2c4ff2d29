# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Master secret, key block, Finished and exporter of TLS 1.2, the running hash of a handshake, what resumes it (row 3)."""

from .._compat import const
from ..crypto import sha256
from ..crypto.hmac import p_sha256
from ..limits import MASTER_SECRET_BYTES

_VERIFY_BYTES = const(12)


class Transcript:
    """The hash of all handshake messages so far, which can be had twice: no MicroPython can copy a running hash."""

    def __init__(self):
        self._hashes = [sha256(), sha256()]

    def update(self, message):
        """Take in a message as if it had come in one fragment (RFC 6347, section 4.2.6)."""
        for running in self._hashes:
            running.update(message)

    def digest(self):
        """Return the 32-byte hash, using up one of the times that it can be had."""
        return self._hashes.pop().digest()


class Secrets:
    """A master secret (48 bytes) and the two randoms (32 bytes each) that go with it."""

    def __init__(self, client_random, server_random, master=None):
        self.randoms = client_random + server_random
        self.master = master

    def derive_master(self, premaster, session_hash):
        """Make the master secret: extended (RFC 7627, section 4), or as in RFC 5246, section 8.1, where `session_hash` is None."""
        label, seed = (b"extended master secret", session_hash) if session_hash else (b"master secret", self.randoms)
        self.master = p_sha256(premaster, label + seed, MASTER_SECRET_BYTES)

    def key_block(self, suite):
        """Return client key, server key, client write IV, server write IV, a bytearray (RFC 5246, section 6.3)."""
        return p_sha256(self.master, b"key expansion" + self.randoms[32:] + self.randoms[:32], 2 * suite.keys_bytes)

    def verify_data(self, label, handshake_hash):
        """Return the 12 bytes of a Finished (RFC 5246, section 7.4.9)."""
        return p_sha256(self.master, label + b" finished" + handshake_hash, _VERIFY_BYTES)

    def export(self, label, context, length):
        """Return `length` bytes of keying material (RFC 5705, section 4); `context` may be None."""
        seed = label + self.randoms
        if context is not None:
            seed += len(context).to_bytes(2, "big") + context
        return p_sha256(self.master, seed, length)

    def close(self):
        """Overwrite the master secret."""
        self.master[:] = bytes(len(self.master))


class Resumption:
    """What a client keeps: a secret, so neither printed nor logged. `ticket` or `session_id` (bytes) is what it shows."""

    def __init__(self, suite, session_id, ticket, master):
        self.suite = suite
        self.session_id = session_id
        self.ticket = ticket
        self.master = master
