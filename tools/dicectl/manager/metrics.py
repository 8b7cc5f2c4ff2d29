# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Metrics of a running manager for Prometheus."""

import time

from prometheus_client.core import GaugeMetricFamily

_OF_A_GROUP = (
    ("members", "Members of the group", lambda shown: shown["members"]),
    ("senders", "Members that may send", lambda shown: shown["senders"]),
    ("epoch", "Current epoch", lambda shown: shown["epoch"]),
    ("epoch_active", "1 if the current epoch is in use, 0 while its keys are delivered", lambda shown: int(shown["active"])),
    ("epoch_age_seconds", "Time since the current epoch began", lambda shown: max(0, time.time() - shown["since"])),
    ("unacknowledged", "Members that have not acknowledged the current epoch", lambda shown: len(shown["missing"])),
)


class Metrics:
    """Has the values of the last update(); http_server.HttpServer serves them."""

    def __init__(self):
        self._families = []

    def collect(self):
        """Return the metrics; for prometheus_client."""
        return self._families

    def update(self, service):
        """Copy the values of a service.ManagerService."""
        groups = service.do({"do": "groups"})
        families = []
        for name, text, value in _OF_A_GROUP:
            family = GaugeMetricFamily(f"dice_group_{name}", text, labels=["group"])
            for shown in groups:
                family.add_metric([shown["name"]], value(shown))
            families.append(family)
        families.append(GaugeMetricFamily("dice_devices", "Devices in the registry", value=len(service.registry.devices())))
        families.append(GaugeMetricFamily("dice_sessions", "Devices that are connected", value=len(service.kdc.connected)))
        self._families = families
