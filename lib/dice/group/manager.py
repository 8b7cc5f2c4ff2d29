# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The keeper of a group: who is in it, with which id and in which epoch; the sans-IO core of a manager.

A member is known by the identity of its session, such as its PSK identity. The operator adds and removes members; a device that is
one of them fetches its GSA, and is sent the next one before it counts. docs/protocol.md section 14 is normative.

A new epoch is prepared first: its keys are drawn and every member is to be given its GSA. It becomes active once all have
acknowledged theirs, or the wait for them is over: then senders are told to go on, listeners follow the first of them, and who
missed it fetches it. Every change is committed before anybody can learn of it, so a manager that is killed goes on where it was.
"""

from .._compat import const, ticks_add, ticks_diff
from ..errors import LimitError, UsageError
from ..limits import ACKNOWLEDGE_EACH_MS, ACKNOWLEDGE_MS, EXPEL_MS, GRACE_MS, GROUP_EPOCH_MAX, KEY_RECORDS_MAX, SENDERS_MAX
from ..reasons import E_NO_ID, E_OPTION, E_SPENT
from ..suites import PSK_AES_128_CCM_8
from .gsa import DERIVE_SENDER, UNKNOWN, Gsa
from .gsa_encode import sender_id_max, traffic_key

SENDER = "sender"
ANSWERING = "answering"  # a listener with an id of its own
LISTENER = "listener"

_TGK_BYTES = const(16)
_RAND_BYTES = const(16)
_SPENT_RECORDS = KEY_RECORDS_MAX // 4 * 3  # of one sender: then the next epoch begins


class MemberRecord:
    """A member as the manager knows it."""

    def __init__(self, role, device_id, held=0, sent=0):
        self.role = role
        self.id = device_id  # SenderID or ListenerID in this epoch, or None
        self.held = held  # the latest epoch whose GSA it has acknowledged
        self.sent = sent  # sequence number that it will send next, as far as it told


class GroupState:
    """All that a manager must not forget of one group: plain values, so that they can be copied and kept."""

    def __init__(self, name, gid, address, port, layout, lifetime_s=0):
        """`gid` and `address` have 4 bytes. There are no keys before the first epoch begins."""
        self.name = name
        self.gid = gid
        self.address = address
        self.port = port
        self.layout = layout
        self.lifetime_s = lifetime_s
        self.epoch = 0
        self.active = False
        self.grace_s = GRACE_MS // 1000  # how long members still read the epoch before; not at all once somebody was expelled
        self.tgk = self.cs_id = self.rand = b""
        self.members = {}  # MemberRecord by identity

    def copy(self):
        """Return one that can be changed without changing this."""
        other = GroupState(self.name, self.gid, self.address, self.port, self.layout, self.lifetime_s)
        for name in ("epoch", "active", "grace_s", "tgk", "cs_id", "rand"):
            setattr(other, name, getattr(self, name))
        other.members = {i: MemberRecord(m.role, m.id, m.held, m.sent) for i, m in self.members.items()}
        return other


class Manager:
    """One group's keeper.

    `commit(roster)` makes a GroupState durable before it returns, or raises: then nothing has changed. `random(n)` returns n random
    bytes. `undelivered` has the identities whose acknowledgement of the present epoch is missing.
    """

    def __init__(self, state, commit, random, now):
        """Go on with `roster`; one that was interrupted before its epoch was active waits for acknowledgements anew."""
        self.state = state
        self._commit = commit
        self._random = random
        self._due = None if state.active or not state.epoch else self._end_of_wait(state, now)

    def add(self, identities, role, now):
        """Let devices in, a list of bytes, all in one new epoch where it needs one: listeners without an id do not.

        Raises UsageError for one that is in already and where ids or senders have run out.
        """
        state = self.state.copy()
        for identity in identities:
            if identity in state.members or role not in (SENDER, ANSWERING, LISTENER):
                raise UsageError(E_OPTION)
            state.members[identity] = MemberRecord(role, None)
        if role != LISTENER or not state.epoch:
            self._begin(state, False)
        self._keep(state, now)

    def remove(self, identities, now):
        """Expel devices, in a new epoch under a new master key; raises UsageError for one that is not in."""
        state = self.state.copy()
        for identity in identities:
            if identity not in state.members:
                raise UsageError(E_OPTION)
            del state.members[identity]
        self._begin(state, True)
        self._keep(state, now)

    def replace(self, identity, other, now):
        """Expel a device and give `other` its place, in one new epoch; raises UsageError unless it alone is in."""
        state = self.state.copy()
        if identity not in state.members or other in state.members:
            raise UsageError(E_OPTION)
        state.members[other] = MemberRecord(state.members.pop(identity).role, None)
        self._begin(state, True)
        self._keep(state, now)

    def rekey(self, now):
        """Begin a new epoch with new keys."""
        state = self.state.copy()
        self._begin(state, False)
        self._keep(state, now)

    def gsa(self, identity):
        """Return the Gsa of the present epoch for a member, or None for anybody else.

        Its numbers are news until the member has acknowledged it: a device that lost its counters since must not begin anew.
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
                silent = not state.active or other.held < state.epoch  # it has not been told to send in this epoch
                senders.append((other.id, base + other.sent if silent or other.sent else UNKNOWN))
        mul_id = bytes(10) + b"\xff\xff" + state.address
        return Gsa(
            gid=state.gid,
            address=state.address,
            port=state.port,
            suite=PSK_AES_128_CCM_8,
            layout=state.layout,
            derive=DERIVE_SENDER,
            epoch=state.epoch,
            key=bytearray(traffic_key(state.tgk, mul_id, state.cs_id, state.rand)),
            own_id=member.id,
            own_next=base if member.role == SENDER else 0,
            lifetime_s=state.lifetime_s,
            budget=KEY_RECORDS_MAX,
            senders=senders,
            fresh=new,
        )

    def acknowledge(self, identity, epoch, now):
        """Note that a member has stored the GSA of `epoch`; return whether the epoch is active now."""
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

    def report(self, identity, epoch, sent, clash, now):
        """Take what a sender tells: its next sequence number, and whether it heard another device with its id.

        A key that is nearly spent and a clash begin a new epoch; after a clash the device has another id in it.
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
    def undelivered(self):
        """Identities of members that have not acknowledged the present epoch, listeners first: they hear its first record."""
        members = self.state.members
        missing = [identity for identity, member in members.items() if member.held < self.state.epoch]
        return [i for i in missing if members[i].role != SENDER] + [i for i in missing if members[i].role == SENDER]

    def deadline(self):
        """Return the ticks at which timeout() wants to be called, or None."""
        return self._due

    def timeout(self, now):
        """Activate the epoch where the wait for acknowledgements is over; return whether it is active."""
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
        """Make a change durable; only then is it so."""
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
