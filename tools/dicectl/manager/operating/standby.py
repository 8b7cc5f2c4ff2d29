# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A manager that waits until it leads: what it answers meanwhile, and how it begins. See `leader` for the election."""

import asyncio
import contextlib
import datetime
import os
import time

from dice import __version__
from dicectl import sd_notify, system
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager import control
from dicectl.manager.election import lease
from dicectl.manager.operating import log_format as log
from dicectl.manager.operating.process import STANDBY, Watchdog


@contextlib.contextmanager
def locked(control_path):
    """Have the control socket beside `control_path` to ourselves; raises CommandError if another process has."""
    try:
        descriptor = os.open(f"{control_path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CommandError(f"cannot write beside {control_path}: {error.strerror}; choose another place with --control", USAGE)
    try:
        if not system.try_lock(descriptor):
            raise CommandError(f"another manager has its control socket beside {control_path}: choose another place with --control")
        yield
    finally:
        os.close(descriptor)


class Standby:
    """A process that waits for the leadership of `leader`, a leader.Leader. Commands find it beside `control_path`."""

    def __init__(self, leader, control_path, address, log_format=log.PLAIN, http=None):
        """`address`: {"host", "port"} where it will serve devices. `http`: an http_server.HttpServer, or None."""
        self._http = http
        self._leader = leader
        self._control_path = control_path
        self._address = address
        self._format = log_format
        self._since = time.time()
        self._said = ""
        self._watchdog = Watchdog()
        self._ending = asyncio.get_running_loop().create_future()

    def describe(self):
        """Return in one line what this process waits for."""
        if self._leader.error:
            return f"standby: the database does not answer: {self._leader.error}"
        if not self._leader.active:
            return "standby: another manager is about to become the active one"
        _, holder, since = self._leader.active
        return f"standby: the active manager is {holder}, since {datetime.datetime.fromtimestamp(since).isoformat(' ', 'seconds')}"

    def do(self, request):
        """Answer a request of a command: `status` and `stop`; raises CommandError for all others."""
        name = request.get("do")
        if name == "stop":
            if not self._ending.done():
                self._ending.set_result(None)
            return {"pid": os.getpid()}
        if name != "status":
            raise CommandError(f"this manager is a {self.describe()}: give the command where that one runs", FAILED)
        return {
            "role": STANDBY,
            "pid": os.getpid(),
            "version": __version__,
            "since": self._since,
            "waits": self.describe(),
            **self._address,
            "problems": self.problems(),
        }

    def problems(self):
        """Return sentences about what keeps this process from taking the place of another one."""
        return [self.describe()] if self._leader.error else []

    async def wait(self):
        """Return True as soon as this process leads, or False after `stop`; the control socket is closed then."""
        server = await control.serve(self._control_path, self.do)
        try:
            while not self._ending.done():
                if await asyncio.get_running_loop().run_in_executor(None, self._leader.campaign):
                    self._say("this manager is the active one now")
                    return True
                is_first = not self._said
                self._say(self.describe())
                if is_first:
                    sd_notify.notify(sd_notify.READY)  # it does what it has to, and can be waited for
                self._watchdog.alive(self.describe())
                if self._http:
                    self._http.standby(self.describe(), self.problems())
                await asyncio.wait({self._ending}, timeout=lease.POLL_S)
            return False
        finally:
            server.close()

    async def lead(self, open_registry):
        """Keep the leadership from now on, and return open_registry(), which runs in a thread because it may take long."""
        self._leader.start()
        opening = asyncio.get_running_loop().run_in_executor(None, open_registry)
        while not opening.done():
            self._leader.looped()
            self._watchdog.alive("opening the registry")
            await asyncio.wait({opening}, timeout=lease.LOOP_S)
        self._leader.raise_if_lost()
        return opening.result()

    def _say(self, text):
        if text == self._said:
            return
        self._said = text
        line = f"{datetime.datetime.now().isoformat(' ', 'seconds')}  {text}" if self._format == log.PLAIN else text
        print(log.formatted(self._format, log.INFO, line, {"event": STANDBY, "at": time.time(), "text": text}), flush=True)
