# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""This computer as a member of managed groups, with the folder that `dicectl provision` wrote.

One process at a time is the member of a folder, because it counts the numbers that it has sent; it locks the folder.
"""

import asyncio
import contextlib
import errno
import ipaddress
import socket
import threading
from pathlib import Path

import dice
from dice.aio.coap import Coap
from dice.aio.group_coap import request_group
from dice.aio.managed import ManagedGroup
from dice.aio.wait import wait_for
from dice.coap.codes import GET
from dice.coap.resource import Router
from dice.errors import DiceError, PeerError, StoreError
from dice.reasons import E_ALERT, E_NO_ANSWER, E_REFUSED, E_STALLED, E_STORE_SHARED
from dice.transport.udp import Unicast
from dicectl import private_file, system
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.member import member_socket, node_file
from dicectl.member.node_file import FILE
from dicectl.member.observed import ObservedNetwork, OwnMessages
from dicectl.reasons import SENTENCES

CONNECT_S = 20
KEPT_S = 1.2  # how long a member that has kept its keys waits for the manager before it sends
KEPT_MAX_S = 2  # also if there are several managers
_REPORT_S = 2
_TIMER_MS = 1000
_STORE_TRIES = 200  # while one other command uses the folder: longer than one that sends or asks takes
_STORE_TRIES_MAX = 2400
_STORE_TRY_S = 0.05
# Alerts of a peer that does not know our key, or does not trust it: bad_record_mac, bad_certificate to unknown_ca, decrypt_error,
# unknown_psk_identity.
_OF_KEYS = (20, *range(42, 49), 51, 115)
_UNREACHABLE = (E_NO_ANSWER, E_STALLED)


class ResidentAppeared(Exception):
    """While we waited for the folder, a resident member began to serve there: use its socket."""


class _Store:
    """The counters in a folder, which is locked until release(), also if something still has this object."""

    def __init__(self, folder):
        self._inner = dice.FileStore(str(folder))

    def get(self, name):
        return self._held().get(name)

    def put(self, name, value):
        self._held().put(name, value)

    def _held(self):
        if self._inner is None:
            raise StoreError(E_STORE_SHARED)
        return self._inner

    def release(self):
        self._inner = None


def sentence(error):
    """Return what a user reads of an exception."""
    if isinstance(error, DiceError):
        return f"E{error.reason}: {SENTENCES[error.reason]}"
    return f"network: {getattr(error, 'strerror', None) or error or type(error).__name__}"


def manager_sentence(error):
    """Return the same of an exception of the session with the manager: which alert it sent, and what to do."""
    if not isinstance(error, PeerError) or error.reason != E_ALERT:
        return sentence(error)
    if error.alert in _OF_KEYS:
        return (
            f"E{error.reason} (alert {error.alert}): The manager does not accept the key of this member. "
            "Give it a new one: dicectl provision replace."
        )
    return f"E{error.reason} (alert {error.alert}): The manager ended the session. Look at its log; dicectl doctor E{error.reason}."


class HostMember:
    """A member: lock() the folder, then ready() gives a group for a moment, or a Resident stays in its groups."""

    def __init__(self, folder, names, interface=None, hops=1, observe=lambda *_: None):
        """`names` are groups; more can be added. `observe` is that of ObservedNetwork, and gets the name of the group first."""
        self.folder = Path(folder)
        try:
            private_file.check_folder(self.folder, "keys and counters")
            encoded = private_file.read(self.folder / FILE, "the key of this member")
        except OSError:
            command = f"dicectl provision new NAME --group {next(iter(names), 'GROUP')} --to {self.folder}"
            raise CommandError(f"{self.folder} has no {FILE}: {command}", USAGE)
        self.settings = node_file.decode(self.folder / FILE, encoded)
        self._managers = node_file.managers(self.folder, self.settings)
        self.addresses = [(manager["host"], manager["port"]) for manager in self._managers.listed()]
        self.identity = self.settings["identity"].partition(":")[0]  # a key that was renewed has a number there
        self.interface = interface
        self.hops = hops
        self.managed = {}  # ManagedGroup by name
        self.own = OwnMessages()
        self.coap = None  # with the manager
        self._networks = {}
        self._observe = observe
        self._router = Router(dict(self._managers.routes))
        self._store = None
        self.report = lambda text: None  # gets what lock() waits for
        self._names = list(names)

    def why_not(self, name, error):
        """Return what a user reads if the manager does not give this member the keys of a group."""
        if not isinstance(error, DiceError) or error.reason != E_REFUSED:
            return manager_sentence(error)
        who = self.settings.get("name") or self.folder.name
        others = sorted({path.stem for path in self.folder.glob("*.gsa")} - {name})
        if others:
            return f"E{error.reason}: {who} is not in {name}. It is in: {', '.join(others)}"
        return (
            f"E{error.reason}: {who} is not in {name}. Look at the name with dicectl group list, or dicectl group add {name} {who}"
        )

    def path(self, name):
        """Return the path of a group's GSA."""
        return self.folder / f"{name}.gsa"

    async def lock(self):
        """Lock the folder; wait a little for another program that uses it. Raises CommandError, and ResidentAppeared."""
        holder, tries = None, 0
        for _ in range(_STORE_TRIES_MAX):
            try:
                self._store = _Store(self.folder)
                break
            except DiceError:
                if member_socket.serves(self.folder):
                    raise ResidentAppeared
            before, holder = holder, system.holder(self.folder)
            if holder != before:
                self.report(f"waiting for {holder}, which uses {self.folder}")
            tries = tries + 1 if holder == before else 0  # others were first, and each takes its time
            if tries == _STORE_TRIES:
                break
            await asyncio.sleep(_STORE_TRY_S)
        if self._store is None:
            raise node_file.in_use(self.folder, holder)
        for name in self._names:
            self.add(name)

    def add(self, name):
        """Take part in one more group, once the folder is locked; return its ManagedGroup."""
        if name not in self.managed:
            network = ObservedNetwork(
                lambda *processed: self._observe(name, *processed), lambda: self._member(name), self.interface, self.hops
            )
            self._networks[name] = network
            self.managed[name] = ManagedGroup(name, str(self.path(name)), network, self._store)
            self._router.routes.update(self.managed[name].routes)
        return self.managed[name]

    def _member(self, name):
        group = self.managed[name].group if name in self.managed else None
        return group.member if group else None

    async def connect(self, timeout_s=CONNECT_S):
        """Open a session with the first manager that answers; raises what dice.connect raises."""
        self.hang_up()
        self.coap = Coap(await self._managers.connect(await self._resolved(timeout_s), _TIMER_MS, timeout_s), self._router)

    async def _resolved(self, timeout_s):
        """Return a network that knows the addresses of the managers whose names were found."""
        hosts = {manager["host"]: manager["port"] for manager in self._managers.listed()}
        found = await asyncio.gather(
            *[wait_for(resolved(host, port), timeout_s) for host, port in hosts.items()], return_exceptions=True
        )
        return _ResolvedNetwork(dict(zip(hosts, found)))

    async def ready(self, name):
        """Return (group, why the manager is away or None), with the newest keys or those that are kept; raises CommandError."""
        managed = self.managed[name]
        kept = None
        with contextlib.suppress(DiceError, OSError):
            kept = await managed.resume()
        try:
            return await self._joined(managed, kept), None
        except (DiceError, OSError, UnicodeError, asyncio.TimeoutError) as error:
            if isinstance(error, asyncio.TimeoutError):
                error = PeerError(None, E_NO_ANSWER)
            refused = isinstance(error, DiceError) and error.reason not in _UNREACHABLE
            if refused or not kept or kept.ended:
                raise CommandError(self.why_not(name, error), FAILED)
            return kept, manager_sentence(error)

    async def _joined(self, managed, kept):
        """Connect and join; once more if the manager has ended the session meanwhile, as it does after it has offered a new key."""
        await self._connect_for(kept)
        try:
            return await managed.join(self.coap)
        except DiceError:
            if not self.coap.connection.ended:
                raise
        await self._connect_for(kept)
        return await managed.join(self.coap)

    async def _connect_for(self, kept):
        await (wait_for(self.connect(KEPT_S), KEPT_MAX_S) if kept else self.connect())

    async def send(self, name, message):
        """Send a message to a group that ready() returned; return what is true then, a dict. Raises what Group.send raises."""
        group = self.managed[name].group
        await group.send(message)
        context = group.member.held(0)
        said = {"epoch": context.epoch, "sender": context.own_id, "number": context.own_next - 1}
        self.own.sent(self._networks[name].sent, {**said, "message": bytes(message).decode(errors="backslashreplace")})
        return {"sent": True, "group": name, **said}

    async def ask(self, name, path, wait_ms):
        """GET a resource of all members and return {id: text of the answer}; raises what Group.ask raises."""
        found = await request_group(self.managed[name].group, GET, path, wait_ms=wait_ms)
        return {who: bytes(answer.payload).decode(errors="backslashreplace") for who, answer in found.items()}

    async def leave(self):
        """Report to the manager how far this member has sent, close the session and the groups, and release the folder."""
        try:
            if self.coap and not self.coap.ended:
                with contextlib.suppress(Exception):  # then the manager learns it the next time
                    await wait_for(self._report(self.coap), _REPORT_S)
        finally:
            for managed in self.managed.values():
                managed.leave()
            self.hang_up()
            self.managed.clear()
            self._networks.clear()
            if self._store:
                self._store.release()

    async def _report(self, coap):
        for managed in self.managed.values():
            if managed.group:
                await managed.report(coap)

    def hang_up(self):
        """Close the session with the manager, which then does not wait for this member any more."""
        if self.coap:
            recalled = self.coap.connection.recalled
            if recalled and len(self._managers.listed()) > 1:
                self._managers.recalled(recalled)  # another one has taken over
            self.coap.close()
        self.coap = None


class _ResolvedNetwork:
    """Makes the transports of sessions to hosts whose addresses are known, so that no look-up holds up the event loop."""

    def __init__(self, found):
        """`found` is {host: its addresses, or the exception of its look-up}."""
        self._found = found

    def Unicast(self, address, port=None):
        """Return a session's transport to the first address of a host that there is a route to; raises OSError."""
        found = self._found[address[0]]
        if isinstance(found, asyncio.TimeoutError):
            raise OSError(errno.ETIMEDOUT, f"no name server finds {address[0]}")
        if isinstance(found, BaseException):
            raise found
        failure = OSError(errno.EADDRNOTAVAIL, f"{address[0]} has no address")
        for host in found:
            try:
                return Unicast((host, address[1]), port)
            except OSError as error:
                failure = error
        raise failure


async def resolved(host, port):
    """Return the addresses of a host, those of IPv4 first, without holding up the event loop; raises OSError and UnicodeError.

    A name server that is away keeps a thread busy, for which nobody waits.
    """
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def settle(found, error):
        if not future.done():
            future.set_exception(error) if error else future.set_result(found)

    def look_up():
        found, failure = None, None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, found, failure)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    found = await future
    return [address[0] for _, _, _, _, address in sorted(found, key=lambda entry: entry[0] != socket.AF_INET)]
