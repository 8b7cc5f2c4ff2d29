# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A DTLS 1.2 session with one peer, sans-IO: handshake, then application data (RFC 6347) (row 6).

Implementation notes: a role (`client.Client` or `server.Server`) says what to answer to handshake messages; this is everything
around it: records, reassembly, flights and their timer, alerts. The role is let go of when it has done its work. Nothing that is
received raises: in the record layer it is dropped and counted, in the handshake it ends the session with an alert, and
`_fail` is the only place where an error becomes one.
"""

from .._compat import ticks_add, ticks_diff
from ..codes import (
    ALERT_CLOSE_NOTIFY,
    ALERT_DECODE_ERROR,
    ALERT_DECRYPT_ERROR,
    ALERT_INTERNAL_ERROR,
    ALERT_LEVEL_FATAL,
    ALERT_LEVEL_WARNING,
    ALERT_NO_RENEGOTIATION,
    CONTENT_ALERT,
    CONTENT_APPLICATION_DATA,
    CONTENT_CHANGE_CIPHER_SPEC,
    CONTENT_HANDSHAKE,
    HANDSHAKE_FINISHED,
)
from ..errors import CLOSED, CONNECTED, DATA, NONE, DiceError, FormatError, PeerError, UsageError
from ..limits import (
    ALERT_WAIT_MS,
    DATAGRAM_MAX_BYTES,
    EARLY_RECORDS_MAX,
    LAST_FLIGHT_MS,
    MTU_MIN_BYTES,
    RECORD_OVERHEAD_MAX_BYTES,
    TIMER_MS,
)
from ..reasons import (
    E_ALERT,
    E_FINISHED,
    E_MEMORY,
    E_NO_ANSWER,
    E_NOT_BYTES,
    E_NOT_CONNECTED,
    E_NOT_SENT,
    E_OPTION,
    E_STALLED,
    E_TOO_LONG,
)
from ..suites import SUITES
from ..wire import Reader
from .flights import Flight, Reassembly
from .keys import Resumption
from .record_layer import RecordLayer


class Session:
    """One side of a session: the five calls, and close().

    `data` is what the event DATA announces; `error` is None or, after CLOSED, the PeerError that ended the session;
    `layer.dropped` counts what was not taken in; `newest` tells whether what was received last is authentic and newer than all
    before: only then may the peer's address change (RFC 9146, section 6). `identity`, `alpn`, `server_name` and `resumed` are
    what the handshake found.
    """

    def __init__(self, handshake, now, timer_ms=TIMER_MS, mtu=DATAGRAM_MAX_BYTES):
        """Begin as `handshake`, a client.Client or server.Server, says.

        `timer_ms`: before the first retransmission: 9 s by RFC 7925, 1 s suits fast links. `mtu`: the longest datagram to send, in
        bytes, of which a handshake gets by with 128. Raises UsageError.
        """
        if not 0 < timer_ms < 1 << 29 or not MTU_MIN_BYTES <= mtu <= DATAGRAM_MAX_BYTES:
            raise UsageError(E_OPTION)
        self.data = None
        self.error = None
        self.connected = False
        self.newest = False
        self.is_client = handshake.is_client
        self.identity = self.alpn = self.server_name = None
        self.resumed = False
        self.layer = RecordLayer(b"")
        self._timer_ms, self._mtu = timer_ms, mtu
        self._handshake = handshake
        self._reassembly = Reassembly(0)
        self._flight = self._answers = None
        self._rest = b""  # of the datagram that is being taken in
        self._early = []  # protected records that came before their keys
        self._held = []  # application data that came before Finished
        self._out = []  # sealed, to be sent
        self._doubt = None  # (when to believe it, the PeerError) of what anybody may have sent
        self._end = None  # when the last flight need not be sent again any more
        if self.is_client:
            self._begin(handshake.start(), now)

    def accept(self, message_seq, record_seq):
        """Let a server begin with the client's message `message_seq`, which came in record `record_seq` (RFC 6347, section
        4.2.1)."""
        self._reassembly.next = self._handshake.next_send = message_seq
        self.layer.plain_next = record_seq

    def receive(self, datagram, now):
        """Take in a datagram; return NONE, CONNECTED, DATA or CLOSED.

        A datagram may bring more than one event: call with b"" until NONE is returned.
        """
        self.data = None
        self.newest = False
        if datagram:
            self._rest = memoryview(datagram)
        while self._rest:
            size = self.layer.split(self._rest)
            data = self._rest[:size]
            self._rest = self._rest[size:] if size else b""
            event = self._receive_record(data, now) if size else NONE
            if event:
                return event
        while self._early and self.layer.window:
            event = self._receive_record(self._early.pop(0), now)
            if event:
                return event
        if self._held and self.connected:
            self.data = self._held.pop(0)
            return DATA
        return NONE

    def send(self, data, now):
        """Seal application data (bytes-like); transmit() then has the datagram. Raises UsageError, LimitError, StoreError."""
        if not self.connected:
            raise UsageError(E_NOT_CONNECTED)
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise UsageError(E_NOT_BYTES)
        data = bytes(data)
        if len(data) > self.data_max():
            raise UsageError(E_TOO_LONG)
        if self._out:
            raise UsageError(E_NOT_SENT)
        self._out.append(self.layer.seal(CONTENT_APPLICATION_DATA, 1, data))

    def data_max(self):
        """Return how many bytes one call of send() takes."""
        return min(self._mtu - self.layer.overhead(1), self.layer.record_max)

    def transmit(self):
        """Return the next datagram to put on the wire, or None."""
        if self._out:
            return self._out.pop(0)
        try:
            return self._flight.transmit(self.layer) if self._flight else None
        except DiceError:  # the key has come to its end
            self._flight = None

    def deadline(self):
        """Return the ticks at which timeout() wants to be called, or None."""
        due = self._flight.due if self._flight else None
        for other in (self._doubt and self._doubt[0], self._end):
            if other is not None and (due is None or ticks_diff(other, due) < 0):
                due = other
        return due

    def timeout(self, now):
        """Do what has become due; return NONE or CLOSED."""
        if self._end is not None and ticks_diff(now, self._end) >= 0:
            self._end = self._flight = None
        if self._doubt and ticks_diff(now, self._doubt[0]) >= 0:
            self.error = self._doubt[1]
            return self.abandon()
        flight = self._flight
        if flight and flight.due is not None and ticks_diff(now, flight.due) >= 0 and not flight.timeout(now):
            return self.give_up()
        return NONE

    def give_up(self):
        """End a handshake that takes too long, and tell the peer, which may be connected; return CLOSED: `error` says why."""
        if "forged" in self.layer.dropped:
            return self._fail(PeerError(ALERT_DECRYPT_ERROR, E_FINISHED))
        self.error = PeerError(None, E_STALLED) if self._reassembly.next else PeerError(None, E_NO_ANSWER)
        self._alert(ALERT_LEVEL_WARNING, ALERT_CLOSE_NOTIFY)
        return self.abandon()

    def export(self, label, length, context=None):
        """Return keying material that only both sides know (RFC 5705); `label` and `context` are bytes.

        Raises UsageError before the handshake is over, and where the peer has no extended master secret (RFC 7627, section 5.4).
        """
        if not self.connected or not self._extended:
            raise UsageError(E_NOT_CONNECTED)
        return self._secrets.export(label, context, length)

    def resumption(self):
        """Return what a client can resume this session by, or None where the server offered nothing."""
        if not self.connected or not self._extended or not (self._ticket or self._session_id):
            return None
        return Resumption(self._suite, self._session_id, self._ticket, bytes(self._secrets.master))

    def close(self):
        """Say close_notify, if there is anyone to say it to, and overwrite the keys; transmit() has what is left to send."""
        if self.connected or self._handshake:
            self._alert(ALERT_LEVEL_WARNING, ALERT_CLOSE_NOTIFY)
        self.abandon()

    def agreed(self):
        """Return (suite, whether the master secret is extended, Secrets, session id, ticket), for dice.dtls.sleep and key logs."""
        return self._suite, self._extended, self._secrets, self._session_id, self._ticket

    def continue_with(self, layer, is_client, now):
        """Be connected already, with a record layer that has its keys, for dice.dtls.sleep."""
        self.layer = layer
        self.is_client = is_client
        self._connect(now)

    # Records.

    def _receive_record(self, data, now):
        no_keys = self._handshake and not self.layer.window
        if no_keys and data[3] << 8 | data[4] == 1 and len(self._early) < EARLY_RECORDS_MAX:
            self._early.append(bytes(data))
            return NONE
        opened = self.layer.open(data)
        if opened is None:
            # The client's key is not ours, or somebody else sent this: say so (RFC 7925, section 4.2), and wait on.
            if self._handshake and self.layer.forged and not self.is_client:
                self._alert(ALERT_LEVEL_FATAL, ALERT_DECRYPT_ERROR)
            return NONE
        epoch, content_type, plaintext = opened
        self.newest = self.newest or (epoch == 1 and self.layer.newest)
        try:
            if content_type == CONTENT_HANDSHAKE:
                return self._receive_handshake(epoch, plaintext, now)
            if content_type == CONTENT_ALERT:
                return self._receive_alert(epoch, plaintext, now)
            if content_type == CONTENT_APPLICATION_DATA and epoch:
                return self._receive_data(plaintext)
            if content_type != CONTENT_CHANGE_CIPHER_SPEC:  # of which the epoch says all there is to know
                self.layer.drop("malformed")
        except PeerError as error:
            return self._fail(error)
        except FormatError as error:
            return self._fail(PeerError(ALERT_DECODE_ERROR, error.reason))
        except DiceError as error:
            return self._fail(PeerError(ALERT_INTERNAL_ERROR, error.reason))
        return NONE

    def _receive_data(self, plaintext):
        if self.connected:
            if self._end is not None:  # the peer has heard our last flight
                self._end = self._flight = None
            self.data = plaintext
            return DATA
        if len(self._held) < EARLY_RECORDS_MAX:
            self._held.append(plaintext)
            self._ask()  # the peer is connected, and its Finished is lost
        else:
            self.layer.drop("early")
        return NONE

    def _receive_alert(self, epoch, plaintext, now):
        if len(plaintext) != 2:
            self.layer.drop("malformed")
            return NONE
        level, alert = plaintext
        if alert == ALERT_CLOSE_NOTIFY and epoch:
            if self.connected:
                self._alert(ALERT_LEVEL_WARNING, ALERT_CLOSE_NOTIFY)
            return self.abandon()
        if level != ALERT_LEVEL_FATAL and alert:
            return NONE
        error = PeerError(alert, E_ALERT)
        if epoch:
            self.error = error
            return self.abandon()
        if self._handshake and not self._doubt:
            self._doubt = ticks_add(now, ALERT_WAIT_MS), error
            self._ask()  # whether it was the peer
        return NONE

    def _ask(self):
        if self._flight:
            self._flight.again()  # so that the peer sends its own again

    # Handshake messages.

    def _receive_handshake(self, epoch, plaintext, now):
        reader = Reader(plaintext)
        event = NONE
        while reader.more() and not event:
            try:
                kind, length, sequence, offset, part = (
                    reader.uint(1),
                    reader.uint(3),
                    reader.uint(2),
                    reader.uint(3),
                    reader.vector(3),
                )
            except FormatError:
                self.layer.drop("malformed")
                return NONE
            if self._handshake is None:
                self._receive_late(kind, sequence, offset + len(part) == length, now)
            elif kind == 3 and self.is_client and not epoch:
                # A server without state numbers its HelloVerifyRequests all alike.
                if offset == 0 and len(part) == length and 0 <= self._reassembly.next - sequence <= 1:
                    self._answer(kind, part, b"", now)
                    self._reassembly.next = max(self._reassembly.next, sequence + 1)
            elif sequence == self._answers and offset + len(part) == length:
                self._ask()
            elif (kind == HANDSHAKE_FINISHED) != epoch or not self._reassembly.add(epoch, kind, length, sequence, offset, part):
                self.layer.drop("unexpected")
            else:
                event = self._take_messages(now)
        return event

    def _take_messages(self, now):
        while self._handshake:
            taken = self._reassembly.take()
            if taken is None:
                return NONE
            message = taken[1]
            self._answer(message[0], message[12:], message, now)
            if self._handshake.connected:
                return self._connect(now)
        return NONE

    def _answer(self, kind, body, message, now):
        handshake = self._handshake
        layer = self.layer
        try:
            flight = handshake.read(kind, bytes(body), message)
            layer.cid = handshake.cid or b""
            layer.record_max = min(layer.record_max, handshake.record_max)
            if handshake.secrets and handshake.secrets.master and not layer.window:
                layer.peer_cid = handshake.peer_cid
                suite = SUITES[handshake.suite]
                layer.set_keys(handshake.secrets.key_block(suite), self.is_client, suite)
            if flight:
                self._begin(flight, now)
        except MemoryError:  # what is half done cannot be taken up again
            raise PeerError(ALERT_INTERNAL_ERROR, E_MEMORY)

    def _begin(self, flight, now):
        self._answers = self._reassembly.next - 1  # the last message that the flight answers
        self._flight = Flight(flight, self._timer_ms, min(self._mtu, self.layer.record_max + RECORD_OVERHEAD_MAX_BYTES))
        self._flight.start(now)

    def _connect(self, now):
        handshake = self._handshake
        self.connected = True
        self.identity, self.alpn = handshake.identity, handshake.alpn
        self.server_name, self.resumed = handshake.server_name, handshake.resumed
        self._extended = handshake.extended
        self._suite = handshake.suite
        self._secrets = handshake.secrets
        self._session_id, self._ticket = handshake.session_id, handshake.ticket
        self._handshake = self._doubt = None
        self._early = []
        self.layer.plain = False
        if self._flight and self.is_client == self.resumed:  # ours is the last flight, which the peer may not have heard
            self._flight.due = None
            self._end = ticks_add(now, LAST_FLIGHT_MS)
        else:
            self._flight = None
        return CONNECTED

    def _receive_late(self, kind, sequence, is_end, now):
        """Take a handshake message after the handshake: authentic, since plaintext is not read any more."""
        if kind == HANDSHAKE_FINISHED and sequence == self._reassembly.next - 1 and is_end:
            self._ask()
        elif kind <= 1:  # HelloRequest, ClientHello
            self._alert(ALERT_LEVEL_WARNING, ALERT_NO_RENEGOTIATION)
        else:
            self.layer.drop("unexpected")

    # Ends.

    def _alert(self, level, alert):
        # Whether our ChangeCipherSpec is out: the server's comes first where a session is resumed, else the client's.
        epoch = 1 if self.connected or (self.layer.window and self.is_client != self._handshake.resumed) else 0
        if len(self._out) < EARLY_RECORDS_MAX:
            try:
                self._out.append(self.layer.seal(CONTENT_ALERT, epoch, bytes((level, alert))))
            except (DiceError, MemoryError):
                pass  # the key has come to its end, or there is no room: the peer is not told

    def _fail(self, error):
        """Turn an error into an alert, and end."""
        self.error = error
        self._alert(ALERT_LEVEL_FATAL, error.alert)
        return self.abandon()

    def abandon(self):
        """Overwrite the keys without telling the peer; return CLOSED."""
        self.layer.close()
        secrets = self._handshake.secrets if self._handshake else (self._secrets if self.connected else None)
        if secrets and secrets.master:
            secrets.close()
        self.connected = False
        self._handshake = self._flight = self._doubt = self._end = None
        self._rest = b""
        self._early, self._held = [], []
        return CLOSED
