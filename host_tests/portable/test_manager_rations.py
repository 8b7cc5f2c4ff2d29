# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Epochs that nobody asked for are rationed, the last ones are the operator's, and expulsion has a way on after the last."""

from support import RamStore, later, raises, seal
from test_manager import CountingRandom, MemberDevice, MemoryDisk, new_manager

from dice.errors import DATA, UsageError
from dice.group.gsa import K08, decode
from dice.group.gsa_encode import encode
from dice.group.manager import LISTENER, SENDER, GroupState, Manager
from dice.group.member import Member
from dice.limits import (
    AUTOMATIC_REKEY_MAX_MS,
    AUTOMATIC_REKEY_MIN_MS,
    FORGED_MAX,
    FORGED_SHORT_TAG_MAX,
    GROUP_EPOCH_MAX,
    OPERATOR_EPOCHS,
)
from dice.reasons import E_OTHER_GROUP
from dice.suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8

MINUTE = 60_000
DAY = 24 * 60 * MINUTE


def in_use(suite=PSK_AES_128_CCM_8, epoch=1, count=1):
    """Return a manager of senders s0 ... and a lamp; its epoch is active."""
    state = GroupState("lamps", b"\1\2\3\4", bytes((239, 1, 2, 3)), 5684, K08, suite=suite)
    state.epoch = epoch - 1
    manager = Manager(state, lambda state, change: None, CountingRandom(), 0)
    manager._ration.rests = False  # it has run for long
    manager.add([b"s%d" % i for i in range(count)], SENDER, 0)
    manager.add([b"lamp"], LISTENER, 0)
    deliver(manager, 0)
    return manager


def deliver(manager, now):
    """Let all members acknowledge and enter the epoch."""
    for identity in manager.state.members:
        manager.report(identity, manager.state.epoch, 0, False, now, 0, True)
    assert manager.state.active and not manager.not_activated


def run(manager, until, step, action):
    """Call `action(now)` every `step`, deliver every epoch at once, and return when epochs began."""
    began = []
    for now in range(0, until, step):
        ticks = later(0, now)
        manager.timeout(ticks)
        before = manager.state.epoch
        action(ticks)
        if manager.state.epoch != before:
            began.append(now)
            deliver(manager, ticks)
    return began


def test_one_sender_that_says_clash_again_and_again_gets_few_epochs_and_stays_removable():
    """F3: it used up all 65,535 in minutes."""
    manager = in_use(count=2)
    unmoved = manager.state.members[b"s1"].id
    began = run(manager, 10 * DAY, MINUTE, lambda now: manager.report(b"s0", manager.state.epoch, 0, True, now))
    gaps = [began[i + 1] - began[i] for i in range(len(began) - 1)]
    assert gaps[:3] == [10 * MINUTE, 20 * MINUTE, 40 * MINUTE] and max(gaps) <= DAY
    assert 10 <= len(began) < 8 + 12, began
    assert manager.state.members[b"s1"].id == unmoved, "nobody else gets another id"
    manager.remove([b"s0"], 0)
    assert manager.gsa(b"s0") is None


def test_all_members_together_cause_an_epoch_in_ten_minutes_at_most():
    def all_clash(now):
        for i in range(8):
            manager.report(b"s%d" % i, manager.state.epoch, 1 << 23, True, now, 1 << 20)

    manager = in_use(count=8)
    assert len(run(manager, DAY, MINUTE, all_clash)) <= DAY // AUTOMATIC_REKEY_MIN_MS


def test_a_member_that_behaves_again_is_forgiven_slowly():
    manager = in_use()
    run(manager, DAY, MINUTE, lambda now: manager.report(b"s0", manager.state.epoch, 0, True, now))
    assert manager._ration._levels[b"s0"] > 5
    for day in range(1, 12):
        manager.timeout(later(0, day * DAY))
    assert not manager._ration._levels and not manager._ration._waits and manager.deadline() is None


def test_no_epoch_begins_automatically_while_one_is_being_delivered():
    manager = in_use()
    manager.rekey(0)
    manager.report(b"s0", 2, 0, True, 0)
    assert manager.state.epoch == 2
    deliver(manager, 0)
    manager.report(b"s0", 2, 0, True, 0)
    assert manager.state.epoch == 3 and manager.gsa(b"s0").own_id == 2


def test_a_clash_that_was_reported_gives_another_id_with_the_next_epoch_of_any_cause():
    manager = in_use()
    manager.report(b"s0", 1, 0, True, 0)
    assert manager.state.epoch == 2 and manager.gsa(b"s0").own_id == 2
    deliver(manager, 0)
    manager.report(b"s0", 2, 0, True, 1)
    assert manager.state.epoch == 2 and manager.gsa(b"s0").own_id == 2, "too early"
    manager.rekey(2)
    assert manager.gsa(b"s0").own_id == 1
    deliver(manager, 2)
    manager.rekey(3)
    assert manager.gsa(b"s0").own_id == 1, "once"


def test_a_key_of_which_three_quarters_are_used_is_renewed():
    manager = in_use()
    for sent in ((3 << 21) - 1, -1, (1 << 23) + 1):  # the last two are impossible
        manager.report(b"s0", 1, sent, False, 0)
        assert manager.state.epoch == 1 and manager.state.members[b"s0"].sent == (3 << 21) - 1
    manager.report(b"lamp", 1, 3 << 21, True, 0)  # a listener does not send
    manager.report(b"stranger", 1, 3 << 21, True, 0)
    manager.report(b"s0", 0, 3 << 21, True, 0)  # of another epoch
    assert manager.state.epoch == 1
    manager.report(b"s0", 1, 3 << 21, False, 0)  # of 2^23
    assert manager.state.epoch == 2 and manager.gsa(b"s0").own_id == 1


def test_forged_records_that_members_report_renew_the_keys_by_the_length_of_the_tag():
    """RFC 9147, section 4.5.3; anybody who can send can bring it about, so it is rationed for all members together."""
    for suite, limit in ((PSK_AES_128_CCM_8, FORGED_SHORT_TAG_MAX), (PSK_AES_128_CCM, FORGED_MAX)):
        manager = in_use(suite)
        manager.report(b"lamp", 1, 0, False, 0, limit - 1)
        assert manager.state.epoch == 1
        manager.report(b"lamp", 1, 0, False, 0, limit)
        assert manager.state.epoch == 2
        deliver(manager, 0)
        manager.report(b"s0", 2, 0, False, 0, limit)
        assert manager.state.epoch == 2


def test_a_restart_does_not_shorten_the_ration():
    manager = in_use()
    again = Manager(manager.state, MemoryDisk(), CountingRandom(), 0)
    again.report(b"s0", 1, 0, True, 0)
    assert again.state.epoch == 1 and again.deadline() == AUTOMATIC_REKEY_MIN_MS
    again.timeout(AUTOMATIC_REKEY_MIN_MS)
    again.report(b"s0", 1, 0, True, AUTOMATIC_REKEY_MIN_MS)
    assert again.state.epoch == 2


def test_the_last_epochs_are_the_operators():
    last = GROUP_EPOCH_MAX - OPERATOR_EPOCHS
    manager = in_use(epoch=last - 1)
    manager.report(b"s0", last - 1, 0, True, 0)
    assert manager.state.epoch == last
    deliver(manager, 0)
    manager.timeout(AUTOMATIC_REKEY_MAX_MS)
    manager.report(b"s0", last, 0, True, AUTOMATIC_REKEY_MAX_MS)
    assert manager.state.epoch == last
    manager.rekey(0)
    assert manager.state.epoch == last + 1


def test_after_the_last_epoch_comes_another_group_id():
    """F3: at 65,535, `remove`, `replace` and `rekey` were refused."""
    for change in (lambda m: m.remove([b"s1"], 0), lambda m: m.replace(b"s1", b"s2", 0), lambda m: m.rekey(0)):
        manager = in_use(epoch=GROUP_EPOCH_MAX, count=2)
        before = manager.state.copy()
        store = RamStore()
        lamp = MemberDevice(manager, b"lamp")
        lamp.member = Member(manager.gsa(b"lamp"), store, 0)
        change(manager)
        state = manager.state
        assert state.epoch == 1 and state.gid != before.gid and state.tgk != before.tgk and not state.active
        assert len(manager.undelivered) == len(manager.not_activated) == len(state.members)
        gsa = decode(encode(manager.gsa(b"lamp")))
        raises(UsageError, E_OTHER_GROUP, lamp.member.install, gsa, 0)
        again = Member(gsa, store, 0)  # its counters are of another group
        sender = Member(decode(encode(manager.gsa(b"s0"))), RamStore(), 0)
        assert again.receive(seal(sender), 0) == DATA
        deliver(manager, 0)


def test_another_group_id_that_cannot_be_stored_shortens_no_expulsion():
    manager = in_use(epoch=GROUP_EPOCH_MAX - 1, count=2)
    manager.remove([b"s1"], 0)

    def full(*_):
        raise OSError(28)

    manager._commit = full
    assert manager.grace_s(b"lamp") == 0
    raises(OSError, None, manager.rekey, 0)
    assert manager.grace_s(b"lamp") == 0, "it may obey s1"


def test_the_last_sender_can_be_removed():
    """F2: nobody was given the epoch that shuts it out."""
    manager, _ = new_manager()
    manager.add([b"stolen"], SENDER, 0)
    manager.add([b"lamp"], LISTENER, 0)
    stolen, lamp = MemberDevice(manager, b"stolen"), MemberDevice(manager, b"lamp")
    for device in (stolen, lamp):
        device.fetch()
    manager.remove([b"stolen"], 0)
    assert lamp.fetch().senders == [] and manager.state.active and not manager.grace_s(b"lamp")
    lamp.member.grace_ms = 1000 * manager.grace_s(b"lamp")
    lamp.member.activate(0)
    assert lamp.receive(seal(stolen.member)) != DATA
    manager.add([b"switch"], SENDER, 0)
    switch = MemberDevice(manager, b"switch")
    switch.fetch()
    manager.report(b"switch", 3, 0, False, 0)
    lamp.fetch()
    assert lamp.receive(seal(switch.member)) == DATA
