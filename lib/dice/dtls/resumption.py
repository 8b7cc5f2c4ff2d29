# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""State that a server keeps or lets its clients keep: cookies, session ids, tickets (RFC 6347, 4.2.1; RFC 5246, 7.3; RFC 5077)."""

from .._compat import const, ticks_add, ticks_diff
from ..crypto.hmac import Hmac, p_sha256
from ..suites import PSK_AES_128_CCM, SUITES

_SECRET_BYTES = const(32)
_NONCE_BYTES = const(16)
_NUMBER_AT = const(8)  # of what goes into the nonce beside the salt
_TAG_BYTES = const(16)
_FINGERPRINT_BYTES = const(8)
_MASTER_AT = const(10)  # in what a ticket encrypts, behind suite and fingerprint
_IDENTITY_AT = const(58)  # to the end


def wrap(secret, random, data):
    """Return `data` (bytes) encrypted and authenticated under `secret`, with a key of its own.

    The key comes from 16 bytes, which come from the data as well as from `random`: a random source that repeats after a restart
    repeats no nonce, unless for the same data.
    """
    out = p_sha256(secret, random(_NONCE_BYTES) + data, _NONCE_BYTES) + bytes(len(data) + _TAG_BYTES)
    _crypt(secret, out, data)
    return out


def unwrap(secret, wrapped):
    """Return the `data` of a wrap(), or None if it does not verify under this secret."""
    if len(wrapped) < _NONCE_BYTES + _TAG_BYTES:
        return None
    return _crypt(secret, wrapped, None)


def _crypt(secret, wrapped, plaintext):
    suite = SUITES[PSK_AES_128_CCM]
    crypt, _, _, tag_bytes, _, keys_bytes = suite.cipher
    nonce = bytes(wrapped[:_NONCE_BYTES])
    keys = p_sha256(secret, b"dice wrap" + nonce, keys_bytes)
    i = suite.key_bytes
    return crypt(_NONCE_BYTES, keys[i:], tag_bytes, nonce, _NUMBER_AT, keys[:i], wrapped, b"dice", plaintext)


class Rotating:
    """Two secrets: the one in use, and the previous one, which is kept for another period of `period_ms`, below 2**29.

    Call secrets() at least once in 2**28 ms, because ticks wrap; `due` is when the secrets change next.
    """

    def __init__(self, random, period_ms, now):
        self._random = random
        self._period_ms = period_ms
        self._secrets = [random(_SECRET_BYTES)] * 2
        self.due = ticks_add(now, period_ms)

    def secrets(self, now):
        """Return both, the one in use first."""
        while ticks_diff(now, self.due) >= 0:
            self._secrets = [self._random(_SECRET_BYTES), self._secrets[0]]
            self.due = ticks_add(self.due, self._period_ms)
        return self._secrets


class Cookies(Rotating):
    """Stateless cookies: HMAC(secret, client address | the start of the hello) (RFC 6347, section 4.2.1)."""

    BYTES = 8

    def make(self, address, hello, now):
        """Return the cookie for `address`, bytes, and `hello`, a result of server.read_hello_start()."""
        return self._cookie(self.secrets(now)[0], address, hello)

    def verify(self, address, hello, now):
        """Return whether the cookie in `hello` is one of ours for it."""
        good = False
        _, _, _, cookie, _ = hello
        for secret in self.secrets(now):
            difference = len(cookie) ^ self.BYTES
            for ours, theirs in zip(self._cookie(secret, address, hello), cookie):
                difference |= ours ^ theirs
            good = good or not difference
        return good

    def _cookie(self, secret, address, hello):
        _, random, session_id, _, suites = hello
        parts = [len(part).to_bytes(2, "big") + part for part in (address, random, session_id, suites)]
        return Hmac(secret).digest(*parts)[: self.BYTES]


class Tickets(Rotating):
    """A server's memory of its sessions: the last few by id, and any number as tickets, which only this server can read.

    Both are tickets under a secret that changes; those behind a session id are kept here. So both are of no use two periods after
    the handshake that made them, whatever was resumed meanwhile. Each contains a fingerprint of what the peer had proved in that
    handshake, and is of no use either once the key exchange says something else about this identity (see KeyExchange.current).
    """

    def __init__(self, random, period_ms, now, remember=8):
        super().__init__(random, period_ms, now)
        self._remember = remember
        self._sessions = []  # (id, ticket), the latest last
        self.lifetime_s = period_ms // 1000

    def remember(self, session_id, *session):
        """Keep a session to resume it by id; discard the oldest if there are too many. The rest is as for make()."""
        self._sessions.append((session_id, self.make(*session)))
        if len(self._sessions) > self._remember:
            self._sessions.pop(0)

    def recall(self, session_id):
        """Return the ticket that is kept behind a session id, or b""."""
        for known, ticket in self._sessions:
            if known == session_id:
                return ticket
        return b""

    def forget(self, session_id):
        """Discard a session, as one that ended in a fatal alert must be (RFC 5246, section 7.2.2)."""
        self._sessions = [(known, ticket) for known, ticket in self._sessions if known != session_id]

    def make(self, suite, master, identity, credential, now):
        """Return a ticket. `credential`: what the peer has proved, bytes; None: the ticket is of no use."""
        packed = suite.to_bytes(2, "big") + _fingerprint(master, credential) + master + identity
        return wrap(self.secrets(now)[0], self._random, packed)

    def read(self, ticket, now, current):
        """Return (suite, master secret, identity, credential) of a ticket, or None if it is not ours, or of no use any more.

        `current(identity)` returns the credential that an identity has now, or None.
        """
        for secret in self.secrets(now):
            packed = unwrap(secret, ticket)
            if packed is not None:
                master, identity = bytearray(packed[_MASTER_AT:_IDENTITY_AT]), bytes(packed[_IDENTITY_AT:])
                credential = current(identity)
                if credential is not None and _fingerprint(master, credential) == packed[2:_MASTER_AT]:
                    return int.from_bytes(packed[:2], "big"), master, identity, credential
        return None


def _fingerprint(master, credential):
    """Return what tells one credential of an identity from another one, to those only who have the master secret."""
    return p_sha256(master, b"dice credential" + (credential or b""), _FINGERPRINT_BYTES)
