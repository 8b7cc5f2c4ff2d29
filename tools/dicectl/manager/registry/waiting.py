# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Rows that wait to be written together with others: the newest of each member and session, and the entries of the log."""


class Waiting:
    """All that waits. It is bounded by the number of members and devices, as members acknowledge an epoch once."""

    def __init__(self):
        self.sessions = {}  # base.StoredSession, or None, by identity
        self.entries = []  # (at, event, group, device, detail)
        self.watchers = []  # functions to be called when all is written, or could not be
        self._members = {}  # MemberRecord by (group, identity)

    def __bool__(self):
        return bool(self.sessions or self.entries or self._members)

    def hold(self, group, members):
        """Note the MemberRecords, {identity: record}, of members that acknowledged an epoch."""
        self._members.update({(group, identity): record for identity, record in members.items()})

    def held(self):
        """Return a list of (group, identity, MemberRecord)."""
        return [(group, identity, record) for (group, identity), record in self._members.items()]

    def clear(self):
        """Forget all, because it is written."""
        self.sessions.clear()
        self.entries.clear()
        self._members.clear()
        self.tell()

    def tell(self):
        """Call those who wait for the attempt to write."""
        watchers, self.watchers = self.watchers, []
        for function in watchers:
            function()
