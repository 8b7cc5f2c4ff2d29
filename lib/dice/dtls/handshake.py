# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The parts that both roles of a handshake share: the base of key exchanges, the transcript, the secrets of TLS 1.2 (master secret,
key block, Finished, exporter: RFC 5246, sections 5 to 8), a flight in the making.

A role is given whole messages by its session, in order, and answers with flights. It knows no record, no timer and no address, and
of a method of key exchange no more than KeyExchange.
"""

from .._compat import const
from ..codes import (
    ALERT_DECRYPT_ERROR,
    CONTENT_CHANGE_CIPHER_SPEC,
    CONTENT_HANDSHAKE,
    HANDSHAKE_FINISHED,
)
from ..crypto import sha256
from ..crypto.hmac import p_sha256
from ..errors import PeerError
from ..limits import EARLY_MESSAGES_MAX, HANDSHAKE_BYTES_MAX, MASTER_SECRET_BYTES, RECORD_PLAINTEXT_MAX_BYTES
from ..reasons import E_FINISHED

_VERIFY_BYTES = const(12)


class KeyExchange:
    """One method of key exchange on one side, the credentials of an application: all that a handshake knows of it. See `kx_psk`.

        Client                                          Server
        ClientHello            suites, extensions  -->
                               <--  suites, extensions  ServerHello
        read() of each         <--            flight()  [Certificate], [ServerKeyExchange], [CertificateRequest]
                               <--                      ServerHelloDone
        [Certificate], ClientKeyExchange  flight() -->  read() of each
        [CertificateVerify]                prove() -->  read() of each
        ChangeCipherSpec, Finished                 <->  ChangeCipherSpec, Finished

    A subclass has

        suites                   code points of cipher suites, the preferred first (see dice.suites)
        extensions               a tuple of rows of its own, such as server_certificate_type or supported_groups, behind those of
                                 `dice.dtls.extensions`, which describes them
        flight(handshake)        return [(HandshakeType, body), ...] of our flight: of a server between ServerHello and
                                 ServerHelloDone, of a client until ClientKeyExchange, after which `premaster` is known; raises
                                 PeerError if it misses a message of the server
        read(handshake, kind, body)
                                 process a message of the peer: None if it is not expected here (unexpected_message answers it),
                                 True if it was the last one, else False. Raises PeerError with another alert, FormatError for
                                 decode_error. A client gets all messages between ServerHello and ServerHelloDone, a server
                                 those from ServerHelloDone to ChangeCipherSpec
        prove(handshake)         return messages of a client behind its ClientKeyExchange, such as CertificateVerify; only
                                 called if `digests` is above 2
        current(identity)        return what a client with this identity has to prove now, bytes such as its key or a digest of its
                                 certificate, or None if it may not connect any more. Only of a server; read() sets
                                 `handshake.credential` to the same. A handshake succeeds, a session is resumed, and is left alone
                                 by its listener, only as long as both are equal. It may raise whatever a look-up raises, and
                                 then nothing new begins. Without current() nothing is resumed
        digests                  how many hashes of the transcript a full handshake needs: 2, or 3 if a client proves something
        bytes_max, messages_max  bounds of the messages that a session reassembles: certificates need more bytes, a flight of five
                                 messages needs 5

    It serves many handshakes, so it keeps what belongs to one of them in that one: `handshake.exchange` is its own, None before
    the first flight. It sets `handshake.premaster`, bytes, and `handshake.identity`, bytes: who the peer turned out to be, which
    becomes that of the session when Finished is verified, and which a ticket brings back. It may read `handshake.suite`,
    `handshake.secrets.randoms` (both, 64 bytes, which a ServerKeyExchange signs), `handshake.session_hash` (the hash of all
    messages until ClientKeyExchange, RFC 7627, section 3, which a CertificateVerify with SHA-256 signs; None before that) and
    `handshake.random(n)`, n random bytes.
    """

    extensions = ()
    digests = 2
    bytes_max = HANDSHAKE_BYTES_MAX
    messages_max = EARLY_MESSAGES_MAX


class Transcript:
    """The hash of all handshake messages so far, which digest() returns as often as `digests` says.

    There is one running hash for each time, because MicroPython cannot copy a running hash.
    """

    def __init__(self, digests):
        self._hashes = []
        for _ in range(digests):
            self._hashes.append(sha256())

    def update(self, message):
        """Add a message as if it had come in one fragment (RFC 6347, section 4.2.6)."""
        for running in self._hashes:
            running.update(message)

    def digest(self):
        """Return the 32-byte hash."""
        return self._hashes.pop().digest()


class Secrets:
    """A master secret (48 bytes) and the two randoms (32 bytes each) that go with it."""

    def __init__(self, client_random, server_random, master=None):
        self.randoms = client_random + server_random
        self.master = master

    def derive_master(self, premaster, session_hash):
        """Derive the extended master secret (RFC 7627, section 4), or that of RFC 5246, section 8.1, if `session_hash` is None."""
        seed = b"extended master secret" + session_hash if session_hash else b"master secret" + self.randoms
        self.master = p_sha256(premaster, seed, MASTER_SECRET_BYTES)

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
        for i in range(len(self.master)):
            self.master[i] = 0


class Resumption:
    """The secret that a client keeps to resume a session, not to be printed or logged. It shows `ticket` or `session_id`, bytes.

    `identity` is that of the server, which has proved it in the full handshake, and proves in a resumed one that it is the same.
    """

    def __init__(self, session):
        """Take what a connected Session has."""
        self.suite = session.suite
        self.session_id = session.session_id
        self.ticket = session.ticket
        self.identity = session.identity
        self.master = bytes(session.secrets.master)


class Handshake:
    """Base of `client.Client` and `server.Server`.

    read(kind, body, message) processes a message and returns the flight that answers it, or None; it raises PeerError, and
    FormatError if it cannot decode the message. A flight is a list of (epoch, content type, bytes).
    """

    def __init__(self, credentials, random, cid):
        self.credentials = credentials
        self.random = random
        self.connected = False
        self.is_client = False
        self.cid = cid  # the connection id that the peer puts into its records; None if connection ids are not used
        self.peer_cid = b""
        self.record_max = RECORD_PLAINTEXT_MAX_BYTES  # the longest plaintext of a record that the peer accepts
        self.suite = None
        self.secrets = None
        self.session_id = b""
        self.ticket = b""
        self.extended = False  # the master secret is that of RFC 7627
        self.resumed = False
        self.identity = None  # of the peer, as its key exchange says
        self.exchange = self.premaster = self.session_hash = None  # for the key exchange
        self.theirs = ()  # {type: data}, the extensions of the peer's hello
        self.fragment_code = None  # max_fragment_length (RFC 6066, section 4)
        self.size_limit = None  # the longest plaintext of a record that we accept
        self.server_name = None
        self.protocols = ()  # ours
        self.alpn = None  # the chosen one
        self.shown_ticket = None  # the data of our session_ticket
        self.promised = False  # the peer's hello has a session_ticket
        self.next_send = 0  # message_seq of our next message
        self.epoch = 0  # of our next message
        self._transcript = None
        self._flight = None

    def _put(self, kind, body):
        """Append a message to the flight and to the transcript."""
        length = len(body).to_bytes(3, "big")
        message = bytes((kind,)) + length + self.next_send.to_bytes(2, "big") + bytes(3) + length + body
        self.next_send += 1
        if self._transcript:
            self._transcript.update(message)
        self._flight.append((self.epoch, CONTENT_HANDSHAKE, message))

    def _put_all(self, messages):
        for kind, body in messages:
            self._put(kind, body)

    def _derive_master(self):
        """Derive the master secret, once ClientKeyExchange is in the transcript."""
        self.session_hash = self._transcript.digest()
        self.secrets.derive_master(self.premaster, self.session_hash if self.extended else None)
        self.premaster = None

    def _put_finished(self, label, handshake_hash):
        self._flight.append((self.epoch, CONTENT_CHANGE_CIPHER_SPEC, b"\1"))
        self.epoch += 1
        self._put(HANDSHAKE_FINISHED, self.secrets.verify_data(label, handshake_hash))

    def _read_finished(self, label, handshake_hash, body, message):
        """Verify the peer's Finished, in constant time (RFC 5246, section 7.4.9); then we are connected."""
        expected = self.secrets.verify_data(label, handshake_hash)
        difference = len(body) ^ _VERIFY_BYTES
        for ours, theirs in zip(expected, body):
            difference |= ours ^ theirs
        if difference:
            raise PeerError(ALERT_DECRYPT_ERROR, E_FINISHED)
        self._transcript.update(message)
        self.connected = True
