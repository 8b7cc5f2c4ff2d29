# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dice.aio.wait.wait_for: as asyncio.wait_for(), but a task that is cancelled ends, whatever else happens in that moment."""

import asyncio
import re

import pytest

from dice._compat import ticks_add
from dice.aio.wait import now, wait, wait_for
from dicectl import resources
from dicectl.net.virtual import VirtualNetwork

MOMENTS = range(8)  # turns of the event loop


def run(scenario):
    """Run in virtual time; fail if an exception of a task was not retrieved."""
    failures = []

    async def watched():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        await scenario()
        await asyncio.sleep(0)

    VirtualNetwork(lambda sides: 0).run(watched)
    assert not failures


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def after(count, end):
    await turns(count)
    return end()


def seven():
    return 7


def fail():
    raise ValueError


@pytest.mark.parametrize("end", (seven, fail))
@pytest.mark.parametrize("ends_at", MOMENTS)
@pytest.mark.parametrize("cancelled_at", MOMENTS)
def test_whoever_is_cancelled_does_not_go_on(cancelled_at, ends_at, end):
    async def scenario():
        reached = []

        async def waiting():
            try:
                await wait_for(after(ends_at, end), 100)
            except ValueError:
                pass
            reached.append("the wait is over")
            await asyncio.sleep(1000)
            reached.append("the end")

        task = asyncio.ensure_future(waiting())
        await turns(cancelled_at)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled() and "the end" not in reached

    run(scenario)


WAITS = {
    "wait_for": lambda event: wait_for(event.wait(), None),
    "wait": lambda event: wait(event, None),
    "wait until a deadline": lambda event: wait(event, ticks_add(now(), 1000)),
}


@pytest.mark.parametrize("how", WAITS)
@pytest.mark.parametrize("set_at", MOMENTS)
def test_an_event_that_is_set_in_the_moment_of_the_cancellation_does_not_undo_it(set_at, how):
    """As when a change of a group, and the end of its deliveries, come together."""

    async def scenario():
        event, rounds = asyncio.Event(), []

        async def loop():
            while True:
                await WAITS[how](event)
                event.clear()
                rounds.append(1)

        task = asyncio.ensure_future(loop())
        await turns(set_at)
        event.set()
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled() and len(rounds) <= 1

    run(scenario)


def test_a_time_out_ends_what_was_awaited():
    async def scenario():
        ended = []

        async def work():
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(1)
                ended.append(1)

        with pytest.raises(asyncio.TimeoutError):
            await wait_for(work(), 3)
        assert ended and asyncio.get_running_loop().time() == pytest.approx(4)
        assert await wait_for(after(1, seven), None) == await wait_for(after(1, seven), 1) == 7
        with pytest.raises(ValueError):
            await wait_for(after(1, fail), 1)

    run(scenario)


def test_nobody_waits_otherwise():
    """asyncio.wait_for() of Python 3.10 and 3.11 fails the first two of these tests."""
    places = [resources.LIB / "dice", resources.ROOT / "tools" / "dicectl", resources.ROOT / "firmware" / "app"]
    sources = [path for place in places for path in place.rglob("*.py") if path.name not in ("wait.py", "_cpython.py")]
    assert len(sources) > 100
    assert [path.name for path in sources if re.search(r"asyncio\.wait_for\(", path.read_text())] == []
