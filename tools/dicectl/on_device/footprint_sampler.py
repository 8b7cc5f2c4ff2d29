# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Samples a program that runs on a board, without a change of its files; `dicectl footprint --port P PROGRAM` loads this first.

A timer, or asyncio's loop on a board without one, collects garbage now and then and notes the heap in use, and the stack. Calls of
dice.group.member, dice.dtls.session and dice.store are counted and timed by wrappers, which are put around them when the program
has imported these modules. Both is stated with what it costs: sampling takes about a tenth of the time.

Prints, between the bytes 0x1e and 0x1f, which no program prints, a JSON object: once a second, and in each new phase. The phases
are "program" until dice is imported, then "imported", "joined" with the first member, "session" with the first established
session, and "messages" while messages come.
"""

import gc
import json
import sys
import time

import micropython

_SHARE = 10  # sampling takes one part in so many of the time
_PERIOD_MS = 10
_REPORT_MS = 1000
_CONNECTED, _DATA = 4, 1  # events: dice.errors
_STORES = (("dice.store", "FileStore"), ("dice.store_nvs", "NvsStore"))  # that write to flash
_PHASES = ("program", "imported", "joined", "session", "messages")


class _Calls:
    """How often something was called, and how long it took."""

    def __init__(self):
        self.count = self.us = self.least_us = 0

    def add(self, us):
        """Count a call."""
        self.least_us = min(us, self.least_us) if self.count else us
        self.count += 1
        self.us += us

    def result(self):
        """Return {"count", "us": mean, "least_us"}, or None without a call."""
        return {"count": self.count, "us": self.us // self.count, "least_us": self.least_us} if self.count else None


class Sampler:
    """Samples and counts from start() on."""

    def __init__(self):
        self.base = 0  # heap in use before the program starts, this module included
        self.phase = self.entered = 0  # and a bit for each phase that was entered
        self.heap = {}  # phase: most bytes in use
        self.stack = 0
        self.samples = self.spent_us = 0
        self.started_ms = self.next_us = self.report_ms = 0
        self.records, self.session_records, self.puts = _Calls(), _Calls(), _Calls()
        self.handshake_us = self.handshake_start = 0
        self.handshake_ms = None
        self.wrapped = set()
        self.looked_at = 0  # how many modules had been imported
        self.timer = None
        self.busy = False
        self.hook_us = 0  # what a wrapper costs

    # Hooks.

    def wrap(self, module, name, functions):
        """Replace methods of a class, once its module is imported, by function(method)."""
        key = "%s.%s" % (module, name)
        if key in self.wrapped or module not in sys.modules:
            return
        if not hasattr(sys.modules[module], name):  # it is being imported
            self.looked_at = 0
            return
        self.wrapped.add(key)
        cls = getattr(sys.modules[module], name)
        for method, function in functions.items():
            setattr(cls, method, function(getattr(cls, method)))

    def look(self):
        """Wrap what has been imported since the last look."""
        if len(sys.modules) == self.looked_at:
            return
        self.looked_at = len(sys.modules)
        if "dice" in sys.modules:
            self.enter(1)
            self.wrap("dice.group.member", "Member", {"receive": self.member_receive, "deadline": self.member_deadline})
            handshake = {"transmit": self.session_call, "timeout": self.session_call, "receive": self.session_receive}
            self.wrap("dice.dtls.session", "Session", handshake)
            for module, name in _STORES:
                self.wrap(module, name, {"put": self.store_put})

    def member_deadline(self, method):
        """Return Member.deadline, which asyncio's Group calls as soon as it has joined."""

        def deadline(member):
            self.enter(2)
            return method(member)

        return deadline

    def member_receive(self, method):
        """Return Member.receive."""

        def receive(member, datagram, now):
            self.enter(2)
            start = time.ticks_us()
            event = method(member, datagram, now)
            if event == _DATA:
                self.records.add(time.ticks_diff(time.ticks_us(), start))
                self.enter(4)
            return event

        return receive

    def session_call(self, method):
        """Return a method of Session whose time is part of the first handshake."""

        def call(session, *arguments):
            return self.handshake(method, session, arguments)[0]

        return call

    def session_receive(self, method):
        """Return Session.receive."""

        def receive(session, *arguments):
            event, us = self.handshake(method, session, arguments)
            if event == _CONNECTED and self.handshake_ms is None:
                self.handshake_ms = time.ticks_diff(time.ticks_ms(), self.handshake_start)
                self.enter(3)
            elif event == _DATA:
                self.session_records.add(us)
                self.enter(4)
            return event

        return receive

    def handshake(self, method, session, arguments):
        """Call a method of Session; return its result and the microseconds."""
        first = self.handshake_ms is None
        if first and not self.handshake_us:
            self.handshake_start = time.ticks_ms()
        start = time.ticks_us()
        result = method(session, *arguments)
        us = time.ticks_diff(time.ticks_us(), start)
        if first:
            self.handshake_us += us
        return result, us

    def store_put(self, method):
        """Return the put of a store."""

        def put(store, name, value):
            start = time.ticks_us()
            method(store, name, value)
            self.puts.add(time.ticks_diff(time.ticks_us(), start))

        return put

    # Samples.

    def enter(self, phase):
        """Go on to a phase, unless it is past."""
        self.entered |= 1 << phase
        if phase > self.phase:
            self.phase = phase
            self.next_us = time.ticks_us()
            self.report_ms = time.ticks_ms()

    def tick(self, _=None):
        """Look, and sample.

        A Ctrl-C that comes while a timer calls this is lost to the program, and in a program that sleeps most do. So the timer ends
        with the first: the next one reaches the program.
        """
        try:
            self.work()
        except KeyboardInterrupt:
            if not self.timer:
                raise
            self.timer.deinit()

    def work(self):
        """Do what tick() is for."""
        if self.busy:
            return
        self.busy = True
        start = time.ticks_us()
        try:
            self.look()
            self.sample()
        finally:  # Ctrl-C may come here
            self.spent_us += time.ticks_diff(time.ticks_us(), start)
            self.busy = False

    def sample(self):
        """Sample if it is time."""
        start = time.ticks_us()
        if time.ticks_diff(start, self.next_us) >= 0:
            gc.collect()
            name = _PHASES[self.phase]
            self.heap[name] = max(self.heap.get(name, 0), gc.mem_alloc() - self.base)
            self.stack = max(self.stack, micropython.stack_use())
            self.samples += 1
            us = time.ticks_diff(time.ticks_us(), start)
            self.next_us = time.ticks_add(time.ticks_us(), (_SHARE - 1) * us)
            if time.ticks_diff(time.ticks_ms(), self.report_ms) >= 0:
                self.report_ms = time.ticks_add(time.ticks_ms(), _REPORT_MS)
                self.report()

    def report(self):
        """Print the figures so far."""
        figures = {
            "phase": _PHASES[self.phase],
            "entered": [name for number, name in enumerate(_PHASES) if self.entered >> number & 1],
            "heap": self.heap,
            "stack": self.stack,
            "messages": self.records.count + self.session_records.count,
            "records": self.records.result(),
            "session_records": self.session_records.result(),
            "puts": self.puts.result(),
            "handshake": None if self.handshake_ms is None else {"ms": self.handshake_ms, "us": self.handshake_us},
            "sampling": {
                "by": "timer" if self.timer else "asyncio",
                "samples": self.samples,
                "us": self.spent_us,
                "of_ms": time.ticks_diff(time.ticks_ms(), self.started_ms),
                "hook_us": self.hook_us,
                "base": self.base,
            },
        }
        print("\x1e%s\x1f" % json.dumps(figures), end="")

    def measure_hook(self):
        """Return the microseconds that a wrapper costs a call."""
        calls = self.records
        self.records = _Calls()

        def nothing(member, datagram, now):
            return _DATA

        spent = []
        for function in (nothing, self.member_receive(nothing)):
            start = time.ticks_us()
            for _ in range(16):
                function(None, None, 0)
            spent.append(time.ticks_diff(time.ticks_us(), start))
        self.records = calls
        self.phase = self.entered = 0
        return (spent[1] - spent[0]) // 16

    def start(self):
        """Begin."""
        self.hook_us = self.measure_hook()
        self.next_us, self.started_ms = time.ticks_us(), time.ticks_ms()
        self.report_ms = time.ticks_add(self.started_ms, _REPORT_MS)
        self.timer = _timer(self.tick)
        if not self.timer:
            _every_turn(self.tick)
        gc.collect()
        self.base = gc.mem_alloc()

    def stop(self):
        """End, with a last report."""
        if self.timer:
            self.timer.deinit()
        self.busy = False
        self.next_us = time.ticks_us()
        self.report_ms = time.ticks_ms()
        self.work()


def _timer(call):
    """Return a timer that calls a function, or None: ports number their timers differently."""
    try:
        from machine import Timer
    except ImportError:
        return None
    for number in (-1, 3, 1, 0):
        try:
            timer = Timer(number)
            timer.init(period=_PERIOD_MS, mode=Timer.PERIODIC, callback=call)
            return timer
        except (ValueError, OSError, TypeError):
            pass
    return None


def _every_turn(call):
    """Let asyncio's loop call a function in each of its turns."""
    from asyncio import core

    plain = core.IOQueue.wait_io_event

    def wait_io_event(queue, timeout_ms):
        call()
        return plain(queue, timeout_ms)

    core.IOQueue.wait_io_event = wait_io_event
