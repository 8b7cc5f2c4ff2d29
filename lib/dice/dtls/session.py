# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A DTLS 1.2 session with one peer, sans-IO: handshake, then application data (RFC 6347).

Implementation notes: a role (`client.Client` or `server.Server`) answers handshake messages; the session is everything around it:
records, reassembly, flights and their timer, alerts. It drops the role when the handshake is done. Nothing that is received raises:
the record layer drops and counts, and `_fail` alone makes an alert of an error of the handshake.

The states of RFC 6347, section 4.2.4, for a flight of ours: PREPARING is Handshake.read(); SENDING is transmit() until it returns
None; WAITING is until `_flight.due`, when _flight.timeout() goes back to SENDING, as _repeat() does when the peer repeats itself;
FINISHED is until `_wait_end` if the last flight is ours, since the peer may ask for it again, else at once.

A session ends in one of four ways. Each overwrites its keys and makes `connected` false:

    call          sends the peer          `error` is         is called
    close()       close_notify            as it was          by the application
    give_up()     close_notify            E_NO_ANSWER, ...   when a handshake takes too long
    _fail(error)  the alert of `error`    `error`            when the peer breaks the protocol; by give_up() if a tag failed
    abandon()     nothing                 as it was          when the peer has ended the session; when it is saved or replaced

No end needs memory, except for its alert, and timeout() repeats one that was interrupted.
"""

from .._compat import ticks_add, ticks_diff
from ..codes import (
    ALERT_CLOSE_NOTIFY,
    ALERT_DECODE_ERROR,
    ALERT_DECRYPT_ERROR,
    ALERT_HANDSHAKE_FAILURE,
    ALERT_INTERNAL_ERROR,
    ALERT_LEVEL_FATAL,
    ALERT_LEVEL_WARNING,
    ALERT_NO_RENEGOTIATION,
    CONTENT_ALERT,
    CONTENT_APPLICATION_DATA,
    CONTENT_CHANGE_CIPHER_SPEC,
    CONTENT_HANDSHAKE,
    HANDSHAKE_CLIENT_HELLO,
    HANDSHAKE_FINISHED,
    HANDSHAKE_HELLO_VERIFY_REQUEST,
)
from ..errors import CLOSED, CONNECTED, DATA, NONE, DiceError, FormatError, PeerError, UsageError
from ..limits import (
    ALERT_WAIT_MS,
    DATAGRAM_MAX_BYTES,
    EARLY_RECORDS_MAX,
    LAST_FLIGHT_MS,
    MTU_MIN_BYTES,
    RECORD_OVERHEAD_MAX_BYTES,
    REPEAT_MIN_MS,
    REPEATS_MAX,
    TIMER_MS,
)
from ..reasons import (
    E_ALERT,
    E_FINISHED,
    E_LONG_MESSAGE,
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
from .handshake import Resumption


class Session:
    """One side of a session: the five calls, and close().

    `data` is what the event DATA announces; `error` is None or, after CLOSED, the PeerError that ended the session. `layer.dropped`
    counts what was dropped. `newest`: None if nothing authentic was received last, else whether it is newer than all before; only
    then may the peer's address change (RFC 9146, section 6). `identity`, `alpn`, `server_name`, `resumed`, `suite` (a code point),
    `extended` (an extended master secret), `secrets`, `session_id` and `ticket` are results of the handshake.
    """

    def __init__(self, handshake, layer, now, timer_ms=TIMER_MS, mtu=DATAGRAM_MAX_BYTES, message_seq=0):
        """Begin with a role, client.Client or server.Server, and a new record layer, such as record_layer.RecordLayer.

        A role that is connected already, with a layer that has its keys, continues from there (see dice.dtls.sleep). `timer_ms`:
        before the first retransmission; RFC 7925 recommends 9 s, and 1 s suits fast links. `mtu`: the longest datagram to send, in
        bytes, at least 128. `message_seq`: of the first message in both directions (RFC 6347, section 4.2.1). Raises UsageError.
        """
        if not 0 < timer_ms < 1 << 29 or not MTU_MIN_BYTES <= mtu <= DATAGRAM_MAX_BYTES:
            raise UsageError(E_OPTION)
        self.data = self.error = None
        self.connected = False
        self.newest = None
        self.is_client = handshake.is_client
        self.identity = self.alpn = self.server_name = None
        self.resumed = self.extended = False
        self.suite = self.secrets = self.session_id = self.ticket = None
        self.layer = layer
        self._timer_ms, self._mtu = timer_ms, mtu
        self._handshake = handshake
        handshake.next_send = message_seq
        self._reassembly = Reassembly(message_seq, handshake.credentials)
        self._flight = None
        self._sent_at = now  # when we last sent it
        self._repeats = 0  # what the peer made us repeat since it began
        self._answered = None  # message_seq of the last message that the flight answers
        self._rest = b""  # of the datagram that is being received
        self._early = []  # protected records that came before their keys
        self._held = []  # application data that came before Finished
        self._out = []  # sealed, to be sent
        self._alerted = None  # the PeerError of an unverified alert, which anybody may have sent
        self._wait_end = None  # when that ends the session; after the handshake, when the last flight is discarded
        if handshake.connected:
            self._connect(now)
        elif self.is_client:
            self._begin(handshake.start(), now)

    def receive(self, datagram, now):
        """Receive a datagram; return NONE, CONNECTED, DATA or CLOSED.

        A datagram may cause more than one event: call with b"" until NONE is returned.
        """
        self.data = None
        self.newest = None
        if datagram:
            self._rest = memoryview(datagram)
        while self._rest:
            size = self.layer.split(self._rest)
            data = self._rest[:size]
            self._rest = self._rest[size:] if size else b""
            event = self._receive_record(data, now) if size else NONE
            if event:
                return event
        while self._early and self.layer.epoch:
            event = self._receive_record(self._early.pop(0), now)
            if event:
                return event
        while self._held and self.connected:
            event = self._receive_data(self._held.pop(0), now)
            if event:
                return event
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
        self._out.append(self.layer.seal(CONTENT_APPLICATION_DATA, self.layer.epoch, data))

    def data_max(self):
        """Return how many bytes one call of send() takes."""
        layer = self.layer
        return min(self._mtu - layer.overhead(layer.epoch), layer.record_max) if self.connected else 0

    def transmit(self):
        """Return the next datagram to put on the wire, or None."""
        if self._out:
            return self._out.pop(0)
        try:
            return self._flight.transmit(self.layer) if self._flight else None
        except DiceError:  # the key is spent
            self._flight = None

    def deadline(self):
        """Return the ticks at which timeout() wants to be called, or None."""
        due = self._flight.due if self._flight else None
        other = self._wait_end
        return other if due is None or (other is not None and ticks_diff(other, due) < 0) else due

    def timeout(self, now):
        """Do what has become due; return NONE or CLOSED."""
        if not self.connected and not self._handshake:
            return self.abandon()  # again: the first time was interrupted
        if self._wait_end is not None and ticks_diff(now, self._wait_end) >= 0:
            if self._alerted:
                self.error = self._alerted
                return self.abandon()
            self._wait_end = self._flight = None
        flight = self._flight
        if flight and flight.due is not None and ticks_diff(now, flight.due) >= 0:
            self._sent_at = now
            if not flight.timeout(now):
                return self.give_up()
        return NONE

    def give_up(self):
        """End a handshake that takes too long, and notify the peer, which may be connected; return CLOSED."""
        self.error = PeerError(None, E_STALLED) if self._reassembly.next else PeerError(None, E_NO_ANSWER)
        if "forged" in self.layer.dropped:
            self.error = PeerError(ALERT_DECRYPT_ERROR, E_FINISHED)
            if self._handshake and not self._handshake.epoch:  # nothing is sealed because of what did not verify
                return self._fail(self.error)
        return self._end(ALERT_LEVEL_WARNING, ALERT_CLOSE_NOTIFY)

    def export(self, label, length, context=None):
        """Return keying material that only both sides know (RFC 5705); `label` and `context` are bytes.

        Raises UsageError before the handshake is done, and if the peer has no extended master secret (RFC 7627, section 5.4).
        """
        if not self.connected or not self.extended:
            raise UsageError(E_NOT_CONNECTED)
        return self.secrets.export(label, context, length)

    def resumption(self):
        """Return the Resumption of a client for a later session, or None if the server offers none."""
        if not self.connected or not self.extended or not (self.ticket or self.session_id):
            return None
        return Resumption(self)

    def close(self):
        """Send close_notify, if there is a peer, and overwrite the keys; transmit() returns what is left to send."""
        self._end(ALERT_LEVEL_WARNING, ALERT_CLOSE_NOTIFY)

    # Records.

    def _receive_record(self, data, now):
        layer = self.layer
        no_keys = self._handshake and not layer.epoch
        if no_keys and layer.epoch_of(data) == layer.epoch + 1 and len(self._early) < EARLY_RECORDS_MAX:
            self._early.append(bytes(data))
            return NONE
        opened = layer.open(data)
        if opened is None:
            if layer.forged and self._handshake and not self.is_client and self._handshake.doubts(now):
                self._alert(ALERT_LEVEL_FATAL, ALERT_DECRYPT_ERROR)  # and go on waiting for the right one
            return NONE
        epoch, content_type, plaintext = opened
        if epoch:
            self.newest = self.newest or layer.newest
        try:
            if content_type == CONTENT_HANDSHAKE:
                return self._receive_handshake(epoch, plaintext, now)
            if content_type == CONTENT_ALERT:
                return self._receive_alert(epoch, plaintext, now)
            if content_type == CONTENT_APPLICATION_DATA and epoch:
                return self._receive_data(plaintext, now)
            if content_type != CONTENT_CHANGE_CIPHER_SPEC:  # which says no more than the epoch of the next record
                layer.drop("malformed")
        except PeerError as error:
            return self._fail(error)
        except DiceError as error:
            alert = ALERT_DECODE_ERROR if isinstance(error, FormatError) else ALERT_INTERNAL_ERROR
            return self._fail(PeerError(alert, error.reason))
        return NONE

    def _receive_data(self, plaintext, now):
        if self.connected:
            layer = self.layer
            if len(plaintext) <= min(DATAGRAM_MAX_BYTES - layer.overhead(layer.epoch), layer.record_max):
                self._wait_end = self._flight = None  # the peer has received our last flight
                self.data = plaintext
                return DATA
            layer.drop("long")  # it could not be echoed
        elif len(self._held) < EARLY_RECORDS_MAX:
            self._held.append(plaintext)
            if self._flight:  # the peer is connected, and its Finished is lost
                self._flight.due = ticks_add(now, REPEAT_MIN_MS)  # it may have sent that just now
        else:
            self.layer.drop("early")
        return NONE

    def _receive_alert(self, epoch, plaintext, now):
        if len(plaintext) != 2:
            self.layer.drop("malformed")
            return NONE
        level, alert = plaintext
        if alert == ALERT_CLOSE_NOTIFY and epoch:
            return self._end(ALERT_LEVEL_WARNING, ALERT_CLOSE_NOTIFY) if self.connected else self.abandon()
        if level != ALERT_LEVEL_FATAL and alert:
            return NONE
        error = PeerError(alert, E_ALERT)
        if epoch:
            self.error = error
            return self.abandon()
        if self._handshake and not self._alerted:
            self._alerted = error
            self._wait_end = ticks_add(now, ALERT_WAIT_MS)
            if self._flight:
                self._flight.restart()  # the peer does not answer if it sent this
        return NONE

    def _repeat(self, now):
        """Retransmit the flight: the peer repeats itself, and may do that again at once (see `flights`)."""
        if self._flight and self._repeats < REPEATS_MAX and ticks_diff(now, self._sent_at) >= REPEAT_MIN_MS:
            self._repeats += 1
            self._sent_at = now
            self._flight.restart()

    # Handshake messages.

    def _receive_handshake(self, epoch, plaintext, now):
        reader = Reader(plaintext)
        event = NONE
        while reader.more() and not event:
            try:
                kind, length, sequence = reader.uint(1), reader.uint(3), reader.uint(2)
                offset, part = reader.uint(3), reader.vector(3)
            except FormatError:
                self.layer.drop("malformed")
                return NONE
            if self._handshake is None:
                self._receive_late(kind, sequence, offset + len(part) == length, now)
            elif kind == HANDSHAKE_HELLO_VERIFY_REQUEST and self.is_client and not epoch:
                # A server without state gives all its HelloVerifyRequests the same number.
                if offset == 0 and len(part) == length and 0 <= self._reassembly.next - sequence <= 1:
                    self._answer(kind, part, b"", now)
                    self._reassembly.next = max(self._reassembly.next, sequence + 1)
            elif sequence == self._answered and offset + len(part) == length:
                self._repeat(now)
            elif (kind == HANDSHAKE_FINISHED) != bool(epoch) or not self._reassembly.add(
                epoch, kind, length, sequence, offset, part
            ):
                if length > self._handshake.credentials.bytes_max:
                    raise PeerError(ALERT_HANDSHAKE_FAILURE, E_LONG_MESSAGE)
                self.layer.drop("unexpected")
            else:
                message = self._reassembly.take()
                while message:
                    event = self._answer(message[0], message[12:], message, now)
                    message = not event and self._reassembly.take()
        return event

    def _answer(self, kind, body, message, now):
        handshake = self._handshake
        layer = self.layer
        try:
            flight = handshake.read(kind, bytes(body), message)
            layer.cid = handshake.cid or b""
            layer.record_max = min(layer.record_max, handshake.record_max)
            if handshake.secrets and handshake.secrets.master and not layer.epoch:
                layer.peer_cid = handshake.peer_cid
                suite = SUITES.get(handshake.suite) or SUITES[-handshake.suite]
                layer.set_keys(handshake.secrets.key_block(suite), self.is_client, suite)
            if flight:
                self._begin(flight, now)
            return self._connect(now) if handshake.connected else NONE
        except MemoryError:  # the role cannot repeat a step that is half done
            raise PeerError(ALERT_INTERNAL_ERROR, E_MEMORY)

    def _begin(self, flight, now):
        self._answered = self._reassembly.next - 1
        self._flight = Flight(flight, self._timer_ms, min(self._mtu, self.layer.record_max + RECORD_OVERHEAD_MAX_BYTES))
        self._flight.start(now)
        self._sent_at = now
        self._repeats = 0

    def _connect(self, now):
        handshake = self._handshake
        self.connected = True
        self.identity, self.alpn = handshake.identity, handshake.alpn
        self.server_name, self.resumed = handshake.server_name, handshake.resumed
        self.extended = handshake.extended
        self.suite = handshake.suite
        self.secrets = handshake.secrets
        self.session_id, self.ticket = handshake.session_id, handshake.ticket
        self._handshake = self._alerted = self._wait_end = None
        self._early = ()
        self.layer.oldest = self.layer.epoch
        if self._flight and self.is_client == self.resumed:  # ours is the last flight, which the peer may not have received
            self._flight.due = None
            self._wait_end = ticks_add(now, LAST_FLIGHT_MS)
        else:
            self._flight = None
        return CONNECTED

    def _receive_late(self, kind, sequence, is_end, now):
        """Process an authentic handshake message after the handshake."""
        if kind == HANDSHAKE_FINISHED and sequence == self._reassembly.next - 1 and is_end:
            self._repeat(now)
        elif kind <= HANDSHAKE_CLIENT_HELLO:  # or HelloRequest
            self._repeats += 1
            if self._repeats <= REPEATS_MAX:
                self._alert(ALERT_LEVEL_WARNING, ALERT_NO_RENEGOTIATION)
        else:
            self.layer.drop("unexpected")

    # Ends.

    def _alert(self, level, alert):
        epoch = self.layer.epoch
        if not self.connected and self._handshake:  # only behind our ChangeCipherSpec
            epoch = min(epoch, self._handshake.epoch)
        if len(self._out) < EARLY_RECORDS_MAX:
            try:
                self._out.append(self.layer.seal(CONTENT_ALERT, epoch, bytes((level, alert))))
            except DiceError:
                pass  # the key is spent: the peer gets no alert
            except MemoryError:  # not in a tuple, which would need memory
                pass

    def _fail(self, error):
        """Send an error as a fatal alert, and end; return CLOSED."""
        self.error = error
        return self._end(ALERT_LEVEL_FATAL, error.alert)

    def _end(self, level, alert):
        """Send an alert, and end; return CLOSED."""
        self._flight = None  # there may be room for the alert then
        self._early = self._held = ()
        try:
            self._alert(level, alert)
        finally:
            self.abandon()
        return CLOSED

    def abandon(self):
        """Overwrite the keys without an alert; return CLOSED. Nothing is allocated; first comes what stops all use of the keys."""
        if self._handshake:
            self.secrets = self._handshake.secrets
        self.connected = False
        self._handshake = self._flight = self._alerted = self._wait_end = None
        self._rest = b""
        self._early = self._held = ()
        self.layer.close()
        if self.secrets and self.secrets.master:
            self.secrets.close()
        return CLOSED
