# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The persistent state of a group manager: a group and its members."""

from ..limits import GRACE_MS
from ..suites import PSK_AES_128_CCM_8


class MemberRecord:
    """A member, as the manager stores it. It is never changed: a member that changes gets another record."""

    def __init__(self, role, device_id, held=0, sent=0, offered=0):
        self.role = role
        self.id = device_id  # SenderID or ListenerID in this epoch, or None
        self.held = held  # the latest epoch whose GSA it has acknowledged
        self.sent = sent  # the next sequence number that it sends, by its last report
        self.offered = offered  # of a sender: the latest epoch whose GSA it may have

    def copy(self):
        """Return another record with the same values."""
        return MemberRecord(self.role, self.id, self.held, self.sent, self.offered)


class Change:
    """A change of a GroupState: `fields` {name: value}, and `members` {identity: MemberRecord, or None if it is removed}."""

    def __init__(self):
        self.fields = {}
        self.members = {}


class GroupState:
    """The persistent state of one group: plain values, so that it can be stored by the row.

    `epoch` is 0, and there are no keys, before the first member is added. `active`: whether the epoch is in use. `members` is
    {identity: MemberRecord}.
    """

    def __init__(
        self, name: str, gid: bytes, address: bytes, port: int, layout: int, lifetime_s: int = 0, suite: int = PSK_AES_128_CCM_8
    ) -> None:
        """A new group.

        * `gid`: the group id, 4 random bytes; `address` and `port`: its multicast address, 4 or 16 bytes, and UDP port.
        * `layout`: K08 or D00 of dice.group.gsa, how sequence numbers contain SenderIDs (docs/protocol.md, section 2).
        * `lifetime_s`: the time in s after which the keys of an epoch expire, 0 for never.
        * `suite`: the code point of a cipher suite in dice.suites.SUITES.
        """
        self.name = name
        self.gid = gid
        self.address = address
        self.port = port
        self.layout = layout
        self.lifetime_s = lifetime_s
        self.suite = suite
        self.epoch = 0
        self.active = False
        self.grace_s = GRACE_MS // 1000  # how long members still receive the previous epoch; 0 after an expulsion
        self.tgk = self.cs_id = self.rand = b""
        self.members = {}  # MemberRecord by identity

    def copy(self):
        """Return a copy, to which changes can be applied. It shares the records of members, which never change."""
        other = GroupState(self.name, self.gid, self.address, self.port, self.layout, self.lifetime_s, self.suite)
        for name in ("epoch", "active", "grace_s", "tgk", "cs_id", "rand"):
            setattr(other, name, getattr(self, name))
        other.members = dict(self.members)
        return other

    def apply(self, change):
        """Make a Change; new members come last."""
        for name, value in change.fields.items():
            setattr(self, name, value)
        for identity, member in change.members.items():
            if member:
                self.members[identity] = member
            else:
                del self.members[identity]
