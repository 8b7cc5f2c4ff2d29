# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A managed node: in its groups whether or not the manager can be reached, and at the manager's whenever it can.

A group obeys "on" and "off", and "sample": then, and every `publish_s`, a node that may send tells its groups what its sensor says.
The manager, and whoever has a key in clients.json, can GET `sensor` and `light`, and PUT `light`; so can a sender, of a group.
"""

import asyncio
import json
from binascii import unhexlify

import safe

import dice
from dice import (
    BAD_REQUEST,
    CHANGED,
    CONTENT,
    GET,
    PUT,
    Coap,
    DiceError,
    ManagedGroup,
    Psk,
    PskLookup,
    Responder,
    Router,
    UsageError,
)

_AGAIN_S = 5  # before the manager is asked again; doubled up to the next
_AGAIN_MAX_S = 300
_TIMER_MS = 1000


class Node:
    """One node; `settings` are those of node.json, `options` those of app.json."""

    def __init__(self, settings, options, sensor, light=print, status=print, network=None):
        """`sensor()` returns bytes; `light(on)` switches; `status(word)` shows "joining", "joined" or "trouble".

        `network` is what link.up() returns.
        """
        self.on = False
        self.groups = {name: ManagedGroup(name, name + ".gsa", network, answering=True) for name in settings["groups"]}
        self.peer = None
        self._settings = settings
        self._options = options
        self._sensor = sensor
        self._light = light
        self._status = status
        self._network = network
        self._tasks = {}
        self._sessions = {}  # Coaps of our clients, by identity
        routes = {"sensor": {GET: self._get_sensor}, "light": {GET: self._get_light, PUT: self._put_light}}
        self._open = Router(dict(routes))
        for managed in self.groups.values():
            routes.update(managed.routes)
        self._routes = Router(routes)

    async def run(self):
        """Be the node for ever; with the option `sleep_s`, until all is said, then sleep."""
        self._status("joining")
        for managed in self.groups.values():
            try:
                self._take_part(managed, await managed.resume())
            except (DiceError, OSError) as error:  # such as a network that is not up yet
                self._trouble(error)
        try:
            await self._serve()
        except OSError as error:
            self._trouble(error)
        self._tasks[None] = asyncio.create_task(self._publish())
        again_s = _AGAIN_S
        while True:
            try:
                await self._meet_manager()
                again_s = _AGAIN_S
                await self._stay()
            except (DiceError, OSError) as error:
                self._trouble(error)
                if self.peer:
                    self.peer.close()
            if self._options.get("sleep_s"):
                await self._sleep(self._options["sleep_s"])
            if self.peer:
                self.peer.close()
                self.peer = None
            await asyncio.sleep(again_s)
            again_s = min(2 * again_s, _AGAIN_MAX_S)

    async def publish(self):
        """Tell the groups in which we may send what the sensor says."""
        for managed in self.groups.values():
            try:
                if managed.group:
                    await managed.group.send(self._sensor())
            except UsageError:
                pass  # not a sender there
            except (DiceError, OSError) as error:
                self._tell(error)  # the next may get through

    async def _meet_manager(self):
        """Open a session with the manager, and fetch what is new in each group."""
        manager = self._settings["manager"]
        psk = Psk(self._settings["identity"].encode(), unhexlify(self._settings["key"]))
        address = manager["host"], manager["port"]
        connection = await dice.connect(address, psk, network=self._network, timer_ms=_TIMER_MS)
        self.peer = Coap(connection, self._routes)
        for managed in self.groups.values():
            self._take_part(managed, await managed.join(self.peer))
        self._status("joined")

    async def _stay(self):
        """Let the manager reach us until the session ends, or until it is time to sleep."""
        if self._options.get("sleep_s"):
            await asyncio.sleep(self._options.get("awake_s", 5))
        else:
            await asyncio.gather(*[managed.stay(self.peer) for managed in self.groups.values()])

    def _take_part(self, managed, group):
        """Obey a group from now on."""
        task = self._tasks.get(managed)
        if group and (task is None or task.done()):
            self._tasks[managed] = asyncio.create_task(self._obey(managed, group))

    async def _obey(self, managed, group):
        responder = Responder(group, self._open, self._sessions)
        try:
            async for sender, message in group:
                if message in (b"on", b"off"):
                    self._switch(message == b"on")
                elif message == b"sample":
                    await self.publish()
                else:
                    responder.respond(sender, message)
        except (DiceError, OSError) as error:  # such as the end of the key's lifetime
            self._trouble(error)
            managed.leave()
            if self.peer:
                self.peer.close()  # so that we ask the manager anew

    def _switch(self, on):
        self.on = on
        self._light(on)

    async def _publish(self):
        period_s = self._options.get("publish_s", 60)
        while period_s:
            await asyncio.sleep(period_s)
            await self.publish()

    async def _serve(self):
        """Serve those who have a key in clients.json, such as {"desk": "32 hex digits"}, not the one of the manager."""
        try:
            with open("clients.json") as file:
                keys = {identity.encode(): unhexlify(key) for identity, key in json.load(file).items()}
        except OSError:
            return

        async def one(connection):
            identity = bytes(connection.session.identity)
            peer = self._sessions[identity] = Coap(connection, self._open)
            try:
                await peer.closed()
            finally:
                if self._sessions.get(identity) is peer:
                    del self._sessions[identity]

        port = self._options.get("port", 5684)
        await dice.serve(port, PskLookup(keys.get), one, network=self._network, timer_ms=_TIMER_MS)

    async def _sleep(self, seconds):
        """Sleep deeply, where that can be; the program begins anew after it."""
        await self.publish()
        for managed in self.groups.values():
            if self.peer and not self.peer.ended:
                try:
                    await managed.report(self.peer)
                except (DiceError, OSError) as error:
                    self._tell(error)
        if self.peer:
            self.peer.close()
        safe.reset()  # whoever goes to sleep has not failed
        try:
            from machine import deepsleep
        except ImportError:
            await asyncio.sleep(seconds)
        else:
            deepsleep(seconds * 1000)

    def _trouble(self, error):
        self._status("trouble")
        self._tell(error)

    def _tell(self, error):
        print("trouble:", type(error).__name__, error)

    def _get_sensor(self, _request, _peer):
        return CONTENT, self._sensor()

    def _get_light(self, _request, _peer):
        return CONTENT, b"on" if self.on else b"off"

    def _put_light(self, request, _peer):
        if request.payload not in (b"on", b"off"):
            return BAD_REQUEST, b"on or off"
        self._switch(request.payload == b"on")
        return CHANGED, b""
