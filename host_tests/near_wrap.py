# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Ticks that wrap within a test: the portable tests near the period of a board's ticks_ms, 2**30 ms, and near half of it.

Tests say `now` as small numbers: 0, 5, 1000. install(offset) makes every call of dice from outside take place `offset` ms later, by
ticks of 30 bits: parameters called `now` are shifted on the way in, results of deadline() and attributes `due` on the way out.
The clock of asyncio endpoints starts there too. CPython only: MicroPython cannot tell who calls, and its unix port has ticks of 62
bits.

    DICE_TICKS_NEAR_WRAP=1073741823 pytest host_tests/portable        the ticks wrap after 1 ms
"""

import asyncio
import functools
import importlib
import inspect
import pkgutil
import sys

import dice

PERIOD = 1 << 30
_FOR_BOARDS = {f"dice.crypto.{name}" for name in ("native", "ccm_viper", "ccm_ctr", "p256_viper")} | {
    "dice.group.native",
    "dice._posix",
}


def install(offset, plain=False):
    """Shift all times of the tests that are imported from now on. `plain`: let dice subtract ticks as if they did not wrap."""
    if plain:
        importlib.import_module("dice._compat").ticks_diff = lambda end, start: end - start
    modules = [importlib.import_module(name) for name in _names()]
    for module in modules:
        for name, value in list(vars(module).items()):
            if inspect.isclass(value) and value.__module__ == module.__name__:
                _shift_methods(value, offset)
            elif inspect.isfunction(value) and value.__module__ == module.__name__ and not module.__name__.startswith("dice.aio"):
                shifted = _shifted(value, offset)
                for other in modules if shifted is not value else ():
                    if vars(other).get(name) is value:
                        setattr(other, name, shifted)
    _shift_clock(offset, modules)


def _names():
    for found in pkgutil.walk_packages(dice.__path__, "dice."):
        if found.name not in _FOR_BOARDS and not found.name.startswith("dice.x509"):  # `now` is a date there
            yield found.name


def _from_dice():
    """Return whether the caller of a wrapped function is dice itself, whose times are shifted already."""
    return sys._getframe(2).f_globals["__name__"].startswith("dice.")


def _shift_methods(cls, offset):
    if cls.__module__.startswith("dice.aio"):
        return
    for name, value in list(vars(cls).items()):
        if inspect.isfunction(value):
            shifted = _deadline(value, offset) if name == "deadline" else _shifted(value, offset)
            if shifted is not value:
                setattr(cls, name, shifted)
    if cls.__name__ == "Tickets":
        remember = cls.remember
        cls.remember = lambda self, *session: remember(self, *session[:-1], (session[-1] + (not _from_dice()) * offset) % PERIOD)
    if cls.__name__ in ("Flight", "Exchange", "Rotating"):
        cls.due = _due(offset)


def _shifted(function, offset):
    """Return the function with its parameter `now` shifted, or the same function if it has none."""
    parameters = list(inspect.signature(function).parameters.values())
    at = next((i for i, parameter in enumerate(parameters) if parameter.name == "now"), None)
    if at is None:
        return _with_tickets(function, offset) if "tickets" in [parameter.name for parameter in parameters] else function

    @functools.wraps(function)
    def call(*arguments, **named):
        if not _from_dice():
            if at < len(arguments):
                arguments = (*arguments[:at], (arguments[at] + offset) % PERIOD, *arguments[at + 1 :])
            else:
                named["now"] = (named.get("now", parameters[at].default) + offset) % PERIOD
        return function(*arguments, **named)

    return call


def _with_tickets(function, offset):
    """Return the function of a server's role, whose keyword `tickets` is (Tickets, now)."""

    @functools.wraps(function)
    def call(*arguments, **named):
        if isinstance(named.get("tickets"), tuple) and not _from_dice():
            tickets, now = named["tickets"]
            named["tickets"] = tickets, (now + offset) % PERIOD
        return function(*arguments, **named)

    return call


def _due(offset):
    """Return a property in place of the attribute `due`."""

    def get(self):
        due = vars(self)["due "]
        return due if due is None or _from_dice() else (due - offset) % PERIOD

    def put(self, due):
        vars(self)["due "] = due

    return property(get, put)


def _deadline(function, offset):
    @functools.wraps(function)
    def call(self):
        due = function(self)
        return due if due is None or _from_dice() else (due - offset) % PERIOD

    return call


def _shift_clock(offset, modules):
    """Let the clock of each event loop start at `offset`."""
    cpython = importlib.import_module("dice.aio._cpython")
    original = cpython.now
    started = {}

    def now():
        loop = asyncio.get_running_loop()
        start = started.setdefault(loop, original())
        return (original() - start + offset) % PERIOD

    for module in modules:
        if vars(module).get("now") is original:
            module.now = now
