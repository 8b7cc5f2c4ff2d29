# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The alert command of a manager: a program of the operator's that is started when something has happened (`news`).

It is started without a shell, once for all that has happened since its last start: one process at a time, each for 30 s at most. Of
each device only the newest event counts, and of more than 1,000 events only the newest. Nothing that it does delays the manager.
"""

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal

from dicectl.errors import USAGE, CommandError

TIMEOUT_S = 30
PENDING_MAX = 1000
_BATCH_MAX = 100  # events that one start is given
_TEXT_MAX = 1000  # characters of DICE_TEXT


class Alerts:
    """Starts `command`, a line as for a shell, when add() was called. `error` is the last failure, until it works again."""

    def __init__(self, command):
        try:
            self._argv = shlex.split(command)
        except ValueError as error:
            raise CommandError(f"--alert-command {command!r} is no command: {error}", USAGE)
        if not self._argv or not shutil.which(self._argv[0]):
            raise CommandError(f"--alert-command: there is no program {' '.join(self._argv[:1]) or 'given'}", USAGE)
        self.error = None
        self._pending = {}  # {whose: event}, the newest last
        self._missed = 0
        self._task = None

    def add(self, event):
        """Note an event of news.News, and start the command unless it runs."""
        whose = event.get("device"), event.get("group")
        self._pending.pop(whose, None)
        self._pending[whose] = event
        if len(self._pending) > PENDING_MAX:
            del self._pending[next(iter(self._pending))]
            self._missed += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    def close(self):
        """End the command that runs."""
        if self._task:
            self._task.cancel()

    async def _work(self):
        while self._pending:
            events = [self._pending.pop(whose) for whose in list(self._pending)[:_BATCH_MAX]]
            missed, self._missed = self._missed, 0
            try:
                await self._start(events, missed)
                self.error = None
            except Exception as error:  # what it was for is lost, and said
                self.error = error

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
            await asyncio.wait_for(process.communicate(given), TIMEOUT_S)
        except asyncio.TimeoutError:
            raise CommandError(f"it took more than {TIMEOUT_S} s, and was ended") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            raise CommandError(f"it ended with status {process.returncode}")
