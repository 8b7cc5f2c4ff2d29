# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The group manager: the members of a group, their ids, and its epochs; the sans-IO core of dice.aio.kdc.

A member is identified by the identity of its session, such as its PSK identity. The operator adds and removes members; a member
fetches its GSA, and receives the next one before it becomes active. docs/protocol.md, section 14, is normative.

A new epoch is prepared first: its keys are drawn, and its GSAs are delivered. It becomes active when all members have acknowledged
theirs, or when the wait for them times out. Then each sender gets a request to activate it, listeners activate it on the first
record in it, and a member that missed it fetches it. Every change is committed before it is visible to anybody, so a manager that
is killed continues where it was.
"""

from .._compat import const, ticks_add, ticks_diff
from .._typing import TYPING
from ..errors import LimitError, UsageError
from ..limits import ACKNOWLEDGE_EACH_MS, ACKNOWLEDGE_MS, EXPEL_MS, GRACE_MS, GROUP_EPOCH_MAX, KEY_RECORDS_MAX, SENDERS_MAX
from ..reasons import E_NO_ID, E_OPTION, E_SPENT
from ..suites import PSK_AES_128_CCM_8
from .gsa import DERIVE_SENDER, UNKNOWN, Gsa
from .gsa_encode import mul_id_of, sender_id_max, traffic_key

if TYPING:
    from collections.abc import Callable, Iterable

SENDER = "sender"
ANSWERING = "answering"  # a listener with an id of its own
LISTENER = "listener"

_TGK_BYTES = const(16)
_RAND_BYTES = const(16)
_SPENT_RECORDS = KEY_RECORDS_MAX // 4 * 3  # of one sender: then the next epoch begins


class MemberRecord:
    """A member, as the manager stores it."""

    def __init__(self, role, device_id, held=0, sent=0):
        self.role = role
        self.id = device_id  # SenderID or ListenerID in this epoch, or None
        self.held = held  # the latest epoch whose GSA it has acknowledged
        self.sent = sent  # the next sequence number that it sends, by its last report


class GroupState:
    """The persistent state of one group: plain values, so that it can be copied and stored.

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
        """Return a copy that can be changed."""
        other = GroupState(self.name, self.gid, self.address, self.port, self.layout, self.lifetime_s, self.suite)
        for name in ("epoch", "active", "grace_s", "tgk", "cs_id", "rand"):
            setattr(other, name, getattr(self, name))
        other.members = {i: MemberRecord(m.role, m.id, m.held, m.sent) for i, m in self.members.items()}
        return other


class Manager:
    """The manager of one group. `state` is its GroupState, which only the calls below change."""

    def __init__(
        self, state: GroupState, commit: "Callable[[GroupState], object]", random: "Callable[[int], bytes]", now: int
    ) -> None:
        """Continue with `state`; if its epoch was not active, the wait for acknowledgements starts again.

        * `commit(state)` stores a GroupState durably, or raises an exception, which the call that changed the state raises too;
          then nothing has changed.
        * `random(n)` returns n random bytes.
        * `now`: the time in ticks, here and in the other calls.
        """
        self.state = state
        self._commit = commit
        self._random = random
        self._due = None if state.active or not state.epoch else self._end_of_wait(state, now)

    def add(self, identities: "Iterable[bytes]", role: str, now: int) -> None:
        """Add members: SENDER, ANSWERING (a listener with an id) or LISTENER; the first two begin one new epoch.

        Raises UsageError for a device that is a member already, and if no id is free or there are 50 senders.
        """
        state = self.state.copy()
        for identity in identities:
            if identity in state.members or role not in (SENDER, ANSWERING, LISTENER):
                raise UsageError(E_OPTION)
            state.members[identity] = MemberRecord(role, None)
        if role != LISTENER or not state.epoch:
            self._begin(state, False)
        self._keep(state, now)

    def remove(self, identities: "Iterable[bytes]", now: int) -> None:
        """Expel members: begin an epoch with a new master key. Raises UsageError for a device that is not a member."""
        state = self.state.copy()
        for identity in identities:
            if identity not in state.members:
                raise UsageError(E_OPTION)
            del state.members[identity]
        self._begin(state, True)
        self._keep(state, now)

    def replace(self, identity: bytes, other: bytes, now: int) -> None:
        """Expel a member, and add `other` in its role, in one new epoch. Raises UsageError unless only the first is a member."""
        state = self.state.copy()
        if identity not in state.members or other in state.members:
            raise UsageError(E_OPTION)
        state.members[other] = MemberRecord(state.members.pop(identity).role, None)
        self._begin(state, True)
        self._keep(state, now)

    def rekey(self, now: int) -> None:
        """Begin a new epoch, with new keys. Raises LimitError after the last epoch, 65,535."""
        state = self.state.copy()
        self._begin(state, False)
        self._keep(state, now)

    def gsa(self, identity: bytes) -> "Gsa | None":
        """Return the Gsa of the current epoch for a member; None for others, and while the group has no sender.

        It is fresh until the member has acknowledged it: a device that loses its counters later must not start again at 0.
        """
        state = self.state
        member = state.members.get(identity)
        if member is None or not any(m.role == SENDER for m in state.members.values()):
            return None
        base = state.epoch << 48
        new = member.held < state.epoch
        senders = []
        for other in state.members.values():
            if other.role == SENDER:
                silent = not state.active or other.held < state.epoch  # it has not been asked to activate this epoch
                senders.append((other.id, base + other.sent if silent or other.sent else UNKNOWN))
        return Gsa(
            gid=state.gid,
            address=state.address,
            port=state.port,
            suite=state.suite,
            layout=state.layout,
            derive=DERIVE_SENDER,
            epoch=state.epoch,
            key=bytearray(traffic_key(state.tgk, mul_id_of(state.address), state.cs_id, state.rand)),
            own_id=member.id,
            own_next=base if member.role == SENDER else 0,
            lifetime_s=state.lifetime_s,
            budget=KEY_RECORDS_MAX,
            senders=senders,
            fresh=new,
        )

    def acknowledge(self, identity: bytes, epoch: int, now: int) -> bool:
        """Record that a member has stored the GSA of `epoch`; return whether the current epoch is active."""
        member = self.state.members.get(identity)
        if member is None or epoch != self.state.epoch:
            return False
        if member.held < epoch:
            state = self.state.copy()
            state.members[identity].held = epoch
            self._keep(state, now)
        if not self.state.active and not self.undelivered:
            self._activate(now)
        return self.state.active

    def report(self, identity: bytes, epoch: int, sent: int, clash: bool, now: int) -> None:
        """Record the report of a sender: its next sequence number, and whether another device uses its SenderID.

        A clash begins a new epoch, in which the sender has another id, and so does a key of which three quarters are used.
        """
        member = self.state.members.get(identity)
        if member is None or member.role != SENDER or epoch != self.state.epoch or not 0 <= sent <= KEY_RECORDS_MAX:
            return
        state = self.state.copy()
        state.members[identity].sent = max(member.sent, sent)
        if clash:
            state.members[identity].id = None
        if clash or sent >= _SPENT_RECORDS:
            self._begin(state, False)
        self._keep(state, now)

    @property
    def undelivered(self) -> "list[bytes]":
        """Identities of members that have not acknowledged the current epoch; listeners first, since they need its first record."""
        members = self.state.members
        missing = [identity for identity, member in members.items() if member.held < self.state.epoch]
        return [i for i in missing if members[i].role != SENDER] + [i for i in missing if members[i].role == SENDER]

    def deadline(self) -> "int | None":
        """Return the ticks at which timeout() must be called, or None."""
        return self._due

    def timeout(self, now: int) -> bool:
        """Activate the epoch if the wait for acknowledgements is over; return whether it is active."""
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self._activate(now)
        return self.state.active

    def _begin(self, state, expel):
        """Draw the keys and the ids of the next epoch."""
        if state.epoch == GROUP_EPOCH_MAX:
            raise LimitError(E_SPENT)
        state.epoch += 1
        state.active = False
        state.grace_s = 0 if expel else GRACE_MS // 1000
        if expel or not state.tgk:
            state.tgk = self._random(_TGK_BYTES)
        state.cs_id = self._random(4)
        state.rand = self._random(_RAND_BYTES)
        had = {member.id for member in self.state.members.values()}
        had.update([member.id for member in state.members.values()])
        free = iter([i for i in range(1, sender_id_max(state.layout) + 1) if i not in had])
        senders = 0
        for member in state.members.values():
            member.sent = 0
            senders += member.role == SENDER
            if member.role != LISTENER and member.id is None:
                member.id = next(free, None)
                if member.id is None:
                    raise UsageError(E_NO_ID)
        if senders > SENDERS_MAX:
            raise UsageError(E_NO_ID)

    def _activate(self, now):
        state = self.state.copy()
        state.active = True
        self._keep(state, now)

    def _keep(self, state, now):
        """Commit a change, and only then make it visible."""
        began = state.epoch != self.state.epoch
        self._commit(state)
        self.state = state
        if state.active:
            self._due = None
        elif began:
            self._due = self._end_of_wait(state, now)

    def _end_of_wait(self, state, now):
        wait_ms = (ACKNOWLEDGE_MS if state.grace_s else EXPEL_MS) + ACKNOWLEDGE_EACH_MS * len(state.members)
        return ticks_add(now, wait_ms)
