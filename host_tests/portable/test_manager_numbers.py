# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The sequence numbers that a GSA has for a device that joins late, and the epoch that begins for such a device."""

from support import RamStore, raises, seal
from test_manager import BASE, WAIT, CountingRandom, MemberDevice, MemoryDisk, new_manager

from dice.errors import DATA
from dice.group.gsa import K08, UNKNOWN
from dice.group.manager import LISTENER, SENDER, GroupState, Manager
from dice.group.member import Member
from dice.limits import AUTOMATIC_REKEY_MIN_MS, PENDING_EXPEL_MS, PENDING_MS, SENDER_HEARD_MS

MINUTE = 60_000


def group_in_use():
    """Return (manager, switch, panel), both senders in epoch 1, which is active."""
    manager, _ = new_manager()
    manager.add([b"switch", b"panel"], SENDER, 0)
    switch, panel = devices = [MemberDevice(manager, identity) for identity in (b"switch", b"panel")]
    for device in devices:
        device.fetch()
    assert manager.state.active
    return manager, switch, panel


def told(manager, identity=b"lamp"):
    """Return the number of the switch in the GSA of a device."""
    return dict(manager.gsa(identity).senders)[manager.state.members[b"switch"].id]


def test_the_reported_sequence_numbers_are_told_and_never_decrease():
    manager, _ = new_manager()
    manager.add([b"switch"], SENDER, 0)
    manager.add([b"lamp"], LISTENER, 0)
    assert told(manager) == BASE  # the switch has no key yet
    assert manager.gsa(b"switch").fresh and manager.gsa(b"switch").own_next == BASE
    assert told(manager) == UNKNOWN  # it may have received its GSA
    manager.report(b"switch", 1, 0, False, 0)
    assert not manager.gsa(b"switch").fresh
    assert told(manager) == BASE
    manager.timeout(WAIT)
    assert manager.state.active and told(manager) == BASE
    manager.report(b"switch", 1, 70, False, 0)
    assert told(manager) == BASE + 70
    manager.report(b"switch", 1, 20, False, 0)  # a report that arrived late
    assert told(manager) == BASE + 70


def test_others_wait_for_the_report_of_a_sender_that_was_given_the_epoch():
    """Else its number would be unknown to those that join at the same moment, and they would drop its first message."""
    manager, _ = new_manager()
    manager.add([b"switch"], SENDER, 0)
    manager.add([b"lamp"], LISTENER, 0)
    assert not manager.pending(b"lamp") and not manager.pending(b"stranger")
    manager.fetch(b"switch", 0)
    assert manager.pending(b"lamp") and not manager.pending(b"switch")
    manager.report(b"switch", 1, 0, False, 10)
    assert not manager.pending(b"lamp") and told(manager) == BASE
    manager.rekey(20)
    manager.fetch(b"switch", 20)
    assert manager.pending(b"lamp") and manager.deadline() == 20 + PENDING_MS
    manager.connected = [b"lamp"]  # without a session, it will not report
    assert not manager.pending(b"lamp")
    manager.connected = None
    manager.timeout(20 + PENDING_MS)
    manager.fetch(b"switch", 20 + PENDING_MS)  # as often as it likes: they wait once
    assert not manager.pending(b"lamp") and told(manager) == UNKNOWN


def test_an_expulsion_waits_for_reports_at_its_beginning_only():
    manager, _ = new_manager()
    manager.add([b"switch", b"panel", b"gone"], SENDER, 0)
    manager.add([b"lamp"], LISTENER, 0)
    manager.remove([b"gone"], 0)
    manager.fetch(b"switch", 1000)
    assert manager.pending(b"lamp")
    manager.timeout(PENDING_EXPEL_MS)
    assert not manager.pending(b"lamp")
    manager.fetch(b"panel", PENDING_EXPEL_MS + 1)
    manager.timeout(PENDING_EXPEL_MS + 1)
    assert not manager.pending(b"lamp")
    manager.timeout(WAIT)
    manager.rekey(WAIT)  # the lamp has not entered the epoch of the expulsion
    manager.timeout(2 * WAIT)
    manager.fetch(b"switch", 2 * WAIT)
    assert manager.state.active and not manager.pending(b"lamp")


def test_a_sender_whose_acknowledgement_was_lost_is_unknown():
    """F17: it has the epoch, follows the others into it, and speaks, while its session is broken."""
    manager, switch, panel = group_in_use()
    manager.rekey(0)
    switch.fetch(acknowledge=False)
    panel.fetch()
    manager.timeout(2 * WAIT)
    panel.member.activate(0)
    switch.receive(seal(panel.member))
    recording = [seal(switch.member, b"on") for _ in range(50)]
    manager.add([b"lamp"], LISTENER, 0)
    lamp = Member(manager.gsa(b"lamp"), RamStore(), 0)
    assert told(manager) == UNKNOWN
    assert lamp.receive(recording[0], 0) != DATA


def test_no_recording_is_obeyed_by_a_latecomer_that_the_manager_gives_an_epoch_of_its_own():
    """F17: unknown alone would have it obey all but the first."""
    manager, switch, panel = group_in_use()
    manager.report(b"panel", 1, 0, False, 0)
    recording = [seal(switch.member, b"on") for _ in range(50)]
    manager.add([b"lamp"], LISTENER, 0)
    gsa = manager.fetch(b"lamp", 0)
    assert gsa.epoch == manager.state.epoch == 2 and dict(gsa.senders) == {1: 2 * BASE, 2: 2 * BASE}
    lamp = Member(gsa, RamStore(), 0)
    assert DATA not in [lamp.receive(datagram, 0) for datagram in recording]
    for device in (switch, panel):
        device.fetch()
        manager.report(device.identity, 2, 0, False, 0)
    manager.acknowledge(b"lamp", 2, 0)
    assert manager.state.active
    switch.member.activate(0)
    assert lamp.receive(seal(switch.member), 0) == DATA


def test_latecomers_do_not_cause_epochs_often():
    manager, *_ = group_in_use()
    manager.add([b"lamp"], LISTENER, 0)
    assert manager.fetch(b"lamp", 0).epoch == 2
    manager.gsa(b"switch")
    manager.timeout(2 * WAIT)
    assert manager.state.active and told(manager) == UNKNOWN
    assert manager.fetch(b"lamp", 2 * WAIT).epoch == 2
    manager.timeout(AUTOMATIC_REKEY_MIN_MS)
    assert manager.fetch(b"lamp", AUTOMATIC_REKEY_MIN_MS).epoch == 3


def test_forged_records_do_not_use_up_the_epochs_of_new_devices_and_returning_ones_share_theirs():
    manager, *_ = group_in_use()
    ticks = 0

    def begins(action):
        """Return whether an epoch begins, 10 minutes after the last one; both senders report, and lose their sessions."""
        nonlocal ticks
        ticks += AUTOMATIC_REKEY_MIN_MS
        manager.timeout(ticks)
        for identity in (b"switch", b"panel"):
            manager.gsa(identity)
        while not manager.state.active:
            manager.timeout(ticks + WAIT)
        before = manager.state.epoch
        action()
        return manager.state.epoch != before

    def forge():
        manager.report(b"panel", manager.state.epoch, 0, False, ticks, 1 << 23)

    assert [begins(forge) for _ in range(5)] == [True, True, False, True, False]
    for identity in (b"new-1", b"new-2"):
        manager.add([identity], LISTENER, ticks)
        assert begins(lambda: manager.fetch(identity, ticks))  # noqa: B023
        manager.acknowledge(identity, manager.state.epoch, ticks)
    returned = [begins(lambda: manager.fetch(identity, ticks)) for identity in (b"new-1", b"new-2", b"new-1")]  # noqa: B023
    assert returned == [True, True, False]


def test_who_holds_the_epoch_causes_none():
    """Its own counters say how far others have sent; the numbers of a GSA that is not fresh are ignored."""
    manager, *_ = group_in_use()
    assert told(manager, b"panel") == UNKNOWN
    assert manager.fetch(b"panel", 0).epoch == 1


def test_a_number_is_good_while_its_sender_can_be_reached():
    for cut in ("session", "report", "restart"):
        manager, *_ = group_in_use()
        manager.add([b"lamp"], LISTENER, 0)
        manager.report(b"switch", 1, 50, False, 0)
        assert told(manager) == BASE + 50
        if cut == "session":
            manager.connected = {b"panel"}
        elif cut == "report":
            assert manager.deadline() == SENDER_HEARD_MS
            manager.timeout(SENDER_HEARD_MS - 1)
            assert told(manager) == BASE + 50
            manager.timeout(SENDER_HEARD_MS)
        else:
            manager = Manager(manager.state, MemoryDisk(), CountingRandom(), 0)
        assert told(manager) == UNKNOWN, cut
        manager.connected = None
        manager.report(b"switch", 1, 51, False, SENDER_HEARD_MS)
        assert told(manager) == BASE + 51


def test_after_a_clash_the_number_is_unknown_until_the_next_epoch():
    """A device that has detected a clash reports 0, and the other one, with its session, how far that one has sent."""
    for before in (None, 50):  # reported since the manager was started
        manager, switch, _ = group_in_use()
        recording = [seal(switch.member, b"on") for _ in range(60)]
        manager = Manager(manager.state, MemoryDisk(), CountingRandom(), 0)  # its ration rests: the clash begins no epoch
        if before:
            manager.report(b"switch", 1, before, False, 0)
        manager.add([b"lamp"], LISTENER, 0)
        manager.report(b"switch", 1, 0, True, 0)
        assert manager.state.epoch == 1 and told(manager) == UNKNOWN
        manager.report(b"switch", 1, 20, False, 0)
        assert told(manager) == UNKNOWN
        manager.timeout(AUTOMATIC_REKEY_MIN_MS)
        lamp = Member(manager.fetch(b"lamp", AUTOMATIC_REKEY_MIN_MS), RamStore(), 0)
        assert manager.state.epoch == 2
        assert DATA not in [lamp.receive(datagram, 0) for datagram in recording]
        manager.report(b"switch", 2, 0, False, AUTOMATIC_REKEY_MIN_MS)
        assert told(manager) == 2 * BASE


def test_a_manager_that_was_killed_knows_to_whom_it_has_given_an_epoch():
    """It commits that before it gives a GSA to a sender, which may be on its way when the manager is killed."""
    disk = MemoryDisk()
    manager = Manager(GroupState("lamps", b"\1\2\3\4", bytes((239, 1, 2, 3)), 5684, K08), disk, CountingRandom(), 0)
    manager.add([b"switch"], SENDER, 0)
    manager.add([b"lamp"], LISTENER, 0)
    assert told(manager) == told(Manager(disk.commits[-1], MemoryDisk(), CountingRandom(), 0)) == BASE
    disk.broken = True
    raises(OSError, None, manager.gsa, b"switch")
    disk.broken = False
    manager.gsa(b"switch")
    assert told(manager) == told(Manager(disk.commits[-1], MemoryDisk(), CountingRandom(), 0)) == UNKNOWN
    manager.report(b"switch", 1, 5, False, 0)
    state = manager.state.copy()
    manager.rekey(0)
    assert told(manager) == 2 * BASE
    manager.restore(state, 0)  # as the service does when a transaction fails
    assert told(manager) == UNKNOWN


def test_a_report_that_only_moves_a_number_commits_nothing():
    """A member reports as often as it likes; its number is unknown after a restart anyway."""
    manager, disk = new_manager()
    manager.add([b"switch"], SENDER, 0)
    manager.add([b"lamp"], LISTENER, 0)
    for identity in (b"switch", b"lamp"):
        manager.report(identity, 1, 0, False, 0)
    count = len(disk.commits)
    for sent in range(100):
        manager.report(b"switch", 1, sent, False, 0, 100, True)
    assert manager.state.members[b"switch"].sent == 99 and len(disk.commits) == count
