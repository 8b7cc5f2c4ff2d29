# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""First contact with a device that nobody has provisioned: people compare a code (docs/protocol.md, section 17).

`Attempt` is the manager's half without sockets and time: one device, one nonce, one code. It ends with the first thing that goes
wrong after our nonce has left. So each guess of somebody in between costs the operator's attention: he sees that an attempt has
failed, and begins another one himself. `Contact` serves it at a port of its own, for a limited time. Nothing is stored before both
sides have confirmed.
"""

import asyncio
import hmac
import json
import secrets

import dice
from dice.aio.coap import Coap
from dice.aio.wait import wait_for
from dice.coap.codes import BAD_REQUEST, CHANGED, CONTENT, FORBIDDEN, POST, SERVICE_UNAVAILABLE
from dice.coap.resource import Router
from dice.dtls.contact import CONTACT_NONCE_BYTES, code, commitment
from dice.dtls.kx_rpk_server import RawPublicKeyServer
from dice.errors import DiceError
from dice.transport.udp import Unicast
from dicectl.errors import CommandError
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.base import RegistryError
from dicectl.reasons import describe

WAITING, COMPARING, STORING, DONE, FAILED = "waiting", "comparing", "storing", "done", "failed"
HALF_OPEN_MAX = 8
SESSIONS_MAX = 4
SILENT_S = 20.0  # for a device that has a session, and does not begin or go on
SETTINGS_MAX_BYTES = 1100
_NO = FORBIDDEN, b""


class Attempt:
    """One attempt. `enrol(device)` creates the device of this fingerprint and returns its configuration; `undo()` deletes it."""

    def __init__(self, manager, random, enrol, undo):
        """`manager`: our own fingerprint, bytes."""
        self.state = WAITING
        self.why = None  # it has failed
        self.code = None  # while COMPARING: what we show
        self.device = None  # the fingerprint of the one device that this attempt is about
        self.settings = None
        self._manager = manager
        self._random = random
        self._enrol, self._undo = enrol, undo
        self._commitment = self._nonce = None
        self._device_agrees = self._operator_agrees = False

    def commit(self, device, payload):
        """The device, by its fingerprint, sends its commitment; answer with our nonce. The first one is the only one."""
        if self.device is None and (self.state != WAITING or len(payload) != 32 or device == self._manager):
            return BAD_REQUEST, b""  # it was nobody's attempt yet
        if self.device is not None:
            return _NO if self.device != device else self._end("the device has begun twice")
        self.device, self._commitment = device, bytes(payload)
        self._nonce = self._random(CONTACT_NONCE_BYTES)
        return CHANGED, self._nonce

    def reveal(self, device, payload):
        """The device sends its nonce; from now on there is a code to compare."""
        if device != self.device:
            return _NO
        fits = self.state == WAITING and len(payload) == CONTACT_NONCE_BYTES
        if not fits or not hmac.compare_digest(commitment(bytes(payload), device, self._manager), self._commitment):
            return self._end("the device has not kept to its commitment: somebody is in between, or it is broken")
        self.state = COMPARING
        self.code = code(bytes(payload), self._nonce, device, self._manager)
        return CHANGED, b""

    def confirm(self, device, _payload):
        """A person has confirmed at the device; answer with its configuration once the operator has, too."""
        if device != self.device:
            return _NO
        if self.state not in (COMPARING, STORING):
            return self._end("the device has confirmed what was not shown")
        self._device_agrees = True
        return self._configuration() if self._operator_agrees else (SERVICE_UNAVAILABLE, b"")

    def refuse(self, device, _payload):
        """A person has said at the device that the codes differ."""
        return _NO if device != self.device else self._end("at the device, somebody has said that the codes differ")

    def stored(self, device, _payload):
        """The device has stored its configuration."""
        if device != self.device:
            return _NO
        if self.state != STORING:
            return self._end("the device has stored what it does not have")
        self.state = DONE
        return CHANGED, b""

    def agree(self, shown):
        """The operator has seen the code `shown` at the device too."""
        if self.state != COMPARING or shown != self.code:
            raise CommandError("there is no such code to confirm any more: begin again")
        self._operator_agrees = True

    def fail(self, why):
        """End an attempt that is not done; a device that was created for it is deleted."""
        if self.state not in (DONE, FAILED):
            enrolled = self.state == STORING
            self.state, self.why, self.code = FAILED, why, None
            if enrolled:
                try:
                    self._undo()
                except (CommandError, RegistryError) as error:
                    self.why = f"{why}; it is still in the registry ({describe(error)}): dicectl provision wipe"

    def counts(self):
        """Return whether it has failed after our nonce was sent, so that somebody may have guessed."""
        return self.state == FAILED and self._nonce is not None

    def _configuration(self):
        if self.state == COMPARING:
            try:
                self.settings = self._enrol(self.device)
            except (CommandError, RegistryError) as error:
                return self._end(describe(error))
            self.state, self.code = STORING, None
        settings = {name: self.settings[name] for name in ("name", "identity", "manager", "managers", "groups")}
        body = json.dumps(settings).encode()
        if len(body) > SETTINGS_MAX_BYTES:
            return self._end("its groups and managers are too long together for one datagram: add groups later")
        return CONTENT, body

    def _end(self, why):
        self.fail(why)
        return BAD_REQUEST, b""


class Contact:
    """Serves one Attempt at a port: begin() starts a task, which ends with it, or after `wait_s`. `error`: the last one."""

    def __init__(self, service, attempt, port, wait_s):
        self.attempt = attempt
        self.address = None  # of the device
        self.error = None
        self.transport = None  # in place of that of the system
        self._service = service
        self._port, self._wait_s = port, wait_s
        self._task = self._server = None
        self._ended = asyncio.Event()

    def begin(self):
        """Begin to serve."""
        self._task = asyncio.create_task(self._run())

    def close(self, why):
        """End, unless it has ended."""
        self.attempt.fail(why)
        self._ended.set()

    async def _run(self):
        try:
            transport = self.transport or Unicast(None, self._port, self._service.bind)
            keys = RawPublicKeyServer(own_keys.private(self._service.registry), self._admits)
            options = {"sessions_max": SESSIONS_MAX, "half_open_max": HALF_OPEN_MAX, "remember": None, "timer_ms": 1000}
            self._server = await dice.serve(self._port, keys, self._serve, transport=transport, **options)
            await wait_for(self._ended.wait(), self._wait_s)
        except asyncio.TimeoutError:
            self.attempt.fail("nobody has finished it in time")
        except Exception as error:  # such as a port that another program has
            self.error = error
            self.attempt.fail(f"it cannot be served: {describe(error)}")
        finally:
            self.attempt.fail("it was ended")
            if self._server:
                self._server.close()

    def _admits(self, device):
        """Return whether a device may have a session: any until one has begun."""
        return self.attempt.device in (None, bytes(device))

    async def _serve(self, connection):
        device = bytes(connection.session.identity)
        handlers = {name: getattr(self.attempt, name) for name in ("commit", "reveal", "confirm", "refuse", "stored")}
        routes = {f"contact/{name}": {POST: self._handler(handler, device, connection)} for name, handler in handlers.items()}
        coap = Coap(connection, Router(routes))
        try:
            while True:
                try:
                    await wait_for(coap.closed(), SILENT_S)
                    break
                except asyncio.TimeoutError:
                    if self.attempt.device != device or self.attempt.state == WAITING:
                        break  # it occupies a place, or has begun and goes not on
        except DiceError as error:
            self.error = error
        finally:
            coap.close()
            if self.attempt.device == device:
                self.close("the device has ended the session, or is silent")

    def _handler(self, handler, device, connection):
        def handle(request, _session):
            answer = handler(device, request.payload)
            if self.attempt.device == device and self.address is None:
                self.address = self._server.client(connection).address
            if self.attempt.state in (DONE, FAILED):
                asyncio.get_running_loop().call_later(1, self._ended.set)  # after the answer
            return answer

        return handle


def random(count):
    """Return random bytes for a nonce."""
    return secrets.token_bytes(count)
