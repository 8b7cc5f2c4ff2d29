# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The keeper of a group and its members, in virtual time, both as they are: docs/protocol.md, section 14."""

from support import RamStore, raises, seal

from dice._compat import MICROPYTHON
from dice.errors import DATA, LimitError, UsageError
from dice.group.gsa import D00, K08, UNKNOWN, decode
from dice.group.gsa_encode import encode
from dice.group.manager import ANSWERING, LISTENER, SENDER, GroupState, Manager
from dice.group.member import Member
from dice.reasons import E_NO_ID, E_OPTION

BASE = 1 << 48
MINUTE = 60_000
WAIT = MINUTE + 3 * 60  # for three members


class Random:
    """Never the same, and not random at all."""

    def __init__(self):
        self.count = 0

    def __call__(self, count):
        self.count += 1
        return self.count.to_bytes(count, "big")


class Disk:
    """Keeps the last roster that was committed, and fails when told to."""

    def __init__(self):
        self.kept = []
        self.broken = False

    def __call__(self, state):
        if self.broken:
            raise OSError(5)
        self.kept.append(state.copy())


def keeper(layout=K08):
    """Return (Manager of a new group, its Disk)."""
    disk = Disk()
    return Manager(GroupState("lamps", b"\1\2\3\4", bytes((239, 1, 2, 3)), 5684, layout), disk, Random(), 0), disk


class Device:
    """A member with a flash of its own."""

    def __init__(self, manager, identity):
        self.manager = manager
        self.identity = identity
        self.store = RamStore()
        self.member = None

    def fetch(self, now=0, acknowledge=True):
        """Take the present GSA as it travels; return it."""
        gsa = decode(encode(self.manager.gsa(self.identity)))
        if self.member is None:
            self.member = Member(gsa, self.store, now)
        else:
            self.member.install(gsa, now)
        if acknowledge:
            self.manager.acknowledge(self.identity, gsa.epoch, now)
        return gsa

    def hear(self, datagram, now=0):
        return self.member.receive(datagram, now)


def town():
    """Return (manager, switch, two lamps), all joined."""
    manager, _ = keeper()
    manager.add([b"switch"], SENDER, 0)
    manager.add([b"lamp-1", b"lamp-2"], LISTENER, 0)
    devices = [Device(manager, identity) for identity in (b"lamp-1", b"lamp-2", b"switch")]
    for device in devices:
        device.fetch()
    return tuple([manager] + devices)


def test_a_group_comes_together():
    manager, one, two, switch = town()
    assert manager.state.epoch == 1 and manager.state.active and manager.undelivered == []
    message = seal(switch.member, b"on")
    assert one.hear(message) == DATA and two.hear(message) == DATA


def test_listeners_need_no_new_epoch_and_others_do():
    manager, *_ = town()
    manager.add([b"lamp-3"], LISTENER, 0)
    assert manager.state.epoch == 1 and manager.gsa(b"lamp-3").own_id is None
    manager.add([b"panel", b"lamp-4"], ANSWERING, 0)
    assert manager.state.epoch == 2 and not manager.state.active
    ids = [manager.gsa(identity).own_id for identity in (b"switch", b"panel", b"lamp-4")]
    assert ids == [1, 2, 3]
    assert manager.gsa(b"switch").senders == [(1, 2 * BASE)]


def test_an_epoch_is_active_when_all_have_it():
    manager, one, two, switch = town()
    manager.rekey(0)
    assert manager.state.epoch == 2 and manager.deadline() == WAIT
    for device in (one, two, switch):
        assert not manager.state.active
        device.fetch()
    assert manager.state.active and manager.deadline() is None
    old = seal(switch.member, b"old")
    assert one.hear(old) == DATA  # nobody has gone on yet
    switch.member.activate(0)
    new = seal(switch.member, b"new")
    assert one.hear(new) == DATA and two.hear(new) == DATA
    assert one.hear(old) != DATA and two.hear(old) == DATA  # the period of grace


def test_only_the_present_epoch_is_acknowledged():
    manager, *_ = town()
    manager.rekey(0)
    for identity in (b"lamp-1", b"lamp-2", b"switch"):
        assert not manager.acknowledge(identity, 1, 0) and not manager.acknowledge(identity, 3, 0)
    assert len(manager.undelivered) == 3 and not manager.state.active


def test_an_epoch_does_not_wait_for_ever():
    manager, one, two, switch = town()
    manager.rekey(0)
    one.fetch()
    switch.fetch()
    assert not manager.timeout(WAIT - 1) and manager.timeout(WAIT)
    assert manager.undelivered == [b"lamp-2"]
    switch.member.activate(0)
    message = seal(switch.member, b"on")
    assert two.hear(message) != DATA and two.member.dropped == {"epoch": 1}
    two.fetch()  # it slept, and asks
    assert two.hear(seal(switch.member, b"on")) != DATA  # the first of a sender whose number nobody knows
    assert two.hear(seal(switch.member, b"on")) == DATA


def test_who_slept_through_several_epochs_catches_up():
    manager, one, two, switch = town()
    for _ in range(5):
        manager.rekey(0)
        one.fetch()
        switch.fetch()
        manager.timeout(WAIT)
        switch.member.activate(0)
        one.hear(seal(switch.member))
        one.member.timeout(2 * MINUTE)
    manager.report(b"switch", 6, 1, False, 0)
    assert two.fetch().epoch == 6
    assert two.hear(seal(switch.member, b"on")) == DATA


def test_the_expelled_learn_nothing():
    manager, one, two, switch = town()
    before = manager.state
    manager.remove([b"lamp-2"], 0)
    assert manager.state.epoch == 2 and manager.state.tgk != before.tgk
    assert manager.gsa(b"lamp-2") is None and not manager.acknowledge(b"lamp-2", 2, 0)
    one.fetch()
    switch.fetch()
    assert manager.state.active
    switch.member.activate(0)
    message = seal(switch.member, b"on")
    assert one.hear(message) == DATA
    assert two.hear(message) != DATA and two.member.dropped == {"epoch": 1}
    forged = bytearray(message)  # with what it has: the keys of the old epoch
    forged[3:5] = forged[13:15] = b"\0\1"
    assert two.hear(forged) != DATA


def test_a_rekey_keeps_the_master_key_and_changes_the_others():
    manager, *_ = town()
    before, gsa = manager.state, manager.gsa(b"switch")
    manager.rekey(0)
    after = manager.state
    assert after.tgk == before.tgk and (after.cs_id, after.rand) != (before.cs_id, before.rand)
    assert manager.gsa(b"switch").key != gsa.key


def test_numbers_are_news_once():
    manager, _ = keeper()
    manager.add([b"switch"], SENDER, 0)
    manager.add([b"lamp"], LISTENER, 0)
    assert manager.gsa(b"switch").fresh and manager.gsa(b"switch").own_next == BASE
    assert manager.gsa(b"lamp").senders == [(1, BASE)]
    manager.acknowledge(b"switch", 1, 0)
    assert not manager.gsa(b"switch").fresh
    assert manager.gsa(b"lamp").senders == [(1, BASE)]  # it is to wait for the lamp
    manager.timeout(manager.deadline())
    assert manager.gsa(b"lamp").senders == [(1, UNKNOWN)]
    manager.report(b"switch", 1, 70, False, 0)
    assert manager.gsa(b"lamp").senders == [(1, BASE + 70)]
    manager.report(b"switch", 1, 20, False, 0)  # one that was late
    assert manager.gsa(b"lamp").senders == [(1, BASE + 70)]


def test_a_key_that_is_nearly_spent_and_a_clash():
    manager, *_ = town()
    manager.report(b"switch", 1, 1 << 22, False, 0)
    assert manager.state.epoch == 1
    manager.report(b"switch", 1, 3 << 21, False, 0)
    assert manager.state.epoch == 2 and manager.gsa(b"switch").own_id == 1
    manager.report(b"switch", 1, 0, True, 0)  # of an epoch that is over
    manager.report(b"lamp-1", 2, 0, True, 0)  # who does not send has no clash
    manager.report(b"stranger", 2, 0, True, 0)
    assert manager.state.epoch == 2
    manager.report(b"switch", 2, 0, True, 0)
    assert manager.state.epoch == 3 and manager.gsa(b"switch").own_id == 2


def test_misuse():
    manager, *_ = town()
    raises(UsageError, E_OPTION, manager.add, [b"switch"], LISTENER, 0)
    raises(UsageError, E_OPTION, manager.add, [b"x"], "king", 0)
    raises(UsageError, E_OPTION, manager.remove, [b"nobody"], 0)
    assert manager.gsa(b"nobody") is None
    assert manager.state.epoch == 1 and len(manager.state.members) == 3
    empty, _ = keeper()
    empty.add([b"lamp"], LISTENER, 0)
    assert empty.gsa(b"lamp") is None  # a group without a sender has nothing to listen to


def test_bounds():
    manager, _ = keeper()
    manager.add([b"s%d" % i for i in range(50)], SENDER, 0)
    raises(UsageError, E_NO_ID, manager.add, [b"one more"], SENDER, 0)
    if not MICROPYTHON:
        manager.add([b"a%d" % i for i in range(204)], ANSWERING, 0)
        raises(UsageError, E_NO_ID, manager.add, [b"a", b"b"], ANSWERING, 0)
        wide, _ = keeper(D00)
        wide.add([b"a%d" % i for i in range(300)], ANSWERING, 0)
        assert len({member.id for member in wide.state.members.values()}) == 300
    state = manager.state.copy()
    state.epoch = 0xFFFF
    try:
        Manager(state, Disk(), Random(), 0).rekey(0)
        raise RuntimeError
    except LimitError:
        pass


def test_a_commit_that_fails_changes_nothing():
    manager, disk = keeper()
    manager.add([b"switch"], SENDER, 0)
    disk.broken = True
    before = manager.state
    for change in (
        lambda: manager.add([b"x"], SENDER, 0),
        lambda: manager.remove([b"switch"], 0),
        lambda: manager.rekey(0),
        lambda: manager.acknowledge(b"switch", 1, 0),
        lambda: manager.report(b"switch", 1, 5, True, 0),
        lambda: manager.timeout(WAIT),
    ):
        try:
            change()
            raise RuntimeError
        except OSError:
            pass
        assert manager.state is before and before.epoch == 1 and not before.active
        assert [(m.role, m.id, m.held, m.sent) for m in before.members.values()] == [(SENDER, 1, 0, 0)]


def test_killed_after_every_commit():
    """Going on from any roster that was kept: no epoch with two sets of keys, and no id with two owners in one."""
    manager, disk = keeper()
    manager.add([b"a", b"b"], SENDER, 0)
    manager.acknowledge(b"a", 1, 0)
    manager.remove([b"b"], 0)
    manager.add([b"c"], SENDER, 0)
    manager.rekey(0)
    manager.timeout(WAIT)
    history = disk.kept
    for stop in range(1, len(history)):
        keys, owners = {}, {}
        again = Disk()
        revived = Manager(history[stop - 1].copy(), again, manager._random, 0)
        revived.rekey(0)
        revived.add([b"d"], SENDER, 0)
        for state in history[:stop] + again.kept:
            assert keys.setdefault(state.epoch, state.rand) == state.rand, stop
            for identity, member in state.members.items():
                assert owners.setdefault((state.epoch, member.id), identity) == identity, stop


def test_a_manager_that_was_killed_waits_again():
    manager, disk = keeper()
    manager.add([b"switch"], SENDER, 0)
    revived = Manager(disk.kept[-1], Disk(), Random(), 5000)
    assert revived.deadline() == 5000 + MINUTE + 60 and not revived.state.active
    assert revived.acknowledge(b"switch", 1, 6000) and revived.deadline() is None
