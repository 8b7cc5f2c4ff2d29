# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A running manager's figures for Prometheus, on loopback."""

import time

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily

from dicectl.errors import CommandError

_OF_A_GROUP = (
    ("members", "Members of the group", lambda shown: shown["members"]),
    ("senders", "Members that may send", lambda shown: shown["senders"]),
    ("epoch", "Present epoch", lambda shown: shown["epoch"]),
    ("epoch_active", "1 when the present epoch is in use, 0 while its keys are handed out", lambda shown: int(shown["active"])),
    ("epoch_age_seconds", "Since the present epoch began", lambda shown: max(0, time.time() - shown["since"])),
    ("unacknowledged", "Members that have not acknowledged the present epoch", lambda shown: len(shown["missing"])),
)


class Metrics:
    """Serves what take() was given last; the thread that serves touches nothing else."""

    def __init__(self, port):
        self._families = []
        registry = CollectorRegistry()
        registry.register(self)
        try:
            start_http_server(port, addr="127.0.0.1", registry=registry)
        except OSError as error:
            raise CommandError(f"cannot serve metrics on TCP port {port}: {error.strerror}; choose another with --metrics")

    def collect(self):
        """Return the figures; for prometheus_client."""
        return self._families

    def take(self, service):
        """Take the figures of a keeper.ManagerService."""
        groups = service.do({"do": "groups"})
        families = []
        for name, text, value in _OF_A_GROUP:
            family = GaugeMetricFamily(f"dice_group_{name}", text, labels=["group"])
            for shown in groups:
                family.add_metric([shown["name"]], value(shown))
            families.append(family)
        families.append(GaugeMetricFamily("dice_devices", "Devices in the registry", value=len(service.registry.devices())))
        families.append(GaugeMetricFamily("dice_sessions", "Devices that are connected", value=len(service.kdc.peers)))
        self._families = families
