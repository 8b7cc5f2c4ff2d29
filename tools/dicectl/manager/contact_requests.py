# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests of `dicectl provision contact`."""

import asyncio

from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager import contact
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.public_keys import RPK, PublicKey

FAILURES_MAX = 3  # attempts in which somebody may have guessed
FAILURES_S = 600  # within this time


class ContactRequests:
    """Executes requests on a service.ManagerService: do_X(...) is the request X; values are those of JSON."""

    def __init__(self, service, devices):
        """`devices` is the DeviceRequests of the same service."""
        self._service = service
        self._devices = devices
        self._contact = None
        self._name = None  # which the device is to have
        self._failures = []  # when attempts have failed that count

    def do_contact(self, name, groups, port, wait_s, dry_run=False):
        """Begin an attempt of first contact with a device that is to have this name, as do_provision() takes it.

        `dry_run`: check everything, and begin nothing.
        """
        self._note_end()
        if self._contact:
            raise CommandError("another first contact is under way: finish it, or end that command", USAGE)
        now_s = asyncio.get_running_loop().time()
        self._failures = [at for at in self._failures if now_s - at < FAILURES_S]
        if len(self._failures) >= FAILURES_MAX:
            wait_min = int((self._failures[0] + FAILURES_S - now_s) / 60) + 1
            said = f"{FAILURES_MAX} first contacts have failed in a row: somebody may be in between, with a guess each time"
            raise CommandError(f"{said}; provision this device by cable, or try again in {wait_min} min", FAILED)
        self._devices.check(name, groups)
        if dry_run:
            return {"port": port}
        registry = self._service.registry
        own = own_keys.fingerprint(own_keys.point(registry))

        def enrol(device):
            return self._devices.enrol(name, groups, PublicKey(RPK, device))

        def undo():
            self._devices.do_wipe(name)

        attempt = contact.Attempt(own, contact.random, enrol, undo)
        self._contact = contact.Contact(self._service, attempt, port, wait_s)
        self._contact.transport = self._service.contact_transport
        self._name = name
        self._contact.begin()
        return {"port": port, "fingerprint": own.hex()}

    def do_contact_state(self):
        """Return {"state", "code", "why", "address", "fingerprint", "settings"} of the attempt, the last time after its end."""
        found = self._contact
        if found is None:
            raise CommandError("no first contact is under way: dicectl provision contact", USAGE)
        attempt = found.attempt
        settings = attempt.settings if attempt.state == contact.DONE else None
        answer = {"state": attempt.state, "code": attempt.code, "why": attempt.why, "settings": settings}
        answer["address"] = found.address and list(found.address)[:2]
        answer["fingerprint"] = attempt.device and attempt.device.hex()
        self._note_end()
        return answer

    def do_contact_confirm(self, code):
        """Note that the operator has seen this code at the device."""
        if self._contact is None:
            raise CommandError("this first contact has ended: begin again", FAILED)
        self._contact.attempt.agree(code)
        return {}

    def do_contact_end(self, why):
        """End the attempt, if there is one."""
        if self._contact:
            self._contact.close(why)
            self._note_end()
        return {}

    def _note_end(self):
        """Forget an attempt that has ended, and log how; the log has no code."""
        attempt = self._contact and self._contact.attempt
        if attempt is None or attempt.state not in (contact.DONE, contact.FAILED):
            return
        registry, self._contact = self._service.registry, None
        if attempt.state == contact.DONE:
            self._failures = []
        elif attempt.counts():
            self._failures.append(asyncio.get_running_loop().time())
        device = {"fingerprint": attempt.device.hex()} if attempt.device else {}
        with registry.transaction():
            registry.log("contact", device=self._name, why=attempt.why or "done", **device)
