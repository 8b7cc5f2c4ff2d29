# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The core of the group manager with real members, in virtual time: docs/protocol.md, section 14."""

from support import RamStore, raises, seal

from dice._compat import MICROPYTHON
from dice.errors import DATA, UsageError
from dice.group.gsa import D00, K08, decode
from dice.group.gsa_encode import encode
from dice.group.manager import ANSWERING, LISTENER, SENDER, GroupState, Manager
from dice.group.member import Member
from dice.reasons import E_NO_ID, E_OPTION
from dice.suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8

BASE = 1 << 48
MINUTE = 60_000
WAIT = MINUTE + 3 * 60  # for three members


class CountingRandom:
    """A random source that never returns the same bytes twice: a counter."""

    def __init__(self):
        self.count = 0

    def __call__(self, count):
        self.count += 1
        return self.count.to_bytes(count, "big")


class MemoryDisk:
    """Stores every group state that was committed; raises while `broken`."""

    def __init__(self):
        self.commits = []
        self.broken = False

    def __call__(self, state, change):
        if self.broken:
            raise OSError(5)
        self.commits.append(state.copy())
        self.commits[-1].apply(change)


def new_manager(layout=K08, random=None):
    """Return (Manager of a new group, its MemoryDisk)."""
    disk = MemoryDisk()
    state = GroupState("lamps", b"\1\2\3\4", bytes((239, 1, 2, 3)), 5684, layout)
    return Manager(state, disk, random or CountingRandom(), 0), disk


class MemberDevice:
    """A member with a store of its own."""

    def __init__(self, manager, identity):
        self.manager = manager
        self.identity = identity
        self.store = RamStore()
        self.member = None

    def fetch(self, now=0, acknowledge=True):
        """Fetch the current GSA as it is transferred, install it, and return it."""
        gsa = decode(encode(self.manager.gsa(self.identity)))
        if self.member is None:
            self.member = Member(gsa, self.store, now)
        else:
            self.member.install(gsa, now)
        if acknowledge:
            self.manager.acknowledge(self.identity, gsa.epoch, now)
        return gsa

    def receive(self, datagram, now=0):
        return self.member.receive(datagram, now)


def joined_group():
    """Return (manager, lamp-1, lamp-2, switch), all joined."""
    manager, _ = new_manager()
    manager.add([b"switch"], SENDER, 0)
    manager.add([b"lamp-1", b"lamp-2"], LISTENER, 0)
    devices = [MemberDevice(manager, identity) for identity in (b"lamp-1", b"lamp-2", b"switch")]
    for device in devices:
        device.fetch()
    return tuple([manager] + devices)


def test_members_of_a_new_group_receive_its_messages():
    manager, one, two, switch = joined_group()
    assert manager.state.epoch == 1 and manager.state.active and manager.undelivered == []
    message = seal(switch.member, b"on")
    assert one.receive(message) == DATA and two.receive(message) == DATA


def test_the_suite_of_a_group_is_in_its_gsas():
    for suite in (PSK_AES_128_CCM, PSK_AES_128_CCM_8):
        state = GroupState("lamps", b"\1\2\3\4", bytes((239, 1, 2, 3)), 5684, K08, suite=suite)
        manager = Manager(state, MemoryDisk(), CountingRandom(), 0)
        manager.add([b"switch"], SENDER, 0)
        assert decode(encode(manager.gsa(b"switch"))).suite == manager.state.copy().suite == suite


def test_adding_a_listener_keeps_the_epoch_and_adding_others_starts_a_new_one():
    manager, *_ = joined_group()
    manager.add([b"lamp-3"], LISTENER, 0)
    assert manager.state.epoch == 1 and manager.gsa(b"lamp-3").own_id is None
    manager.add([b"panel", b"lamp-4"], ANSWERING, 0)
    assert manager.state.epoch == 2 and not manager.state.active
    ids = [manager.gsa(identity).own_id for identity in (b"switch", b"panel", b"lamp-4")]
    assert ids[0] == 1 and sorted(ids) == [1, 2, 3]
    assert manager.gsa(b"switch").senders == [(1, 2 * BASE)]


def test_an_epoch_becomes_active_when_all_members_hold_it():
    manager, one, two, switch = joined_group()
    manager.rekey(0)
    assert manager.state.epoch == 2 and manager.deadline() == WAIT
    for device in (one, two, switch):
        assert not manager.state.active
        device.fetch()
    assert manager.state.active and manager.deadline() is None
    old = seal(switch.member, b"old")
    assert one.receive(old) == DATA  # no sender has switched yet
    switch.member.activate(0)
    new = seal(switch.member, b"new")
    assert one.receive(new) == DATA and two.receive(new) == DATA
    assert one.receive(old) != DATA and two.receive(old) == DATA  # the grace period


def test_only_the_current_epoch_can_be_acknowledged():
    manager, *_ = joined_group()
    manager.rekey(0)
    for identity in (b"lamp-1", b"lamp-2", b"switch"):
        assert not manager.acknowledge(identity, 1, 0) and not manager.acknowledge(identity, 3, 0)
    assert len(manager.undelivered) == 3 and not manager.state.active


def test_an_epoch_becomes_active_after_the_wait_without_a_missing_member():
    manager, one, two, switch = joined_group()
    manager.rekey(0)
    one.fetch()
    switch.fetch()
    assert not manager.timeout(WAIT - 1) and manager.timeout(WAIT)
    assert manager.undelivered == [b"lamp-2"]
    switch.member.activate(0)
    message = seal(switch.member, b"on")
    assert two.receive(message) != DATA and two.member.dropped == {"epoch": 1}
    two.fetch()  # it slept, and fetches
    assert two.receive(seal(switch.member, b"on")) != DATA  # the first record of a sender whose sequence number is unknown
    assert two.receive(seal(switch.member, b"on")) == DATA


def test_a_member_that_slept_through_several_epochs_catches_up():
    manager, one, two, switch = joined_group()
    for _ in range(5):
        manager.rekey(0)
        one.fetch()
        switch.fetch()
        manager.timeout(WAIT)
        switch.member.activate(0)
        one.receive(seal(switch.member))
        one.member.timeout(2 * MINUTE)
    manager.report(b"switch", 6, 1, False, 0)
    assert two.fetch().epoch == 6
    assert two.receive(seal(switch.member, b"on")) == DATA


def test_an_expelled_member_gets_no_later_key():
    manager, one, two, switch = joined_group()
    before = manager.state.copy()
    manager.remove([b"lamp-2"], 0)
    assert manager.state.epoch == 2 and manager.state.tgk != before.tgk
    assert manager.gsa(b"lamp-2") is None and not manager.acknowledge(b"lamp-2", 2, 0)
    one.fetch()
    switch.fetch()
    assert manager.state.active
    switch.member.activate(0)
    message = seal(switch.member, b"on")
    assert one.receive(message) == DATA
    assert two.receive(message) != DATA and two.member.dropped == {"epoch": 1}
    forged = bytearray(message)  # it can claim the old epoch, whose keys it holds
    forged[3:5] = forged[13:15] = b"\0\1"
    assert two.receive(forged) != DATA


def test_a_rekey_keeps_the_tgk_and_changes_the_derived_keys():
    manager, *_ = joined_group()
    before, gsa = manager.state.copy(), manager.gsa(b"switch")
    manager.rekey(0)
    after = manager.state
    assert after.tgk == before.tgk and after.cs_id != before.cs_id and after.rand != before.rand
    assert (len(after.tgk), len(after.cs_id), len(after.rand)) == (16, 4, 16)
    assert manager.gsa(b"switch").key != gsa.key


def test_invalid_calls_are_refused_and_change_nothing():
    manager, *_ = joined_group()
    raises(UsageError, E_OPTION, manager.add, [b"switch"], LISTENER, 0)
    raises(UsageError, E_OPTION, manager.add, [b"x"], "king", 0)
    raises(UsageError, E_OPTION, manager.remove, [b"nobody"], 0)
    assert manager.gsa(b"nobody") is None
    assert manager.state.epoch == 1 and len(manager.state.members) == 3
    empty, _ = new_manager()
    empty.add([b"lamp"], LISTENER, 0)
    assert empty.state.epoch == 1
    assert decode(encode(empty.gsa(b"lamp"))).senders == []


def test_sender_ids_listener_ids_and_epochs_are_bounded():
    manager, _ = new_manager()
    manager.add([b"s%d" % i for i in range(50)], SENDER, 0)
    raises(UsageError, E_NO_ID, manager.add, [b"one more"], SENDER, 0)
    if not MICROPYTHON:
        manager.add([b"a%d" % i for i in range(204)], ANSWERING, 0)
        raises(UsageError, E_NO_ID, manager.add, [b"a", b"b"], ANSWERING, 0)
        wide, _ = new_manager(D00)
        wide.add([b"a%d" % i for i in range(300)], ANSWERING, 0)
        assert len({member.id for member in wide.state.members.values()}) == 300


def test_a_failed_commit_changes_nothing():
    manager, disk = new_manager()
    manager.add([b"switch"], SENDER, 0)
    disk.broken = True
    before = manager.state
    for change in (
        lambda: manager.add([b"x"], SENDER, 0),
        lambda: manager.remove([b"switch"], 0),
        lambda: manager.rekey(0),
        lambda: manager.acknowledge(b"switch", 1, 0),
        lambda: manager.report(b"switch", 1, 5, False, 0),
        lambda: manager.timeout(WAIT),
    ):
        try:
            change()
            raise RuntimeError
        except OSError:
            pass
        assert manager.state is before and before.epoch == 1 and not before.active
        assert [(m.role, m.id, m.held, m.sent) for m in before.members.values()] == [(SENDER, 1, 0, 0)]


def test_a_restart_after_any_commit_reuses_neither_keys_nor_ids():
    """Restart from each committed group state. No epoch has two sets of keys; no id has two owners in an epoch."""
    random = CountingRandom()
    manager, disk = new_manager(random=random)
    manager.add([b"a", b"b"], SENDER, 0)
    manager.acknowledge(b"a", 1, 0)
    manager.remove([b"b"], 0)
    manager.add([b"c"], SENDER, 0)
    manager.rekey(0)
    manager.timeout(WAIT)
    history = disk.commits
    for stop in range(1, len(history)):
        keys, owners = {}, {}
        again = MemoryDisk()
        restarted = Manager(history[stop - 1].copy(), again, random, 0)
        restarted.rekey(0)
        restarted.add([b"d"], SENDER, 0)
        for state in history[:stop] + again.commits:
            assert keys.setdefault(state.epoch, state.rand) == state.rand, stop
            for identity, member in state.members.items():
                assert owners.setdefault((state.epoch, member.id), identity) == identity, stop


def test_a_restarted_manager_waits_again_for_acknowledgments():
    manager, disk = new_manager()
    manager.add([b"switch"], SENDER, 0)
    restarted = Manager(disk.commits[-1], MemoryDisk(), CountingRandom(), 5000)
    assert restarted.deadline() == 5000 + MINUTE + 60 and not restarted.state.active
    assert restarted.acknowledge(b"switch", 1, 6000) and restarted.deadline() is None
    assert Manager(restarted.state, MemoryDisk(), CountingRandom(), 0).deadline() is None, "the epoch is active"
    assert new_manager()[0].deadline() is None, "there is no epoch"
