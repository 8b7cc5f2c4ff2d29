# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Events that an operator wants to be woken for: devices that are silent, or back, and re-keys that have failed.

They are printed and given to the alert command, and are no part of the audit log: that has decisions, and not observations.
"""

from dice.group.presence import SILENT
from dicectl.manager.presence import of_device
from dicectl.manager.presence_words import words
from dicectl.reasons import describe

SILENT_EVENT, BACK_EVENT, FAILED_EVENT = "silent", "back", "re-key failed"


class News:
    """take() returns what has happened on a service.ManagerService since the last call."""

    def __init__(self, service):
        self._service = service
        self._errors = {}  # the last one of each group

    def take(self):
        """Return events: dicts with "event", "at", "text", and "device" with its state and groups, or "group" and "error"."""
        return [*self._devices(), *self._failures()]

    def _devices(self):
        service = self._service
        for identity, state in service.kdc.presence.news():
            name = service.registry.name(identity)
            about = of_device(service.kdc, identity)
            event = SILENT_EVENT if state == SILENT else BACK_EVENT
            text = f"{name} is {words(about) if event == SILENT_EVENT else 'back'}"
            groups = list(service.groups_of(identity))
            yield {"event": event, "at": service.registry.now(), "text": text, "device": name, "groups": groups, **about}

    def _failures(self):
        service = self._service
        for name in service.managers:
            error = service.rekey_errors.get(name) or service.kdc.errors().get(name)
            if error and error is not self._errors.get(name):
                text = f"the re-key of {name} has failed: {describe(error)}"
                yield {"event": FAILED_EVENT, "at": service.registry.now(), "text": text, "group": name, "error": describe(error)}
            self._errors[name] = error
