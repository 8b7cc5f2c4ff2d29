# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The coroutines of dice.aio.kdc and dice.aio.managed, stepped by hand, so that a search can stop between any two of their steps.

The code that runs is the library's. Replaced are only its surroundings: the clock, asyncio, the files, the transport. A coroutine
cannot be copied, but a push of the group manager can: it reads the group state before its request only, so it is begun anew with a
copy of the state of then, beside the manager, and continued with the response.
"""

import copy
import copyreg
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from unittest import mock

from dice.aio import group as aio_group
from dice.aio import kdc as aio_kdc
from dice.aio import key_delivery as aio_key_delivery
from dice.aio import managed as aio_managed
from dice.errors import LimitError, PeerError, StoreError, UsageError
from dice.group.context import Context
from dice.limits import DELIVERY_RETRY_MS
from dice.reasons import E_EXPIRED, E_NO_ANSWER
from dice.suites import PSK_AES_128_CCM_8, SUITES

copyreg.pickle(memoryview, lambda view: (memoryview, (view.obj,)))  # for the snapshots
copyreg.pickle(Context, lambda context: (_context, ({name: value for name, value in vars(context).items() if name != "cipher"},)))
for _error in (LimitError, PeerError, StoreError, UsageError):
    copyreg.pickle(_error, lambda error: (type(error), (error.reason,)))

CLOCK = [0]  # in ms
SENT = [0]  # how many records have been sent
DISK = {}  # of the device that runs: {path: bytes}


def _context(fields):
    """Return a Context from a snapshot; functions are not part of that."""
    context = Context.__new__(Context)
    vars(context).update(fields, cipher=SUITES[PSK_AES_128_CCM_8].cipher)
    return context


class Lost(Exception):
    """No response arrived, for the coroutine that is stepped."""


class Ask:
    """A request that a stepped coroutine waits for."""

    def __init__(self, code, path, payload):
        self.code, self.path, self.payload = code, path, payload
        self.options = ()
        self.sent_before = SENT[0]

    def __await__(self):
        return (yield self)


class Answer:
    """A response: of a handler that returned (code, payload)."""

    def __init__(self, response):
        self.code, self.payload = response[:2]


class Session:
    """A session, as a Coap at either side."""

    ended = False

    def __init__(self, connection=None, handler=None):
        """As a Coap; what the other side asks is handled elsewhere."""

    async def closed(self):
        """Wait until the session has ended."""
        await Waiting(None)

    async def request(self, code, path, payload=b"", options=(), observe=None):
        """Wait for the response."""
        try:
            return await Ask(code, path, bytes(payload))
        except Lost:
            raise PeerError(None, E_NO_ANSWER)

    def close(self):
        """A manager closes the session that another one replaces."""


class Waiting:
    """An asyncio.sleep() or wait_for() of a stepped coroutine."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __await__(self):
        return (yield self)


class Event:
    """An asyncio.Event that nobody waits for."""

    def __init__(self):
        self.is_set_ = False

    def set(self):
        self.is_set_ = True

    def clear(self):
        self.is_set_ = False

    def is_set(self):
        return self.is_set_

    async def wait(self):
        await Waiting(None)


class Push:
    """A push of the group manager to a member: its request is under way, or, from `due` on, it is over and may be repeated."""

    def __init__(self, delivery, coroutine):
        local = coroutine.cr_frame.f_locals
        self.identity, self.what = local["identity"], local["push"].__name__
        self.ask = self.due = None
        state = delivery._manager.state.copy()
        if self._step(delivery, coroutine, None):
            self.due = CLOCK[0]
        self.state = state

    def resume(self, delivery, answer):
        """Continue with an Answer or Lost; return whether the push is over."""
        coroutine = delivery._push(self.identity, getattr(delivery, self.what))
        manager, delivery._manager = delivery._manager, _beside(delivery._manager, self.state)
        coroutine.send(None)
        delivery._manager = manager
        return self._step(delivery, coroutine, answer)

    def _step(self, delivery, coroutine, answer):
        delivery._pushes.setdefault(self.identity, self)
        try:
            step = coroutine.throw(answer) if isinstance(answer, Lost) else coroutine.send(answer)
            while isinstance(step, Waiting) and step.seconds * 1000 < DELIVERY_RETRY_MS:
                step = coroutine.send(None)
        except StopIteration:
            return True
        self.ask = step if isinstance(step, Ask) else None
        self.due = CLOCK[0] + int(step.seconds * 1000) if self.ask is None else None
        coroutine.close()
        delivery._pushes[self.identity] = self
        return False

    def forget(self, delivery):
        """End the wait after a push that has failed."""
        delivery.pushed(self.identity)

    def cancel(self):
        """As a task's."""


def _beside(manager, state):
    """Return a copy of a Manager that has `state`, and whose changes nobody sees."""
    other = copy.copy(manager)
    for name, value in list(vars(manager).items()):
        if isinstance(value, (dict, set, list)):
            setattr(other, name, copy.copy(value))
    other.state = state.copy()
    other.progress = copy.copy(manager.progress)
    other.progress.begin(state)
    other._commit = lambda state, change: None
    return other


class Idle:
    """The task that is stepped elsewhere: the class itself, which stays the same in every copy of a state."""

    @staticmethod
    def cancel():
        """As a task's."""


class SteppedAsyncio:
    """The part of asyncio that dice.aio.kdc and dice.aio.managed use."""

    Event = Event
    TimeoutError = TimeoutError

    def create_task(self, coroutine):
        """Begin a push; other tasks are stepped elsewhere."""
        if coroutine.__name__ == "_push":
            return Push(coroutine.cr_frame.f_locals["self"], coroutine)
        coroutine.close()
        return Idle

    def current_task(self):
        """Return the task that runs."""
        return Idle

    async def sleep(self, seconds):
        """Let the search decide."""
        await Waiting(seconds)


def run_delivery(delivery):
    """Run the task of the group manager until it waits for the next change or deadline."""
    task = delivery._step() if hasattr(delivery, "_step") else delivery._run()
    step = task.send(None)
    while step.seconds is not None and step.seconds * 1000 < DELIVERY_RETRY_MS:
        step = task.send(None)
    task.close()


def connect(kdc, identity):
    """Run Kdc.serve() of a new session until it waits for its end."""
    serving = kdc.serve(SimpleNamespace(session=SimpleNamespace(identity=identity)))
    serving.send(None)
    session = kdc.connected[identity]
    serving.close()
    kdc.connected[identity] = session


def disconnect(kdc, identity):
    """Run Kdc.serve() from when its session has ended."""
    serving = kdc.serve(SimpleNamespace(session=SimpleNamespace(identity=identity)))
    serving.send(None)
    with suppress(StopIteration):
        serving.throw(PeerError(None, E_NO_ANSWER))


def run(coroutine, answer):
    """Run a coroutine to its end; `answer(Ask)` returns an Answer, or raises Lost or what leaves the coroutine where it is."""
    reply = None
    step = coroutine.send
    while True:
        try:
            ask = step(reply)
        except StopIteration as end:
            return end.value
        if isinstance(ask, Waiting):
            step, reply = coroutine.send, None
            continue
        try:
            step, reply = coroutine.send, answer(ask)
        except Lost as lost:
            step, reply = coroutine.throw, lost


class Transport:
    """The network of dice.join, and its transport: the search carries the datagrams."""

    socket = source = None

    def __init__(self):
        self.arrived = None

    def Multicast(self, address, port):
        return Transport()

    def receive(self):
        datagram, self.arrived = self.arrived, None
        return datagram

    def close(self):
        """Nothing to close."""


def run_group(group, datagram=None):
    """Run the task of a Group: it receives a datagram, or looks at its deadlines."""
    group._transport.arrived = datagram
    step = group._step()
    with suppress(StopIteration):
        step.send(None)  # it waits for the next datagram, or it has returned
    step.close()
    if group.member._context is None and not getattr(group, "ended", None):
        group.ended = LimitError(E_EXPIRED)  # as its task leaves it


async def _wait(socket, deadline):
    await Waiting(None)


async def _wait_for(awaitable, seconds):
    awaitable.close()
    await Waiting(None)


def _read_file(path, decode):
    data = DISK.get(path)
    return None if data is None else decode(data)


def _replace_file(path, data):
    DISK[path] = bytes(data)


REPLACED = {
    "asyncio": SteppedAsyncio(),
    "now": lambda: CLOCK[0],
    "read_file": _read_file,
    "replace_file": _replace_file,
    "wait": _wait,
    "wait_for": _wait_for,
    "Coap": Session,
}


@contextmanager
def stepped():
    """Replace the surroundings of the library's coroutines."""
    patches = [
        mock.patch.object(module, name, value)
        for module in (aio_kdc, aio_key_delivery, aio_managed, aio_group)
        for name, value in REPLACED.items()
        if hasattr(module, name)
    ]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()
