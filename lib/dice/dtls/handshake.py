# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What both roles of a handshake share: a flight in the making, the transcript, what has been agreed on (row 4).

A role is given whole messages by its session, in order, and answers with flights; it knows no record, no timer and no address.
"""

from ..codes import (
    ALERT_DECRYPT_ERROR,
    ALERT_ILLEGAL_PARAMETER,
    CONTENT_CHANGE_CIPHER_SPEC,
    CONTENT_HANDSHAKE,
    HANDSHAKE_FINISHED,
)
from ..errors import PeerError
from ..limits import RECORD_PLAINTEXT_MAX_BYTES
from ..reasons import E_FINISHED, E_ILLEGAL


class Handshake:
    """Base of `client.Client` and `server.Server`.

    read(kind, body, message) takes a handshake message and returns the flight that answers it, or None; it raises PeerError, and
    FormatError where it cannot be taken apart. A flight is a list of (epoch, content type, bytes).
    """

    def __init__(self, credentials, random, cid):
        self.connected = False
        self.is_client = False
        self.cid = cid  # what the peer is to put into its records, or None to speak of none
        self.peer_cid = b""
        self.record_max = RECORD_PLAINTEXT_MAX_BYTES  # plaintext that the peer takes in a record
        self.suite = None
        self.secrets = None
        self.session_id = b""
        self.ticket = b""
        self.extended = False  # the master secret is that of RFC 7627
        self.resumed = False
        self.identity = None  # of the peer, as its credentials say
        self.alpn = None
        self.server_name = None
        self.next_send = 0  # message_seq of our next message
        self._credentials = credentials
        self._random = random
        self._transcript = None
        self._flight = None

    def _put(self, kind, body, epoch=0):
        """Append a message to the flight and to the transcript."""
        length = len(body).to_bytes(3, "big")
        message = bytes((kind,)) + length + self.next_send.to_bytes(2, "big") + bytes(3) + length + body
        self.next_send += 1
        if self._transcript:
            self._transcript.update(message)
        self._flight.append((epoch, CONTENT_HANDSHAKE, message))

    def _put_finished(self, label, handshake_hash):
        self._flight.append((0, CONTENT_CHANGE_CIPHER_SPEC, b"\1"))
        self._put(HANDSHAKE_FINISHED, self.secrets.verify_data(label, handshake_hash), 1)

    def _read_finished(self, label, handshake_hash, body, message):
        """Take in the peer's Finished, in constant time (RFC 5246, section 7.4.9)."""
        expected = self.secrets.verify_data(label, handshake_hash)
        difference = len(body) ^ len(expected)
        for ours, theirs in zip(expected, body):
            difference |= ours ^ theirs
        if difference:
            raise PeerError(ALERT_DECRYPT_ERROR, E_FINISHED)
        self._transcript.update(message)

    def _limit_records(self, extension, code):
        """Take in how long the peer's records may be: max_fragment_length (RFC 6066) or record_size_limit (RFC 8449)."""
        limit = int.from_bytes(extension, "big")
        if len(extension) != (1 if code else 2) or (code and not 1 <= limit <= 4) or (not code and limit < 64):
            raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)
        self.record_max = min(self.record_max, 256 << limit if code else limit)
