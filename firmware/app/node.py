# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A managed node: it takes part in its groups whether or not the manager can be reached, and connects to the manager when it can.

It obeys the messages "on", "off" and "sample" of its groups. On "sample", and every `publish_s`, a node that may send publishes the
value of its sensor in its groups. At each press of its button it switches them "on" or "off". The manager, senders of its groups,
and the clients in clients.json can GET `sensor` and `light`, and PUT `light`.
"""

import asyncio
import errno
import json
import os
from binascii import unhexlify

import buttons
import safe
from managers import Managers

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
    PskLookup,
    Responder,
    Router,
    UsageError,
)

_AGAIN_S = 5  # before the next attempt; to reach the manager, doubled up to the maximum, at random in the second half of that
_AGAIN_MAX_S = 30
_CONNECT_S = 30  # with both, a manager that is back is reached within a minute
_REFUSED_S = 300  # before a group that has refused us is asked again
_TIMER_MS = 1000
_PASSING = (DiceError, OSError, MemoryError)  # what may work the next time


async def _as_it_is(host):
    return host


async def _nothing(_reached, _changed):
    pass


class Node:
    """One node; `settings` is node.json, `options` is app.json."""

    def __init__(
        self,
        settings,
        options,
        sensor,
        light=print,
        status=print,
        network=None,
        ready=lambda: True,
        look_up=_as_it_is,
        keep=_nothing,
        button=None,
    ):
        """`sensor()` returns bytes; `light(on)` switches; `status(word)` shows "joining", "joined" or "trouble".

        `network` is the result of link.up(); `ready()` returns whether the network can be used, as link.ready() does;
        `look_up(host)` is that of `names`, `keep(reached, changed)` that of `link`; `button()` returns whether it is pressed.
        """
        self.on = False
        store = _store(options)
        self.groups = {name: ManagedGroup(name, name + ".gsa", network, store, answering=True) for name in settings["groups"]}
        self.manager = None  # the Coap of the session with the manager
        self._managers = Managers(settings, look_up=look_up)
        self._options = options
        self._sensor, self._light = _guarded(sensor), _guarded(light)
        self._status = status
        self._network = network
        self._ready = ready
        self._keep = keep
        self._button = button
        self._tasks = {}
        self._obeyed = []  # the Groups that a task obeys
        self._sessions = {}  # {identity: Coap} of our clients
        self._refused = []  # groups that we could not join, such as those from which this device was expelled
        routes = {"sensor": {GET: self._get_sensor}, "light": {GET: self._get_light, PUT: self._put_light}}
        self._open = Router(dict(routes))
        for managed in self.groups.values():
            routes.update(managed.routes)
        routes.update(self._managers.routes)
        self._routes = Router(routes)

    async def run(self):
        """Run the node endlessly; with the option `sleep_s`, sleep once everything is sent."""
        self._show("joining")
        self._begin(self._resume, self._keep_network, self._publish, self._watch_button)
        keys = self._clients()
        if keys:
            self._begin(lambda: self._serve(keys))
        await asyncio.sleep(0)  # groups first
        again_s = _AGAIN_S
        while True:
            ready = self._ready()
            try:
                await self._connect()
                again_s = _AGAIN_S
                await self._stay()
            except Exception as error:
                self._trouble(error)
            if self._options.get("sleep_s"):
                await self._sleep(self._options["sleep_s"])
            pause_s = (0.5 + os.urandom(1)[0] / 512) * again_s if ready else 1
            if self.manager:
                if self.manager.connection.recalled:  # the manager has started again, or another one has taken over
                    self._managers.recalled(self.manager.connection.recalled)
                    pause_s = os.urandom(1)[0] / 1024
                self.manager.close()
                self.manager = None
            await asyncio.sleep(pause_s)
            if ready:
                again_s = min(2 * again_s, _AGAIN_MAX_S)

    async def take_part(self, seconds):
        """Take part in the groups for so many seconds, and do nothing else: safe mode."""
        self._begin(self._resume, self._keep_network)
        await asyncio.sleep(seconds)

    def close(self):
        """Leave in good order: the groups get back the sequence numbers that were reserved and not used."""
        for task in self._tasks.values():
            try:
                task.cancel()
            except RuntimeError:  # it is the one that was interrupted, or its loop is closed
                pass
        self._tasks.clear()
        for managed in self.groups.values():
            group = managed.group
            try:
                managed.leave()
            except Exception:  # the same
                if group:
                    group.member.close()
        try:
            if self.manager:
                self.manager.close()
        except Exception:  # the same
            pass
        self._show("closed")  # a light that blinks would go on in the next loop

    def _begin(self, *works):
        for work in works:
            self._tasks[work] = asyncio.create_task(self._again_and_again(work))

    async def _resume(self):
        """Take part in the groups as they were left, or as their files say if they have ended, also without a manager."""
        for managed in self.groups.values():
            try:
                group = await managed.resume()
                self._take_part(managed, group)
                error = getattr(group, "error", None)
                if error:  # such as a file system that is full, or no network
                    self._print(error)
                    group.error = None
            except Exception as error:  # such as a network that is not up yet, or a file that is damaged
                self._trouble(error)

    async def _keep_network(self):
        """Keep the network connected. After each new connection our address may be another: connect to the manager anew."""

        def changed():
            if self.manager:
                self.manager.close()

        await self._keep(lambda: bool(self.manager and not self.manager.ended), changed)

    async def publish(self):
        """Send the value of the sensor to the groups in which this node may send."""
        await self._send(self._sensor)

    async def _send(self, message):
        """Send what `message()` returns to the groups in which this node may send."""
        for managed in self.groups.values():
            try:
                if managed.group:
                    await managed.group.send(message())
            except UsageError:
                pass  # not a sender there
            except Exception as error:  # of the sensor, too
                self._print(error)  # the next may get through

    async def _watch_button(self):
        """Switch all groups at each press of the button, to what our light was not."""
        if self._button:
            await buttons.watch(self._button, self._toggle, lambda: self._send(lambda: b"on" if self.on else b"off"))

    def _toggle(self):
        try:
            self._switch(not self.on)
        except Exception as error:  # of the light
            self._print(error)

    async def _connect(self):
        """Open a session with a manager, and fetch the newest GSA of each group."""
        if not self._ready():
            raise OSError(errno.ENODEV)
        self.manager = Coap(await self._managers.connect(self._network, timeout_s=_CONNECT_S), self._routes)
        self._refused = []
        for managed in self.groups.values():
            try:
                self._take_part(managed, await managed.join(self.manager))
            except DiceError as error:
                self._refused.append(managed)
                if len(self._refused) == len(self.groups):
                    raise
                self._trouble(error)
        self._show("joined")

    async def _stay(self):
        """Be reachable for the manager until the session ends, or until it is time to sleep."""
        if self._options.get("sleep_s"):
            await asyncio.sleep(self._options.get("awake_s", 5))
        else:
            await self._managers.look_up_all()
            await asyncio.gather(*[self._follow(managed, self.manager) for managed in self.groups.values()])

    async def _follow(self, managed, manager):
        """Follow a group until the session ends. One that we could not join is tried again, and others do not suffer from it."""
        waited_s = 0
        while managed in self._refused:
            await asyncio.sleep(_AGAIN_S)
            if manager.ended:
                return
            waited_s += _AGAIN_S
            if waited_s >= _REFUSED_S:
                waited_s = 0
                try:
                    self._take_part(managed, await managed.join(manager))
                    self._refused.remove(managed)
                except DiceError as error:
                    self._print(error)
        await managed.stay(manager)

    def _take_part(self, managed, group):
        """Start to obey a group."""
        if group and group not in self._obeyed:
            self._obeyed.append(group)
            self._tasks[managed] = asyncio.create_task(self._obey(managed, group))

    async def _obey(self, managed, group):
        """Obey a group until it ends. A message that cannot be obeyed costs that message."""
        responder = Responder(group, self._open, self._sessions)
        while True:
            try:
                sender, message = await group.__anext__()
            except MemoryError:
                await asyncio.sleep(0.1)
                continue
            except Exception as error:  # such as the end of the key's lifetime
                if group in self._obeyed:
                    self._obeyed.remove(group)
                if managed.group is group:
                    self._trouble(error)
                    managed.leave()
                    if self.manager:
                        self.manager.close()  # so that we connect to the manager again
                return
            try:
                await self._obey_message(responder, sender, message)
            except Exception as error:  # of the light, of the sensor, or for lack of memory
                self._print(error)

    async def _obey_message(self, responder, sender, message):
        if message in (b"on", b"off"):
            self._switch(message == b"on")
        elif message == b"sample":
            await self.publish()
        else:
            responder.respond(sender, message)

    def _switch(self, on):
        self.on = on
        self._light(on)

    async def _again_and_again(self, work):
        """Call `work()` endlessly: a task that nobody awaits must not end. Its exceptions are shown."""
        while True:
            try:
                await work()
            except Exception as error:
                self._trouble(error)
            await asyncio.sleep(_AGAIN_S)

    async def _publish(self):
        period_s = self._options.get("publish_s", 60)
        while period_s:
            await asyncio.sleep(period_s)
            await self.publish()

    def _clients(self):
        """Return the keys of the clients in clients.json, such as {"desk": "32 hex digits"}: not those of the manager."""
        try:
            with open("clients.json") as file:
                return {identity.encode(): unhexlify(key) for identity, key in json.load(file).items()}
        except OSError:
            return {}
        except Exception as error:  # it is damaged: that costs these clients
            self._trouble(error)
            return {}

    async def _serve(self, keys):
        """Serve the clients until the network fails."""

        async def answer(connection):
            identity = bytes(connection.session.identity)
            session = self._sessions[identity] = Coap(connection, self._open)
            try:
                await session.closed()
            finally:
                if self._sessions.get(identity) is session:
                    del self._sessions[identity]

        port = self._options.get("port", 5684)
        service = await dice.serve(port, PskLookup(keys.get), answer, network=self._network, timer_ms=_TIMER_MS)
        try:
            await service.wait_closed()
        finally:
            service.close()

    async def _sleep(self, seconds):
        """Enter deep sleep, after which the program starts again, or wait if the board has none."""
        await self.publish()
        for managed in self.groups.values():
            if self.manager and not self.manager.ended:
                try:
                    await managed.report(self.manager, int(seconds) + 1)
                except _PASSING as error:
                    self._print(error)
        if self.manager:
            self.manager.close()
        try:
            from machine import deepsleep
        except ImportError:
            await asyncio.sleep(seconds)
            return
        self.close()
        safe.reset()  # a node that goes to sleep has not failed
        safe.unwatch()
        deepsleep(int(seconds * 1000))

    def _trouble(self, error):
        self._print(error)
        self._show("trouble")

    def _show(self, word):
        try:
            _guarded(self._status)(word)
        except Exception as error:  # the light of this board
            self._print(error)

    def _print(self, error):
        print("trouble:", type(error).__name__, error)

    def _get_sensor(self, _request, _session):
        return CONTENT, self._sensor()

    def _get_light(self, _request, _session):
        return CONTENT, b"on" if self.on else b"off"

    def _put_light(self, request, _session):
        if request.payload not in (b"on", b"off"):
            return BAD_REQUEST, b"on or off"
        self._switch(request.payload == b"on")
        return CHANGED, b""


def _store(options):
    """Return the store of counters, None for the default: a node that sleeps has RTC memory before it, on an ESP32."""
    if not options.get("sleep_s"):
        return None
    try:
        from dice.store_rtc import RtcStore

        return RtcStore(dice.open_store())
    except (ImportError, AttributeError):  # it is no ESP32
        return None


def _guarded(callback):
    """Return a function that calls `callback`, whose CancelledError is an error like others: it must end none of our tasks."""

    def call(*arguments):
        try:
            return callback(*arguments)
        except asyncio.CancelledError as error:
            raise RuntimeError(repr(error))

    return call
