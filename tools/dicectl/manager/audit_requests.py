# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests of commands about the audit log of a running manager, which alone may write it."""

from dicectl.manager.registry.retention import CHUNK, keep


class AuditRequests:
    """Executes requests on a service.ManagerService: do_X(...) is the request X; values are those of JSON."""

    def __init__(self, service):
        self._service = service

    def do_prune(self, before):
        """Delete some of the entries from before a time; return how many, and whether there may be more."""
        count = self._service.registry.prune(before, limit=CHUNK)
        return {"pruned": count, "more": count == CHUNK}

    def do_audit_keep(self, keep_s):
        """Set how long entries are kept, 0 forever."""
        keep(self._service.registry, keep_s)
        return {"keep_s": keep_s}
