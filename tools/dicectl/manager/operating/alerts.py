# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The alert command of a manager: a program of the operator's that is started when something has happened (`news`).

It is started without a shell, once for all that has happened since its last start: one process at a time, each for 30 s at most. Of
each device only the newest event counts, and of more than 1,000 events only the newest. If the command fails, it is started again
with the same events, after longer and longer pauses, TRIES_MAX times at most. Nothing that it does delays the manager.
"""

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal

from dice.aio.wait import wait_for
from dicectl.errors import USAGE, CommandError
from dicectl.reasons import describe

TIMEOUT_S = 30
PENDING_MAX = 1000
TRIES_MAX = 6  # for each event
RETRY_S = (5, 30, 120, 600)  # before the next start after so many failures in a row
_BATCH_MAX = 100  # events that one start is given
_TEXT_MAX = 1000  # characters of DICE_TEXT


class Alerts:
    """Starts `command`, a line as for a shell, when add() was called. `error` is the last failure, until it works again.

    `lost`: how many events it never took.
    """

    def __init__(self, command):
        try:
            self._argv = shlex.split(command)
        except ValueError as error:
            raise CommandError(f"--alert-command {command!r} is no command: {error}", USAGE)
        if not self._argv or not shutil.which(self._argv[0]):
            raise CommandError(f"--alert-command: there is no program {' '.join(self._argv[:1]) or 'given'}", USAGE)
        self.error = None
        self.lost = 0
        self._pending = {}  # {whose: (event, how often it was tried)}, the newest last
        self._missed = 0  # of `lost`, those that no start has reported
        self._failures = 0  # in a row
        self._task = None

    def add(self, event):
        """Note an event of news.News, and start the command unless it runs."""
        whose = event.get("device"), event.get("group")
        self._pending.pop(whose, None)
        self._pending[whose] = event, 0
        self._forget_oldest()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    def close(self):
        """End the command that runs."""
        if self._task:
            self._task.cancel()

    def problems(self):
        """Return sentences about what is wrong now, for an operator."""
        if not self.error:
            return []
        return [f"the alert command fails: {describe(self.error)}; {len(self._pending)} events wait for it, {self.lost} are lost"]

    def _forget_oldest(self):
        while len(self._pending) > PENDING_MAX:
            del self._pending[next(iter(self._pending))]
            self._lose(1)

    def _lose(self, count):
        self.lost += count
        self._missed += count

    async def _work(self):
        while self._pending:
            tried = {whose: self._pending.pop(whose) for whose in list(self._pending)[:_BATCH_MAX]}
            missed, self._missed = self._missed, 0
            try:
                await self._start([event for event, _ in tried.values()], missed)
                self.error = None
                self._failures = 0
            except Exception as error:
                self.error = error
                self._missed += missed
                self._put_back(tried)
                self._failures += 1
                await asyncio.sleep(RETRY_S[min(self._failures, len(RETRY_S)) - 1])

    def _put_back(self, tried):
        """Let events wait for the next start, before those that came meanwhile; a newer one of the same device replaces one."""
        again = {}
        for whose, (event, tries) in tried.items():
            if whose in self._pending:
                continue
            if tries + 1 < TRIES_MAX:
                again[whose] = event, tries + 1
            else:
                self._lose(1)
        self._pending = {**again, **self._pending}
        self._forget_oldest()

    async def _start(self, events, missed):
        first = events[0]
        environment = {
            **os.environ,
            "DICE_EVENT": first["event"] if len({event["event"] for event in events}) == 1 else "several",
            "DICE_COUNT": str(len(events)),
            "DICE_DEVICE": (first.get("device") or "") if len(events) == 1 else "",
            "DICE_GROUP": (first.get("group") or " ".join(first.get("groups", ()))) if len(events) == 1 else "",
            "DICE_TEXT": "; ".join(event["text"] for event in events)[:_TEXT_MAX],
        }
        given = json.dumps({"events": events, "missed": missed}).encode()
        process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            await wait_for(process.communicate(given), TIMEOUT_S)
        except asyncio.TimeoutError:
            raise CommandError(f"it took more than {TIMEOUT_S} s, and was ended") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            raise CommandError(f"it ended with status {process.returncode}")
