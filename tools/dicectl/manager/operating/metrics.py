# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Metrics of a running manager for Prometheus."""

import threading
import time

from prometheus_client.core import GaugeMetricFamily

from dice.aio.wait import now
from dice.group.manager import SENDER
from dice.group.presence import CONNECTED, SILENT

_FRESH_S = 1.0  # values of this age are given out as they are
_WAIT_S = 3.0  # for new ones: the manager's loop comes by twice a second
_OF_A_GROUP = (
    ("dice_group_members", "Members of the group"),
    ("dice_group_senders", "Members that may send"),
    ("dice_group_epoch", "Current epoch"),
    ("dice_group_epoch_active", "1 if the current epoch is in use, 0 while its keys are delivered"),
    ("dice_group_epoch_age_seconds", "Time since the current epoch began"),
    ("dice_group_unacknowledged", "Members that have not acknowledged the current epoch"),
    ("dice_group_awaited", "Members that are awake and have not entered the current epoch: it is in use when there is none"),
    ("dice_group_epochs_behind", "Epochs that members are ahead of the registry, which is an old copy then"),
    ("dice_members_awake", "Members that are connected, or called back after a start of the manager"),
    ("dice_members_silent", "Members that have missed a report or not answered"),
)


class _Group:
    """The values of one group at one time: `values` are those of _OF_A_GROUP, `heard` is [(device, seconds)]."""

    def __init__(self, service, manager):
        state, presence, ticks = manager.state, service.kdc.presence, now()
        self.name = state.name
        self.heard = []
        silent = 0
        for identity in state.members:
            seen = presence.find(identity, ticks)
            silent += seen.state == SILENT
            if seen.heard_s is not None:
                self.heard.append((service.registry.name(identity), seen.heard_s))
        self.values = (
            len(state.members),
            sum(member.role == SENDER for member in state.members.values()),
            state.epoch,
            int(state.active),
            max(0, time.time() - service.registry.since(state.name)),
            sum(member.held < state.epoch for member in state.members.values()),
            len(service.kdc.awaited(state.name)),
            max([0, *(1 + epoch - state.epoch for epoch in manager.rollback.ahead.values())]),
            sum(map(service.kdc.is_awake, state.members)),
            silent,
        )


class Metrics:
    """Has the values of the last update(); http_server.HttpServer serves them.

    update() costs next to nothing as long as nobody asks: collect(), in a thread of the server, waits for new values.
    """

    def __init__(self):
        self._values = ([], 0, 0)  # groups, devices, sessions
        self._updated_s = None
        self._wanted = threading.Event()
        self._fresh = threading.Event()

    def collect(self):
        """Return the metrics; for prometheus_client."""
        if self._updated_s is not None and time.monotonic() - self._updated_s > _FRESH_S:  # None: a standby has no values
            self._fresh.clear()
            self._wanted.set()
            self._fresh.wait(_WAIT_S)
        groups, devices, sessions = self._values
        families = []
        for number, (name, text) in enumerate(_OF_A_GROUP):
            family = GaugeMetricFamily(name, text, labels=["group"])
            for group in groups:
                family.add_metric([group.name], group.values[number])
            families.append(family)
        heard = GaugeMetricFamily("dice_member_last_heard_seconds", "Time since a member was there", labels=["group", "device"])
        for group in groups:
            for device, seconds in group.heard:
                heard.add_metric([group.name, device], seconds)
        families.append(heard)
        families.append(GaugeMetricFamily("dice_devices", "Devices in the registry", value=devices))
        families.append(GaugeMetricFamily("dice_sessions", "Devices that are connected", value=sessions))
        return families

    def update(self, service):
        """Copy the values of a service.ManagerService, if somebody waits for them."""
        if self._updated_s is not None and not self._wanted.is_set():
            return
        self._wanted.clear()
        presence = service.kdc.presence
        sessions = sum(presence.state(identity) == CONNECTED for identity in service.kdc.connected)
        groups = [_Group(service, manager) for manager in service.managers.values()]
        self._values = groups, len(service.registry.devices()), sessions
        self._updated_s = time.monotonic()
        self._fresh.set()
