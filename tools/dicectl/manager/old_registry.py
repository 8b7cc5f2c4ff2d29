# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A registry that is an older copy, because it was restored, or as its members report: what the manager does, and what it says.

All that happened since the copy was made is lost. Devices that were expelled are members again, so the operator must expel them
again. Devices that were added are unknown.
"""

import contextlib

from dice.aio.wait import now
from dice.group.group_state import Change
from dicectl.manager.registry.base import RegistryError

ADVICE = "devices that were expelled since it was made are members again: look at dicectl group members, and expel them again"


def begin(service):
    """At a start: give all groups of a registry that was restored new keys, before anybody gets any."""
    registry = service.registry
    if not registry.restored:
        return
    with service.together():
        registry.log("restored")
        for manager in service.managers.values():
            if manager.state.epoch:
                manager.begin(Change(), now(), True)
    registry.settled()
    service.old[None] = f"the registry is a copy that was restored; {ADVICE}"


def look(service):
    """Note what members have reported since the last call."""
    for name, manager in service.managers.items():
        found, manager.rollback.last = manager.rollback.last, None
        if found is None:
            continue
        identity, reported, own = found
        device = service.registry.name(identity)
        is_new = name not in service.old
        service.old[name] = f"{_report(device, reported, name)} was at {own}: it is an old copy; {ADVICE}"
        if is_new:
            with contextlib.suppress(RegistryError):
                service.registry.log("old registry", name, device, reported=reported, epoch=own)


def problems(service):
    """Return sentences about groups whose members do not take the keys of this registry."""
    found = []
    for name, manager in service.managers.items():
        for identity, epoch in list(manager.rollback.ahead.items())[:1]:
            device = service.registry.name(identity)
            found.append(f"{_report(device, epoch, name)} is at {manager.state.epoch}: it is an old copy")
    return found


def _report(device, epoch, group):
    return f"{device} reports epoch {epoch} of {group}, and this registry"


def warnings(service, group):
    """Return what to tell about a group as long as this process runs."""
    look(service)
    return [service.old[name] for name in (None, group) if name in service.old]
