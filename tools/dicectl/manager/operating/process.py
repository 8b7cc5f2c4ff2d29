# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The process of `dicectl manager run`: its loop, what it tells systemd and probes, and the requests `status` and `stop`."""

import asyncio
import os
import time

from dice import __version__
from dice.group.presence import CONNECTED, SILENT
from dicectl import sd_notify
from dicectl.errors import FAILED, CommandError
from dicectl.manager.operating.detach import OwnLog
from dicectl.manager.registry.backup import backup_at
from dicectl.manager.registry.base import RegistryError
from dicectl.text import counted

ACTIVE = "active"
STANDBY = "standby"
_REFRESH_S = 0.5


class ProcessRequests:
    """The requests about the process of a service.ManagerService: do_X(...) is the request X; values are those of JSON."""

    def __init__(self, service):
        self.ending = asyncio.get_running_loop().create_future()
        self._service = service
        self._since = time.time()
        self._began_s = time.monotonic()

    def do_status(self):
        service = self._service
        return {
            "role": ACTIVE,
            "pid": os.getpid(),
            "version": __version__,
            "since": self._since,
            "uptime_s": int(time.monotonic() - self._began_s),
            **service.address,
            "groups": len(service.managers),
            "devices": len(service.registry.devices()),
            "connected": sum(service.kdc.presence.state(identity) == CONNECTED for identity in service.kdc.connected),
            "awake": sum(map(service.kdc.is_awake, service.registry.devices().values())),
            "silent": sum(service.kdc.presence.state(identity) == SILENT for identity in service.kdc.presence.known()),
            "problems": service.problems(),
            **({"backup": backup_at(service.registry.path)} if hasattr(service.registry, "path") else {}),
        }

    def do_stop(self):
        """End the process, after this answer."""
        if not self.ending.done():
            self.ending.set_result(None)
        return {"pid": os.getpid()}


class Watchdog:
    """Tells systemd in time that the process is alive, as long as alive() is called. A log of its own is kept small."""

    def __init__(self):
        self._log = OwnLog()
        self._period_s = sd_notify.watchdog_s()
        self._last_s = 0.0
        self._status = ""

    def alive(self, text):
        """Call it often. `text` describes the state."""
        self._log.keep_small()
        now_s = time.monotonic()
        if self._period_s is not None and now_s - self._last_s >= min(self._period_s, 1):
            self._last_s = now_s
            sd_notify.notify(sd_notify.ALIVE)
        if text != self._status:
            self._status = text
            sd_notify.notify(sd_notify.status(text))


def _summary(service, problems):
    """Return the status as one line for systemd."""
    groups, devices = counted(len(service.managers), "group"), counted(len(service.registry.devices()), "device")
    counts = f"{groups}, {devices}, {len(service.kdc.connected)} connected"
    return "; ".join([counts, *problems])


async def run(service, port, host, output, http, alerts=None):
    """Serve devices and commands until `stop`, or until this task is cancelled; raises CommandError if a part of it ends.

    `output` is a dashboard.Dashboard that was entered, `http` an http_server.HttpServer or None, `alerts` an alerts.Alerts or
    None.
    """
    requests = ProcessRequests(service)
    service.requests.append(requests)
    service.alerts = alerts
    try:
        await service.start(port, host)
    except OSError as error:
        ours = f" of {service.bind}" if service.bind else ""
        raise CommandError(f"cannot serve on UDP port {port}{ours}: {error.strerror or error}; choose another with --port", FAILED)
    try:
        output.begin(port, host)
        sd_notify.notify(sd_notify.READY, sd_notify.status(f"serving devices on UDP port {port}"))
        watchdog = Watchdog()
        while not requests.ending.done():
            troubles = service.troubles()
            try:
                for event in service.news():
                    output.happened(event)
                    if alerts:
                        alerts.add(event)
                output.refresh()
                problems = service.problems()
                if http:
                    http.update(service, problems)
                watchdog.alive(_summary(service, problems))
            except (RegistryError, CommandError) as error:  # such as a disk that fails for a moment
                troubles["the registry"] = error
                if http:
                    http.failed(f"the registry cannot be read: {error}")
                watchdog.alive(f"the registry cannot be read: {error}")
            if alerts and alerts.error:
                troubles["the alert command"] = alerts.error
            output.warn(troubles)
            await service.watch(_REFRESH_S, requests.ending)
    finally:
        sd_notify.notify(sd_notify.STOPPING)
        if alerts:
            alerts.close()
        service.close()
