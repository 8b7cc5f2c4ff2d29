# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dicectl.ending.run: a signal that ends a command interrupts its coroutine where that waits, and nowhere else."""

import asyncio
import contextlib
import os
import signal
import sys
import threading

import pytest

from dicectl import ending

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    before = {number: signal.getsignal(number) for number in NUMBERS}
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, getattr(sys, stream))
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def installed(sigint):
    """Install the handlers as in a command that has inherited a handler of SIGINT."""
    signal.signal(signal.SIGINT, sigint)
    for number in NUMBERS[1:]:
        signal.signal(number, signal.SIG_DFL)
    ending.install()


@pytest.mark.parametrize(
    "number, sigint",
    [
        (number, sigint)
        for number in NUMBERS
        for sigint in (signal.SIG_DFL, signal.SIG_IGN)
        if (number, sigint) != (signal.SIGINT, signal.SIG_IGN)
    ],
)
def test_what_does_not_wait_is_not_interrupted(number, sigint):
    """As the table that a manager draws: half of it, and its library is in disorder."""
    installed(sigint)
    done = []

    async def work():
        try:
            os.kill(os.getpid(), number)
            done.append(sum(range(10_000)))
            done.append("and more")
            await asyncio.sleep(60)
            done.append("too much")
        finally:
            await asyncio.sleep(0.01)
            done.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        ending.run(work())
    assert done[1:] == ["and more", "cleaned up"]


def test_it_is_woken_if_it_waits_already():
    installed(signal.SIG_DFL)
    later = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
    later.start()
    with pytest.raises(KeyboardInterrupt):
        ending.run(asyncio.sleep(60))
    later.join()


def test_a_second_signal_ends_what_does_not_want_to_end():
    installed(signal.SIG_DFL)

    async def work():
        with contextlib.suppress(asyncio.CancelledError):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        ending.run(work())


def test_results_and_failures_are_those_of_the_coroutine_and_signals_are_as_before():
    installed(signal.SIG_DFL)

    async def work(failure=None):
        if failure:
            raise failure
        return 7

    assert ending.run(work()) == 7
    with pytest.raises(ValueError):
        ending.run(work(ValueError()))
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
