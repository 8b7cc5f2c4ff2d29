# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A resident member: stays in the groups of its folder, with and without the manager, and serves programs at a socket there.

Requests (docs/member.md): send, ask, monitor, status. Everything that is sent as this member goes through this one process.
"""

import asyncio
import contextlib
import os

from dice.aio.wait import wait_for
from dice.errors import DiceError
from dice.group.gsa import decode
from dice.reasons import E_NO_ANSWER, E_REFUSED
from dice.store import read_file
from dicectl import line_socket, system
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.member import member_socket
from dicectl.member.host_member import KEPT_S, HostMember, manager_sentence, sentence
from dicectl.member.member_socket import WHO
from dicectl.member.observed import described
from dicectl.net.address import text_of
from dicectl.reasons import describe

_AGAIN_S = 1  # before the next attempt to reach the manager; doubled up to the maximum
_AGAIN_MAX_S = 60
_REFUSED_S = 300  # before a group that the manager has refused is tried again
_RESUME_S = 1
_SEND_S = 3  # for which a message waits for a network, or for its group
_SEND_AGAIN_S = 0.2
_FLUSH_TRIES = 20
_FLUSH_TRY_S = 0.05
_WAITING_MAX = 64  # messages of one group
_ASKING_MAX = 16
_MONITORS_MAX = 16
_GROUPS_MAX = 32


class Resident(HostMember):
    """A member that stays: run() serves until it is cancelled. `say(event, **details)` is called with what happens."""

    def __init__(self, folder, names=(), interface=None, hops=1, say=lambda *_, **__: None):
        """`names` are the groups, by default those of node.json."""
        super().__init__(folder, names, interface, hops, self._publish)
        self._names = list(names) or list(self.settings.get("groups", ()))
        self.ending = asyncio.Event()
        self._say = say
        self._server = None
        self._work = {}  # tasks: None is that of the session, others are those of groups
        self._follow = {}  # tasks of groups during a session
        self._turns = {}  # a lock for the senders to a group, who wait in their order
        self._waiting = {}
        self._asking = 0
        self._streams = {}  # of monitors: [Stream, with datagrams] by group
        self._tried = {}  # events of groups: set once the newest keys are here, or are not expected soon
        self.away = "not tried yet"  # why there is no session with the manager, or None
        self.errors = {}  # the last one of each group
        self._refused = set()  # groups of which the manager says that this is no member

    async def run(self, ready=lambda: None, alive=lambda: None):
        """Lock the folder, serve, and take part until a request `stop`.

        Calls `ready()` as soon as programs can connect, and `alive()` about once a second. Raises CommandError, also if a part
        of it ends, and ResidentAppeared.
        """
        await self.lock()
        try:
            if not system.WINDOWS:  # where there is no socket for others
                self._server = await line_socket.serve(member_socket.path(self.folder), self.do, WHO)
            self._work[None] = asyncio.create_task(self._stay_connected())
            for name in self.managed:
                self._take_part(name)
            ready()
            while not self.ending.is_set():
                alive()
                await self._watch()
        finally:
            await self._end()

    async def _watch(self):
        ending = asyncio.ensure_future(self.ending.wait())
        try:
            done, _ = await asyncio.wait([ending, *self._work.values()], timeout=1, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
        for task in done - {ending}:
            error = None if task.cancelled() else task.exception()
            raise CommandError(f"the member ends, because a part of it has ended: {describe(error)}", FAILED)
        if self._server and not self._server.is_serving():
            raise CommandError("the member ends, because its socket was closed", FAILED)

    async def _end(self):
        for _ in range(_FLUSH_TRIES):
            if not any(stream.waits() for streams in self._streams.values() for stream, _ in streams):
                break
            await asyncio.sleep(_FLUSH_TRY_S)
        if self._server:
            self._server.close()
            member_socket.path(self.folder).unlink(missing_ok=True)  # before the folder is released
        try:
            await self.leave()  # while the session is there
        finally:
            for task in (*self._work.values(), *self._follow.values()):
                task.cancel()

    def _take_part(self, name):
        """Begin to receive the messages of a group."""
        self._turns[name] = asyncio.Lock()
        self._waiting[name] = 0
        self._streams[name] = []
        self._tried[name] = asyncio.Event()
        self._work[name] = asyncio.create_task(self._receive(name))

    async def _receive(self, name):
        """Receive the messages of a group, which _publish() passes on, and resume it when it has ended; never returns."""
        managed = self.managed[name]
        while True:
            try:
                group = await managed.resume()
                if group:
                    self._note(name, None)
                    context = group.member.held(0)
                    if context:
                        self._say("joined", group=name, epoch=context.epoch, sender=context.own_id is not None)
                while group and managed.group is group:
                    await anext(group)
            except Exception as error:  # such as the end of the key's lifetime, or no network
                self._note(name, error)
            await asyncio.sleep(_RESUME_S)

    def _note(self, name, error):
        """Say what is wrong with a group, once."""
        said = self.why_not(name, error) if error else None
        if self.errors.get(name) != said:
            self._say("trouble" if said else "well", group=name, **({"error": said} if said else {}))
        self.errors[name] = said

    async def _stay_connected(self):
        """Keep a session with the manager; never returns."""
        again_s = _AGAIN_S
        while True:
            try:
                await self.connect()
                for name in self.managed:
                    self._begin_to_follow(name)
                self._set_away(None)
                again_s = _AGAIN_S
                await self._until_session_ends()
                raise ConnectionError("the session has ended")
            except Exception as error:  # no manager, no network, no name server
                self._set_away(manager_sentence(error))
                for tried in self._tried.values():
                    tried.set()
            finally:
                self._forget_session()
            await asyncio.sleep(again_s * (128 + os.urandom(1)[0]) / 256)  # not all members at once
            again_s = min(2 * again_s, _AGAIN_MAX_S)

    def _set_away(self, why):
        if bool(why) != bool(self.away) or self.away == "not tried yet":
            self._say("away" if why else "connected", **({"error": why} if why else {}))
        self.away = why

    def _forget_session(self):
        for task in self._follow.values():
            task.cancel()
        self._follow.clear()
        self.hang_up()

    def _begin_to_follow(self, name):
        """Fetch the keys of a group, and follow it, in a task that ends with the session."""
        self._follow[name] = asyncio.create_task(self._stay_in(name, self.coap))

    async def _stay_in(self, name, coap):
        """Fetch the keys of a group, and follow it until the session ends; raises what makes a new session necessary."""
        managed = self.managed[name]
        while True:
            try:
                await managed.join(coap)
                self._note(name, None)
                self._refused.discard(name)
                self._tried[name].set()
                break
            except DiceError as error:
                if coap.ended or error.reason == E_NO_ANSWER:  # its session has broken
                    raise
                self._note(name, error)  # the others do not suffer from it
                if error.reason == E_REFUSED:
                    self._refused.add(name)
                self._tried[name].set()
            await asyncio.sleep(_REFUSED_S)
        await managed.stay(coap)

    async def _until_session_ends(self):
        coap = self.coap
        while not coap.ended:
            if self._follow:
                await asyncio.wait(list(self._follow.values()), timeout=1, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(1)
            for task in self._follow.values():
                if task.done():
                    task.result()

    def _publish(self, name, datagram, source, member, before):
        """Pass a datagram on to the monitors of a group."""
        streams = self._streams.get(name)
        if not streams:
            return
        said = described(datagram, source, member, before, self.own)
        for stream, with_datagrams in streams:
            stream.put({**said, "datagram": datagram.hex()} if with_datagrams else said)

    # Requests.

    def do(self, request):
        """Execute a request: see docs/member.md. Returns a value, an awaitable or a Stream; raises CommandError."""
        name = request.pop("do", None)
        action = getattr(self, f"do_{name}", None)
        if action is None:
            raise CommandError(f"{WHO} does not know the request {name}: is it another version of dicectl?", USAGE)
        for option in ("interface", "hops"):
            given = request.pop(option, None)
            if given is not None and given != getattr(self, option):
                used = getattr(self, option) or "chosen by the system"
                raise CommandError(f"{WHO} of {self.folder} has --{option} {used}: end it first, or omit --{option}", USAGE)
        try:
            return action(**request)
        except TypeError as error:
            raise CommandError(f"{WHO} does not understand the request {name}: {error}", USAGE)

    def _known(self, name):
        """Return the name of a group, in which this member takes part from now on."""
        if name not in self.managed:
            if not isinstance(name, str) or "/" in name or not 1 <= len(name) <= 64 or len(self.managed) >= _GROUPS_MAX:
                raise CommandError(f"{name!r} is not the name of a group of this member", USAGE)
            self.add(name)
            self._take_part(name)
            if self.coap and not self.away:
                self._begin_to_follow(name)
        return name

    async def do_send(self, group, message=None, hex=None):
        """Send a message, which is text or hexadecimal digits."""
        name = self._known(group)
        try:
            data = bytes.fromhex(hex) if hex is not None else message.encode()
        except (ValueError, AttributeError, TypeError):
            raise CommandError('a request "send" has a "message", or hexadecimal digits in "hex"', USAGE)
        if self._waiting[name] >= _WAITING_MAX:
            raise CommandError(f"not sent: {_WAITING_MAX} messages to {name} are waiting already")
        self._waiting[name] += 1
        try:
            async with self._turns[name]:
                return {**await self._send_soon(name, data), "manager": "away" if self.away else "connected"}
        finally:
            self._waiting[name] -= 1

    async def _send_soon(self, name, data):
        """Send as soon as there is a group and a network; raises CommandError if there is none soon."""
        with contextlib.suppress(asyncio.TimeoutError):
            await wait_for(self._tried[name].wait(), KEPT_S)
        self._tried[name].set()
        if name in self._refused:
            raise CommandError(f"not sent: the manager says that this is no member of {name}: {self.errors[name]}")
        failure = self.away and f"there are no keys of {name} yet, and the manager is away: {self.away}"
        for _ in range(int(_SEND_S / _SEND_AGAIN_S)):
            group = self.managed[name].group
            if group and not group.ended:
                try:
                    return await self.send(name, data)
                except OSError as error:
                    failure = sentence(error)
                except DiceError as error:
                    raise CommandError(f"not sent: {sentence(error)}")
            await asyncio.sleep(_SEND_AGAIN_S)
        failure = self.errors.get(name) or failure
        raise CommandError(f"not sent: {failure or f'{name} was not joined yet'}")

    async def do_ask(self, group, path, wait_ms=7000):
        """GET a resource of all members."""
        name = self._known(group)
        if self._asking >= _ASKING_MAX:
            raise CommandError(f"not asked: {_ASKING_MAX} requests are being asked already")
        self._asking += 1
        try:
            joined = self.managed[name].group
            for _ in range(int(_SEND_S / _SEND_AGAIN_S)):
                if joined and not joined.ended:
                    break
                await asyncio.sleep(_SEND_AGAIN_S)
                joined = self.managed[name].group
            else:
                raise CommandError(f"not asked: {self.errors.get(name) or self.away or f'{name} was not joined yet'}")
            try:
                return {"answers": await self.ask(name, path, min(int(wait_ms), 60_000))}
            except (DiceError, OSError) as error:
                raise CommandError(f"not asked: {sentence(error)}")
        finally:
            self._asking -= 1

    def do_monitor(self, group, datagrams=False):
        """Return a Stream of what is said about each datagram."""
        streams = self._streams[self._known(group)]
        if sum(map(len, self._streams.values())) >= _MONITORS_MAX:
            raise CommandError(f"{_MONITORS_MAX} monitors are connected already")
        entry = [None, datagrams]
        stream = entry[0] = line_socket.Stream(self.shown(group), ended=lambda: streams.remove(entry))
        streams.append(entry)
        return stream

    def do_stop(self):
        """End, after this answer."""
        self.ending.set()
        return {"process": os.getpid()}

    def do_status(self):
        return {
            "identity": self.identity,
            "process": os.getpid(),
            "manager": {"connected": not self.away, "error": self.away, "addresses": [list(address) for address in self.addresses]},
            "interface": self.interface,
            "hops": self.hops,
            "groups": {name: self.shown(name) for name in self.managed},
            "monitors": sum(map(len, self._streams.values())),
        }

    def shown(self, name):
        """Return the state of this member in a group."""
        said = {"group": name, "waiting": self._waiting[name], "error": self.errors.get(name)}
        group = self.managed[name].group
        context = group.member.held(0) if group and not group.ended else None
        if context is None:
            return {**said, "joined": False}
        said |= {"joined": True, "epoch": context.epoch, "id": context.id, "sender": context.own_id is not None}
        said |= {"accepted": group.member.accepted, "dropped": dict(group.member.dropped)}
        with contextlib.suppress(DiceError):
            gsa = read_file(str(self.path(name)), decode)
            if gsa:
                said |= {"address": text_of(gsa.address), "port": gsa.port}
        return said
