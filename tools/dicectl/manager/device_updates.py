# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""New keys and lists of managers for devices, over their sessions (docs/protocol.md, section 15, "Managers and keys of a device").

A key changes in steps, of which each is durable before the next begins: the registry stores the new one, the device stores it, a
session proves it, the registry deletes the old one. Nothing is done before the last.
"""

import asyncio
import json

from dice.coap.codes import CHANGED, METHOD_NOT_ALLOWED, NOT_FOUND, PUT
from dicectl.manager.registry.base import RegistryError, split

MANAGERS = "managers"  # the setting: {"number": of the list, "list": [{"host", "port"}, ...]}
_PACE_S = 0.02
_AT_A_TIME = 32
_RETRY_S = 60  # after a device has refused, or not answered, in the same session
_LOOK_S = 1


def device_of(psk_identity):
    """Return the identity of the device that a PSK identity belongs to."""
    return split(psk_identity)[0]


class DeviceUpdates:
    """Delivers what is pending to each device that has a session; run() is a task. `error` is the last exception, or None."""

    def __init__(self, service):
        self.error = None
        self.also = []  # other managers that devices are to know
        self.told = {}  # {identity: number of the list that it has acknowledged}, not yet in the registry
        self.refused = {}  # {identity: why} of devices that do not know these resources, or refuse
        self._service = service
        self._changed = asyncio.Event()
        self._pushes = {}  # tasks by identity
        self._tried = {}  # {identity: (session, when)}

    def changed(self):
        """Deliver what is pending."""
        self._changed.set()

    def listed(self):
        """Return the managers that devices are to know, [{"host", "port"}, ...]."""
        setting = self._service.registry.setting(MANAGERS)
        return setting["list"] if setting else [self._service.address]

    def list_managers(self, managers):
        """Store another list, and deliver it."""
        setting = self._service.registry.setting(MANAGERS)
        if setting is None or setting["list"] != managers:
            number = setting["number"] + 1 if setting else 1
            with self._service.registry.transaction():
                self._service.registry.log("managers", list=[f"{each['host']}:{each['port']}" for each in managers])
                self._service.registry.store_setting(MANAGERS, {"number": number, "list": managers})
        self._changed.set()

    def begin(self):
        """List this manager and those in `also`, if there are any, beside those that are listed already."""
        if self.also:
            listed = [] if self._service.registry.setting(MANAGERS) is None else self.listed()
            new = [each for each in (self._service.address, *self.also) if each not in listed]
            self.list_managers(listed + new)

    async def serve(self, connection):
        """Serve one client, as dice.aio.kdc.Kdc.serve() does; its handshake may have proved a new key."""
        identity, number = split(connection.session.identity)
        registry = self._service.registry
        try:
            following = registry.next_key(identity)
            if following and number == following[0]:
                registry.end_key_change(identity)
                self._service.check_credentials()  # sessions of the old key end
        except RegistryError as error:  # both keys stay good; at the next handshake
            self.error = error
        self._changed.set()
        await self._service.kdc.serve(connection)

    async def run(self):
        """Deliver endlessly; never returns."""
        while True:
            try:
                await self._step()
            except Exception as error:
                self.error = error
                await asyncio.sleep(_LOOK_S)

    async def _step(self):
        try:
            await asyncio.wait_for(self._changed.wait(), _LOOK_S)
        except asyncio.TimeoutError:
            pass
        self._changed.clear()
        if self.told:
            told = dict(self.told)
            self._service.registry.tell(told)
            self.told = {identity: number for identity, number in self.told.items() if told.get(identity) != number}
        for identity in list(self._service.kdc.connected):
            if len(self._pushes) >= _AT_A_TIME or not self._service.leader.may_distribute():
                return
            if identity not in self._pushes and self._is_due(identity):
                self._pushes[identity] = task = asyncio.create_task(self._push(identity, self._service.kdc.connected[identity]))
                task.add_done_callback(lambda _, identity=identity: self._pushes.pop(identity, None))
                await asyncio.sleep(_PACE_S)

    def _is_due(self, identity):
        session, at = self._tried.get(identity, (None, 0))
        if session is self._service.kdc.connected.get(identity) and asyncio.get_running_loop().time() - at < _RETRY_S:
            return False
        return self._service.registry.next_key(identity) is not None or self.lacks_list(identity)

    def lacks_list(self, identity):
        registry = self._service.registry
        setting = registry.setting(MANAGERS)
        return setting is not None and setting["number"] not in (registry.told.get(identity), self.told.get(identity))

    def behind(self):
        """Return the identities of the devices that have not acknowledged the list."""
        return [identity for identity in self._service.registry.devices().values() if self.lacks_list(identity)]

    async def _push(self, identity, session):
        """Deliver to one device what it lacks."""
        self._tried[identity] = session, asyncio.get_running_loop().time()
        try:
            registry = self._service.registry
            setting = registry.setting(MANAGERS)
            if self.lacks_list(identity) and await self._put(identity, session, MANAGERS, setting["list"]):
                self.told[identity] = setting["number"]
            following = registry.next_key(identity)
            if following:
                number, key = following
                body = {"identity": f"{identity.decode()}:{number}", "key": key.hex()}
                if await self._put(identity, session, "key", body):
                    session.close()  # it connects with the new key
        except Exception as error:  # of the session, such as its end: another one follows
            self.error = error

    async def _put(self, identity, session, what, body):
        """Return whether the device has stored `body`."""
        response = await session.request(PUT, f"dice/{what}", json.dumps(body).encode())
        self.refused.pop(identity, None)
        if response is None:
            session.close()  # it has no session any more
            return False
        if response.code == CHANGED:
            return True
        unknown = response.code in (NOT_FOUND, METHOD_NOT_ALLOWED)
        code = f"{response.code >> 5}.{response.code & 31:02}"
        self.refused[identity] = "its program is too old for that" if unknown else f"it has answered {code}"
        return False

    def close(self):
        """Stop all deliveries."""
        for task in self._pushes.values():
            task.cancel()
