# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""D3: a manager whose registry was put back to an older copy learns it from its members, and goes on where they are."""

from support import later
from test_manager import CountingRandom
from test_manager_rations import DAY, MINUTE, deliver, in_use

from dice.group.manager import LISTENER, SENDER, Manager
from dice.limits import ALONE_EPOCHS, EXPEL_MS, GROUP_EPOCH_MAX, OPERATOR_EPOCHS


def restarted(manager, now=0):
    """Return another Manager of the same state, as after a start."""
    random = CountingRandom()
    random(100)  # the former one has drawn other numbers
    return Manager(manager.state.copy(), lambda state, change: None, random, now)


def report(manager, identity, epoch, now=0, conflict=False):
    manager.report(identity, epoch, 0, False, now, 0, True, conflict)


def test_d3_a_later_epoch_makes_it_jump_ahead_with_a_new_master_key():
    """The epoch of the report was never acknowledged by that report."""
    manager = restarted(in_use(epoch=2))
    tgk, rand = manager.state.tgk, manager.state.rand
    report(manager, b"s0", 4)
    assert manager.state.epoch == 5 and not manager.state.active and manager.state.grace_s == 0
    assert manager.state.tgk != tgk and manager.state.rand != rand
    assert manager.state.members[b"s0"].held == 2 and manager.rollback.ahead == {b"s0": 4}
    manager.timeout(EXPEL_MS)
    deliver(manager, EXPEL_MS + 1000)
    manager.timeout(DAY)
    assert manager.state.epoch == 5 and not manager.rollback.base(5, manager.state.members) > 5 and not manager.rollback.ahead


def test_d3_another_key_of_the_same_epoch_is_no_acknowledgement():
    manager = restarted(in_use(epoch=2))
    manager.rekey(0)
    report(manager, b"s0", 3, conflict=True)
    assert manager.state.epoch == 4 and manager.state.members[b"s0"].held == 2
    for identity in manager.state.members:
        assert identity in manager.undelivered and identity in manager.not_activated


def test_d3_an_operator_need_not_wait():
    """An expulsion begins in an epoch that all accept, whatever the ration says."""
    manager = restarted(in_use(epoch=2, count=2))
    report(manager, b"s0", 3)
    assert manager.state.epoch == 4
    report(manager, b"s1", 9)
    assert manager.state.epoch == 4, "a minute apart"
    manager.remove([b"lamp"], 1000)
    assert manager.state.epoch == 10


def test_d3_what_waits_for_the_ration_is_not_forgotten():
    manager = restarted(in_use(epoch=2, count=2))
    report(manager, b"s0", 3)
    report(manager, b"s1", 9, 1000)
    now = 1000
    while manager.state.epoch == 4:
        now = manager.deadline()
        manager.timeout(now)
    assert manager.state.epoch == 10 and MINUTE <= now <= 2 * MINUTE


def test_who_reports_what_all_have_again_is_no_evidence():
    """Such as after the operator has begun that epoch, or when the member has left the group."""
    manager = restarted(in_use(epoch=2, count=3))
    report(manager, b"s0", 3)
    report(manager, b"s1", 900)
    report(manager, b"s2", 900)
    report(manager, b"s1", 4)
    manager.remove([b"s2"], 0)
    assert manager.state.epoch == 5


def test_one_member_alone_moves_it_by_few_epochs_and_rarely():
    """An insider, who would use up the epochs of the group id."""
    manager = in_use(epoch=2)
    for epoch in (GROUP_EPOCH_MAX, GROUP_EPOCH_MAX - OPERATOR_EPOCHS, -1, 0):
        report(manager, b"s0", epoch)
        assert manager.state.epoch == 2
    began = []
    for number in range(30 * DAY // (10 * MINUTE)):
        now = number * 10 * MINUTE
        ticks = later(0, now)
        manager.timeout(ticks)
        before = manager.state.epoch
        report(manager, b"s0", min(before + 10_000, GROUP_EPOCH_MAX - OPERATOR_EPOCHS - 1), ticks)
        if manager.state.epoch != before:
            assert manager.state.epoch == before + ALONE_EPOCHS + 1
            began.append(now)
            deliver(manager, ticks)
    assert len(began) <= 45 and all(began[i + 1] - began[i] >= DAY - 10 * MINUTE for i in range(14, len(began) - 1))


def test_two_members_that_agree_are_believed_except_in_the_epochs_of_the_operator():
    manager = in_use(epoch=2, count=3)
    report(manager, b"s0", 60_000)
    assert manager.state.epoch == 2 + ALONE_EPOCHS + 1
    report(manager, b"s1", 50_000)
    manager.rekey(0)
    assert manager.state.epoch == 50_001
    report(manager, b"s2", GROUP_EPOCH_MAX)
    manager.rekey(0)
    assert manager.state.epoch == 50_001 + ALONE_EPOCHS + 1, "s0 alone still says 60,000"


def test_members_of_the_last_epochs_do_not_move_the_next_group_id():
    """Those that have not yet fetched epoch 1 of the next group id report epoch 65,535."""
    manager = in_use(epoch=GROUP_EPOCH_MAX, count=2)
    manager.rekey(0)
    assert manager.state.epoch == 1
    for identity in (b"s0", b"s1"):
        report(manager, identity, GROUP_EPOCH_MAX)
    manager.rekey(0)
    assert manager.state.epoch == 2 and not manager.rollback.ahead


def test_a_stranger_moves_nothing():
    manager = in_use(epoch=2)
    report(manager, b"stranger", 4)
    manager.add([b"new"], LISTENER, 0)
    report(manager, b"new", 0)
    manager.add([b"switch"], SENDER, 0)
    assert manager.state.epoch == 3
