# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The group manager: the members of a group, their ids, and its epochs; the sans-IO core of dice.aio.kdc.

A member is identified by the identity of its session, such as its PSK identity. The operator adds and removes members; a member
fetches its GSA, and receives the next one before it becomes active. docs/protocol.md, section 14, is normative.

A new epoch is prepared first: its keys are drawn, and its GSAs are delivered. It becomes active when all members have acknowledged
theirs, or when the wait for them times out. Then every member is asked to enter it, and a member that missed it fetches it. It is
in use when all members have entered it. Every change is committed before it is visible to anybody, so a manager that is killed
continues where it was; what it knew of sequence numbers and of who has entered what, it learns anew from the reports.
"""

from .._compat import const, ticks_add, ticks_diff
from .._typing import TYPING
from ..errors import UsageError
from ..limits import (
    ACKNOWLEDGE_EACH_MS,
    ACKNOWLEDGE_MS,
    DELIVERY_PACE_MS,
    EXPEL_MS,
    EXPEL_PACE_MS,
    FORGED_MAX,
    FORGED_SHORT_TAG_MAX,
    GRACE_MS,
    GROUP_EPOCH_MAX,
    KEY_RECORDS_MAX,
    OPERATOR_EPOCHS,
    PENDING_EXPEL_MS,
    PENDING_MS,
    SENDER_HEARD_MS,
)
from ..reasons import E_OPTION
from ..suites import SUITES
from .device_ids import assign_ids
from .group_state import Change, GroupState, MemberRecord
from .gsa import DERIVE_SENDER, UNKNOWN, Gsa
from .gsa_encode import mul_id_of, traffic_key
from .progress import Progress
from .ration import Ration, expire
from .rollback import Rollback

if TYPING:
    from collections.abc import Callable, Container, Iterable
    from typing import Any

SENDER = "sender"
ANSWERING = "answering"  # a listener with an id of its own
LISTENER = "listener"

_TGK_BYTES = const(16)
_RAND_BYTES = const(16)
_GID_BYTES = const(4)
_SPENT_RECORDS = KEY_RECORDS_MAX // 4 * 3  # of one sender: then the next epoch begins
_FORGED = const(1)  # causes of automatic epochs that are those of no member, because anybody can bring them about,
_RETURNED = const(2)  # or because all members may, whenever they wake
_SHORT_TAG_OVERHEAD = const(29)  # of a record with a tag of 8 bytes


class Manager:
    """The manager of one group. `state` is its GroupState, which only the calls below change; `rollback` is a rollback.Rollback.

    `connected`: a container of the identities that have a session, or None, which stands for everybody. Without a session, how far
    a sender has sent is not known.
    """

    def __init__(
        self,
        state: GroupState,
        commit: "Callable[[GroupState, Change], object]",
        random: "Callable[[int], bytes]",
        now: int,
        pace_ms: int = DELIVERY_PACE_MS,
        expel_pace_ms: int = EXPEL_PACE_MS,
    ) -> None:
        """Continue with `state`; if its epoch was not active, the wait for acknowledgements starts again.

        * `commit(state, change)` stores a group_state.Change of `state`, which has not changed yet, durably, or raises an
          exception, which the call that changes the state raises too; then nothing has changed.
        * `random(n)` returns n random bytes; `now`: the time in ticks, here and in the other calls.
        * `pace_ms`: between deliveries to two members, at most 50; `expel_pace_ms`: the same while some may obey the expelled.
        """
        self._paces_ms = expel_pace_ms, pace_ms
        self.connected: Container[bytes] | None = None
        self.state = state
        self._commit = commit
        self._random = random
        self._due: int | None = None  # the end of the wait for acknowledgements
        self.progress = Progress(SENDER)
        self.added: list[bytes] = []  # without a new epoch; for who delivers, and empties it
        self._expelled = 0  # members that may still be in an epoch before this one may obey somebody who was expelled
        self._heard: dict[bytes, int] = {}  # until when the number that a sender has reported in this epoch is good
        self._pending: dict[bytes, int] = {}  # until when a sender that was given this epoch is expected to report
        self._clashed: set[bytes] = set()  # members that get another id in the next epoch; how far others send as them is unknown
        self._ration = Ration(bool(state.epoch))
        self.rollback = Rollback()
        self.restore(state, now)

    def restore(self, state: GroupState, now: int) -> None:
        """Continue with `state`, an earlier one that is durable, as after a restart."""
        self.state = state
        self.progress.begin(state)
        self._due = None if state.active or not state.epoch else self._end_of_wait(state.grace_s, len(state.members), now)
        self._expelled = max(self._expelled, state.epoch)
        self._heard = {}
        self._pending = {}
        self._clashed = set()

    def add(self, identities: "Iterable[bytes]", role: str, now: int) -> None:
        """Add members: SENDER, ANSWERING (a listener with an id) or LISTENER; the first two begin one new epoch.

        Raises UsageError for a device that is a member already, and if no id is free or there are 50 senders.
        """
        change = Change()
        for identity in identities:
            if identity in self.state.members or identity in change.members or role not in (SENDER, ANSWERING, LISTENER):
                raise UsageError(E_OPTION)
            change.members[identity] = MemberRecord(role, None)
        if role != LISTENER or not self.state.epoch:
            self.begin(change, now)
        else:
            self._keep(change)
            self.added += list(change.members)

    def remove(self, identities: "Iterable[bytes]", now: int) -> None:
        """Expel members: begin an epoch with a new master key. Raises UsageError for a device that is not a member."""
        change = Change()
        for identity in identities:
            if identity not in self.state.members or identity in change.members:
                raise UsageError(E_OPTION)
            change.members[identity] = None
        self.begin(change, now, True)

    def replace(self, identity: bytes, other: bytes, now: int) -> None:
        """Expel a member, and add `other` in its role, in one new epoch. Raises UsageError unless only the first is a member."""
        members = self.state.members
        if identity not in members or other in members:
            raise UsageError(E_OPTION)
        change = Change()
        change.members = {identity: None, other: MemberRecord(members[identity].role, None)}
        self.begin(change, now, True)

    def rekey(self, now: int) -> None:
        """Begin a new epoch, with new keys. After the last epoch, 65,535, it is epoch 1 of another group id."""
        self.begin(Change(), now)

    def fetch(self, identity: bytes, now: int) -> "Gsa | None":
        """Return gsa(identity) for a member that gets it now.

        If it has not held this epoch, and the number of some sender is unknown, an attacker could replay that sender's recorded
        messages to it. So an epoch in which nobody has sent begins for it first, if that is not too often.
        """
        member = self.state.members.get(identity)
        first = member is not None and member.role == SENDER and member.offered != self.state.epoch
        gsa = self.gsa(identity)
        if first:
            self._expect_report(identity, now)
        if not gsa or not gsa.fresh or UNKNOWN not in dict(gsa.senders).values():
            return gsa
        if self._automatic(_RETURNED if self.state.members[identity].held else identity, now):
            self.begin(Change(), now)
        return self.gsa(identity)

    def pending(self, identity: bytes) -> bool:
        """Return whether a member had better fetch the epoch some moments later, when all senders that have it have reported."""
        return identity in self.progress.undelivered and self.unreported() not in ([], [identity])

    def unreported(self) -> "list[bytes]":
        """Senders for whose report others wait."""
        return [i for i in self._pending if i not in self._heard and self._has_session(i)]

    def gsa(self, identity: bytes) -> "Gsa | None":
        """Return the Gsa of the current epoch for a member; None for others. A sender may have it from now on: that is committed.

        It is fresh until the member has acknowledged it: a device that loses its counters later must not start again at 0.
        """
        member = self.state.members.get(identity)
        if member is None:
            return None
        if member.role == SENDER and member.offered != self.state.epoch:
            member = self._change(identity, "offered", self.state.epoch)
        state = self.state
        base = state.epoch << 48
        senders = []
        for other in self.progress.senders:
            record = state.members[other]
            heard = other in self._heard and other not in self._clashed and self._has_session(other)
            known = other == identity or record.offered < state.epoch or heard
            senders.append((record.id, base + record.sent if known else UNKNOWN))
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
            fresh=member.held < state.epoch,
        )

    def grace_s(self, identity: bytes) -> int:
        """Return for how many s a member that enters the current epoch still receives in the one before.

        0 if that may be an epoch in which somebody sends who was expelled since, also where other epochs came in between.
        """
        return 0 if self.progress.entered.get(identity, 0) < self._expelled else GRACE_MS // 1000

    def pace_ms(self) -> int:
        """Return the time in ms between the deliveries to two members."""
        return self._paces_ms[self.state.grace_s > 0]

    def acknowledge(self, identity: bytes, epoch: int, now: int) -> bool:
        """Record that a member has stored the GSA of `epoch`; return whether the current epoch is active."""
        member = self.state.members.get(identity)
        if member is None or epoch != self.state.epoch:
            return False
        if member.held < epoch:
            self._change(identity, "held", epoch)
        if not self.state.active and not self.progress.undelivered:
            self._activate()
        return self.state.active

    def entered(self, identity: bytes, epoch: int) -> None:
        """Note that a member has entered `epoch`: it obeys nobody any more who was expelled before."""
        if identity in self.state.members and epoch == self.state.epoch:
            self.progress.enter(identity, epoch)

    def reconnected(self, identity: bytes) -> None:
        """Note that a member has a new session: how far it has sent is unknown until it reports over it."""
        self._heard.pop(identity, None)

    def report(
        self,
        identity: bytes,
        epoch: int,
        sent: int,
        clash: bool,
        now: int,
        forged: int = 0,
        entered: bool = False,
        conflict: bool = False,
    ) -> None:
        """Record the report of a member, which acknowledges `epoch`.

        * `sent`: the sequence number of the next record of a sender; not committed, because a member reports as often as it likes.
        * `clash`: another device sends with its SenderID, how far is unknown; it gets another id in the next epoch, if one is free.
        * `forged`: the most records that did not verify under one key of this epoch.
        * `entered`: whether the member has entered the epoch.
        * `conflict`: the member has another key of this epoch.

        A later epoch than ours, or a conflict, begins a new epoch (dice.group.rollback). So do a clash, a key of which three
        quarters are used, and too many forged records, but not often.
        """
        if identity in self.state.members:
            self.rollback.note(identity, epoch, conflict, self.state.epoch)
            self._catch_up(now)
        if identity not in self.state.members or epoch != self.state.epoch or conflict or not 0 <= sent <= KEY_RECORDS_MAX:
            return
        self.acknowledge(identity, epoch, now)
        if entered:
            self.entered(identity, epoch)
        cause: Any = _FORGED
        due = forged >= (FORGED_SHORT_TAG_MAX if SUITES[self.state.suite].overhead == _SHORT_TAG_OVERHEAD else FORGED_MAX)
        if self.state.members[identity].role == SENDER:
            self._heard[identity] = ticks_add(now, SENDER_HEARD_MS)
            if sent > self.state.members[identity].sent:
                self.state.members[identity] = member = self.state.members[identity].copy()
                member.sent = sent
            if clash:
                self._clashed.add(identity)
            if clash or sent >= _SPENT_RECORDS:
                cause, due = identity, True
        if due and self._automatic(cause, now):
            self.begin(Change(), now)

    @property
    def undelivered(self) -> "list[bytes]":
        """Identities of members that have not acknowledged the current epoch.

        Listeners first: before a sender has the epoch, how far it has sent is known. Then those that the expelled may reach.
        """
        members = self.state.members
        return sorted(self.progress.undelivered, key=lambda i: (members[i].role == SENDER, self.grace_s(i)))

    @property
    def not_activated(self) -> "list[bytes]":
        """Identities of members that are not known to have entered the current epoch.

        Those first that the expelled may reach; then senders, since others follow their first record.
        """
        members = self.state.members
        return sorted(self.progress.not_entered, key=lambda i: (self.grace_s(i), members[i].role != SENDER))

    def deadline(self) -> "int | None":
        """Return the ticks at which timeout() must be called, or None."""
        soonest = self._due
        for due in self._ration.dues() + self.rollback.dues() + list(self._heard.values()) + list(self._pending.values()):
            if due is not None and (soonest is None or ticks_diff(due, soonest) < 0):
                soonest = due
        return soonest

    def timeout(self, now: int) -> bool:
        """Activate the epoch if the wait for acknowledgements is over; return whether it is active."""
        expire(self._heard, now)
        expire(self._pending, now)
        self._ration.timeout(now)
        self._catch_up(now)
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self._activate()
        return self.state.active

    def settle(self, is_awake: "Callable[[bytes], bool]") -> None:
        """Activate the epoch if all members that are awake have acknowledged it; `is_awake(identity)` tells who is."""
        if self._due is not None and not self.progress.is_awaited(is_awake) and any(map(is_awake, self.state.members)):
            self._activate()

    def _has_session(self, identity):
        return self.connected is None or identity in self.connected

    def _expect_report(self, identity, now):
        """Let the others wait for the report of a sender, once in an epoch; an expulsion waits at its beginning only."""
        until = ticks_add(now, PENDING_MS)
        if not self.state.grace_s:
            if self._due is None:
                return
            latest = ticks_add(self._due, PENDING_EXPEL_MS - EXPEL_MS - self._paces_ms[0] * len(self.state.members))
            if ticks_diff(latest, until) < 0:
                until = latest
        self._pending[identity] = until

    def _catch_up(self, now):
        """Begin an epoch that all members accept, if some are ahead."""
        if self.rollback.take(self.state.epoch, self.state.members, now):
            self.begin(Change(), now, True)

    def _automatic(self, cause, now):
        """Return whether an epoch may begin now that the operator has not asked for. The last epochs are the operator's."""
        return self.state.active and self.state.epoch < GROUP_EPOCH_MAX - OPERATOR_EPOCHS and self._ration.take(cause, now)

    def begin(self, change: Change, now: int, expel: bool = False) -> None:
        """Begin the next epoch, after a Change: draw its keys and ids. `expel`: with a new master key, and no time of grace."""
        state = self.state.copy()
        state.apply(change)
        urgent = [1 for i in self.state.members if not self.grace_s(i)]  # the expelled may still reach these
        if state.epoch == GROUP_EPOCH_MAX:  # epochs never go back: another group id, which members take from their manager alone
            state.epoch = 0
            change.fields["gid"] = self._random(_GID_BYTES)
        change.fields["epoch"] = epoch = self.rollback.base(state.epoch, state.members) + 1
        change.fields["active"] = False
        change.fields["grace_s"] = 0 if expel or urgent else GRACE_MS // 1000
        if expel or not state.tgk or epoch == 1:
            change.fields["tgk"] = self._random(_TGK_BYTES)
        change.fields["cs_id"] = self._random(4)
        change.fields["rand"] = self._random(_RAND_BYTES)
        assign_ids(state, change, {member.id for member in self.state.members.values()}, self._clashed, SENDER, LISTENER)
        due = self._due
        if due is None or self.state.grace_s:  # an expulsion waits once
            due = self._end_of_wait(change.fields["grace_s"], len(state.members), now)
        self._keep(change)
        if epoch == 1:
            self.progress.entered = {}
            self._expelled = 0
        self._due = due
        self._heard = {}
        self._pending = {}
        self._clashed = set()
        if expel:
            self._expelled = epoch
        self.progress.begin(self.state)

    def _activate(self):
        change = Change()
        change.fields["active"] = True
        self._keep(change)
        self._due = None

    def _change(self, identity, name, value):
        """Commit a member with another value; return its record."""
        change = Change()
        change.members[identity] = member = self.state.members[identity].copy()
        setattr(member, name, value)
        self._keep(change)
        return member

    def _keep(self, change):
        """Commit a change, and only then make it visible."""
        self._commit(self.state, change)
        self.state.apply(change)
        for identity in change.members:
            self.progress.note(self.state, identity)

    def _end_of_wait(self, grace_s, members, now):
        wait_ms = ACKNOWLEDGE_MS + ACKNOWLEDGE_EACH_MS * members if grace_s else EXPEL_MS + self._paces_ms[0] * members
        return ticks_add(now, wait_ms)
