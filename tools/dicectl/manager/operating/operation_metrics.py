# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Metrics of a running manager for Prometheus about itself: is it well, who is active, its backup, and what its socket lost."""

import math
import time
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

_FIELD_OF_DROPS = 12  # in a line of /proc/net/udp
_OF_A_GROUP = (
    ("rekey_period_seconds", "Time between automatic re-keys; 0: on demand", lambda service, name: service.rekey_s[name]),
    ("lifetime_seconds", "Time after which keys expire; 0: never", lambda service, name: service.managers[name].state.lifetime_s),
)


def dropped(port, tables=("/proc/self/net/udp", "/proc/self/net/udp6")):
    """Return how many datagrams the kernel has dropped at the sockets of a UDP port, because their buffers were full; or None.

    It is known on Linux only.
    """
    found = None
    for path in tables:
        try:
            lines = Path(path).read_text().splitlines()[1:]
        except OSError:
            continue
        drops = [int(fields[_FIELD_OF_DROPS]) for fields in map(str.split, lines) if fields[1].endswith(f":{port:04X}")]
        found = (found or 0) + sum(drops)
    return found


class OperationMetrics:
    """Has the values of the last update() or standby(); http_server.HttpServer serves them."""

    def __init__(self, backup_at=None):
        """`backup_at()` returns the wall clock of the last backup, or None; without it, backups are not measured."""
        self._backup_at = backup_at
        self._write_error = None
        self._errors = 0
        self._families = self._about(0, True)

    def collect(self):
        """Return the metrics; for prometheus_client."""
        return self._families

    def standby(self, problems=()):
        """Note that another manager serves the devices."""
        self._families = self._about(len(problems), True)

    def update(self, service, problems=()):
        """Copy the values of a service.ManagerService, which serves devices."""
        families = self._about(len(problems), False)
        for name, text, value in _OF_A_GROUP:
            family = GaugeMetricFamily(f"dice_group_{name}", text, labels=["group"])
            for group in service.managers:
                family.add_metric([group], value(service, group))
            families.append(family)
        error = service.registry.write_error
        if error is not self._write_error:
            self._errors += error is not None
            self._write_error = error
        families.append(CounterMetricFamily("dice_registry_errors", "Failures of the registry to store", value=self._errors))
        families.append(CounterMetricFamily("dice_refused_hellos", "Handshakes that found no place", value=service.refused()))
        renewals = service.authorities.renewals
        for name, text, names in (
            ("expiring", "Devices whose certificate has less than a third of its time left", renewals.due),
            ("expired", "Devices whose certificate has expired", renewals.expired),
        ):
            families.append(GaugeMetricFamily(f"dice_certificates_{name}", text, value=len(names)))
        unsaid = service.alerts.lost if service.alerts else 0
        families.append(CounterMetricFamily("dice_alerts_lost", "Events that the alert command never took", value=unsaid))
        lost = dropped(service.address.get("port", 0))
        if lost is not None:
            families.append(CounterMetricFamily("dice_udp_dropped", "Datagrams that the full buffer lost", value=lost))
        self._families = families

    def _about(self, problems, is_standby):
        families = [
            GaugeMetricFamily("dice_problems", "Problems that manager status tells", value=problems),
            GaugeMetricFamily("dice_standby", "1 if another manager serves the devices, 0 if this one does", value=int(is_standby)),
        ]
        if self._backup_at:
            at = self._backup_at()
            age_s = math.inf if at is None else max(0.0, time.time() - at)
            text = "Time since the last backup of the registry; infinite if there is none"
            families.append(GaugeMetricFamily("dice_backup_age_seconds", text, value=age_s))
        return families
