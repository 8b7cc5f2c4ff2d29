# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""New keys, certificates and lists of managers for devices, over their sessions (docs/protocol.md, section 15).

A key changes in steps, of which each is durable before the next begins: the registry stores the new one, the device stores it, a
session proves it, the registry deletes the old one. Nothing is done before the last. A device with a raw public key makes the next
one itself and stores it before the registry has its fingerprint; the rest is the same. A certificate is renewed for the key that
the device has: both certificates are good. It stores the new one beside the old, which it drops when a session has proved the new.
"""

import asyncio
import json

from dice.aio.wait import wait_for
from dice.coap.codes import CHANGED, METHOD_NOT_ALLOWED, NOT_FOUND, POST, PUT
from dice.dtls.kx_cert import read_chain
from dice.limits import DATAGRAM_MAX_BYTES
from dice.wire import Reader
from dicectl.errors import USAGE, CommandError
from dicectl.manager import certificates
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.base import RegistryError

MANAGERS = "managers"  # the setting: {"number": of the list, "list": [{"host", "port"}, ...]}
MANAGERS_MAX = 8  # firmware/app/managers.py
_HOST_MAX_BYTES = 253
_PACE_S = 0.02
_AT_A_TIME = 32
_UNKNOWN_S = 86_400
_RETRY_S = 60  # after a device was sent a key, has refused, or has not answered
_CALLS_S = (0.5, 1, 2, 4)  # between calls to a device that is to use its new key
_STORE_S = 1  # acknowledgements are stored together
_PAUSE_S = 1  # after an exception


def check_managers(managers):
    """Raise CommandError unless devices would take this list, [{"host", "port"}, ...]."""
    if not 0 < len(managers) <= MANAGERS_MAX:
        raise CommandError(f"devices know 1 to {MANAGERS_MAX} managers; this list has {len(managers)}", USAGE)
    for each in managers:
        if not 0 < len(each["host"].encode()) <= _HOST_MAX_BYTES or managers.count(each) > 1:
            raise CommandError(f"{each['host']} is no host, or is named twice", USAGE)
    if sum(len(each["host"].encode()) + 32 for each in managers) > DATAGRAM_MAX_BYTES // 2:
        raise CommandError("these names are too long together for one datagram: use shorter ones", USAGE)


class DeviceUpdates:
    """Delivers what is pending to each device that has a session; run() is a task. `error` is the last exception, or None."""

    def __init__(self, service):
        self.error = None
        self.also = []  # other managers that devices are to know
        self.problem = None  # a CommandError: why begin() could not list them
        self.told = {}  # {identity: number of the list that it has acknowledged}, not yet in the registry
        self.refused = {}  # {identity: why} of devices that do not know these resources, or refuse
        self._service = service
        self._changed = asyncio.Event()
        self._due = {}  # {identity: True} of devices that may lack something, and have a session, in the order of their turns
        self._pushes = {}  # tasks by identity
        self._rests = {}  # until when a device is left alone after it was sent a key, or has failed, by identity
        self._alarms = {}  # one TimerHandle for the end of that, of a device that has a session, by identity

    def forget(self, identity):
        """Forget a device that is deleted."""
        self._wake(identity)
        if identity in self._pushes:
            self._pushes[identity].cancel()  # its answer may be there already
        for table in (self.told, self.refused, self._due, self._rests):
            table.pop(identity, None)

    def changed(self, identities=()):
        """Deliver what these devices lack, or go on with those that have waited."""
        for identity in identities:
            self._rests.pop(identity, None)
        self._due.update(dict.fromkeys(identities, True))
        self._changed.set()

    def listed(self):
        """Return the managers that devices are to know, [{"host", "port"}, ...]."""
        setting = self._service.registry.setting(MANAGERS)
        return setting["list"] if setting else [self._service.address]

    def list_managers(self, managers):
        """Store another list, and deliver it; raises CommandError if devices would refuse it."""
        check_managers(managers)
        setting = self._service.registry.setting(MANAGERS)
        if setting is None or setting["list"] != managers:
            number = setting["number"] + 1 if setting else 1
            with self._service.registry.transaction():
                self._service.registry.log("managers", list=[f"{each['host']}:{each['port']}" for each in managers])
                self._service.registry.store_setting(MANAGERS, {"number": number, "list": managers})
        self.problem = None
        self.changed(self._service.kdc.connected)

    def begin(self):
        """List this manager and those in `also`, if there are any, beside those that are listed already.

        If devices would refuse that list, it stays as it is, and `problem` says so: a building is served nevertheless.
        """
        if self.also:
            listed = [] if self._service.registry.setting(MANAGERS) is None else list(self.listed())
            for each in (self._service.address, *self.also):
                if each not in listed:
                    listed.append(each)
            try:
                self.list_managers(listed)
            except CommandError as error:
                said = f"devices do not learn of this manager and --also: {error.format_message()}: dicectl manager addresses --set"
                self.problem = CommandError(said, USAGE)

    async def serve(self, connection):
        """Serve one client, as dice.aio.kdc.Kdc.serve() does; its handshake may have proved a new key."""
        registry = self._service.registry
        identity = registry.device_of(connection.session.identity)
        try:
            self._end_change(identity, connection)
        except RegistryError as error:  # both keys stay good; at the next handshake
            self.error = error
        if identity in self.refused:
            self._rests.pop(identity, None)
        if self._lacks(identity):
            asyncio.get_running_loop().call_soon(self._is_due, identity)  # when the KDC has the session
        try:
            await self._service.kdc.serve(connection)
        finally:
            if identity not in self._service.kdc.connected:
                self._wake(identity)  # its next session looks at what it lacks

    def _end_change(self, identity, connection):
        """End the change of a key that the handshake of a session has proved; raises RegistryError. Return whether it was one."""
        outdated = self._service.registry.proved(connection.session.identity)
        if outdated:
            self._rests.pop(identity, None)
            self._service.check_credentials(outdated)  # sessions of the old key end
        return bool(outdated)

    async def run(self):
        """Deliver endlessly; never returns."""
        while True:
            try:
                await self._step()
            except Exception as error:
                self.error = error
                await asyncio.sleep(_PAUSE_S)
                self._changed.set()

    async def _step(self):
        try:
            await wait_for(self._changed.wait(), _STORE_S if self.told else None)
        except asyncio.TimeoutError:
            pass
        self._changed.clear()
        self._store_told()
        while self._due and len(self._pushes) < _AT_A_TIME and self._service.may_distribute():
            identity = next(iter(self._due))
            session = self._service.kdc.connected.get(identity)
            if session is not None and identity not in self._pushes and self._lacks(identity):
                self._pushes[identity] = task = asyncio.create_task(self._push(identity, session))
                task.add_done_callback(lambda _, identity=identity: self._pushed(identity))
            self._due.pop(identity, None)
            await asyncio.sleep(_PACE_S if identity in self._pushes else 0)

    def _store_told(self):
        """Store who has acknowledged the list: many at a time."""
        if self.told:
            told = dict(self.told)
            self._service.registry.tell(told)
            self.told = {identity: number for identity, number in self.told.items() if told.get(identity) != number}

    def _pushed(self, identity):
        self._pushes.pop(identity, None)
        if identity in self._service.kdc.connected and self._lacks(identity):
            self._is_due(identity)
        self._changed.set()

    def _is_due(self, identity):
        """Let a device be next, or when its rest is over."""
        self._wake(identity)
        loop = asyncio.get_running_loop()
        rest_s = self._rests.get(identity, 0) - loop.time()
        if rest_s > 0:
            self._alarms[identity] = loop.call_later(rest_s, self._is_due, identity)
        else:
            self._rests.pop(identity, None)
            self._due[identity] = True
            self._changed.set()

    def _wake(self, identity):
        """Wait no more for the end of a device's rest."""
        alarm = self._alarms.pop(identity, None)
        if alarm:
            alarm.cancel()

    def _lacks(self, identity):
        registry = self._service.registry
        return registry.changes_key(identity) or bool(registry.offered_certificate(identity)) or self.lacks_list(identity)

    def lacks_list(self, identity):
        registry = self._service.registry
        setting = registry.setting(MANAGERS)
        return setting is not None and setting["number"] not in (registry.told.get(identity), self.told.get(identity))

    def why_not(self, identity):
        """Return why a device does not have what it lacks, for an operator."""
        if identity in self.refused:
            return self.refused[identity]
        return "it is under way" if identity in self._service.kdc.connected else "it has no session; it follows when it connects"

    def behind(self):
        """Return the identities of the devices that have not acknowledged the list."""
        return [identity for identity in self._service.registry.devices().values() if self.lacks_list(identity)]

    async def _push(self, identity, session):
        """Deliver to one device what it lacks."""
        self._rests[identity] = asyncio.get_running_loop().time() + _RETRY_S
        try:
            registry = self._service.registry
            setting = registry.setting(MANAGERS)
            if self.lacks_list(identity) and await self._put(identity, MANAGERS, setting["list"]):
                self.told[identity] = setting["number"]
                self._rests.pop(identity, None)
            if registry.changes_key(identity):
                self._rests[identity] = asyncio.get_running_loop().time() + _RETRY_S
                if await (self._ask_for_key(identity, session) if identity in registry.public else self._give_key(identity)):
                    await self._reconnect(identity, session)
            if registry.offered_certificate(identity):
                self._rests[identity] = asyncio.get_running_loop().time() + _RETRY_S
                if await self._give_certificate(identity):
                    self._rests.pop(identity, None)
                    await self._reconnect(identity, session)
        except Exception as error:  # of the session, such as its end: another one follows
            self.error = error

    async def _reconnect(self, identity, session):
        """Let a device connect anew, with its new key: call it, a few times, or close its session."""
        for pause_s in _CALLS_S:
            if self._service.kdc.connected.get(identity) is not session:
                return
            if not self._service.recall.again(identity):
                session.close()
                return
            await asyncio.sleep(pause_s)

    async def _give_key(self, identity):
        """Return whether a device has stored its next pre-shared key."""
        number, key = self._service.registry.next_key(identity)
        return await self._put(identity, "key", {"identity": f"{identity.decode()}:{number}", "key": key.hex()})

    async def _give_certificate(self, identity):
        """Return whether a device has stored the certificate that follows its own, of the same key."""
        registry = self._service.registry
        chain = registry.offered_certificate(identity)
        if await self._request(identity, PUT, "certificate", chain) is None:
            return False
        texts = [each.hex() for each in read_chain(Reader(chain))]
        registry.certificate_stored(identity, chain, certificates.of_device(registry, texts))
        return True

    async def _ask_for_key(self, identity, session):
        """Return whether a device has made and stored its next key pair, whose public key is in the registry then.

        The next handshake proves that it has the private key. Until then its present key is good, too.
        """
        if self._end_change(identity, session.connection):  # the registry had failed: it would make another one now
            return False
        response = await self._request(identity, POST, "key", b"")
        if response is None:
            return False
        try:
            self._service.registry.offer_public_key(identity, own_keys.fingerprint(response.payload))
        except (ValueError, CommandError):
            self.refused[identity] = "it has answered with what cannot be its key"
            return False
        return True

    async def _put(self, identity, what, body):
        """Return whether the device has stored `body`."""
        return await self._request(identity, PUT, what, json.dumps(body).encode()) is not None

    async def _request(self, identity, code, what, payload):
        """Return the response of a device that has done what it was asked for, else None."""
        response = await self._service.kdc.request(identity, code, f"dice/{what}", payload)
        self.refused.pop(identity, None)
        if response is None or response.code == CHANGED:
            return response
        unknown = response.code in (NOT_FOUND, METHOD_NOT_ALLOWED)
        if unknown:  # until it connects anew, maybe with another program
            self._rests[identity] = asyncio.get_running_loop().time() + _UNKNOWN_S
        code = f"{response.code >> 5}.{response.code & 31:02}"
        self.refused[identity] = "its program is too old for that" if unknown else f"it has answered {code}"
        return None

    def close(self):
        """Stop all deliveries."""
        for pending in (*self._pushes.values(), *self._alarms.values()):
            pending.cancel()
