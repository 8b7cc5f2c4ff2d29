# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A search through the states of a group, its manager and an adversary (DESIGN, invariant 3).

The states are those of the library's own classes, Manager, Kdc, ManagedGroup, Group and Member, with a clock, a network, files and
sessions that are made up (`stepped`, `epochs_world`). Actions are in `epochs_actions`, properties in `epochs_properties` and
`epochs_convergence`. Once every schedule of a few actions is tried, shortest first, and once long random ones.

DICE_SEEDS=100000 make properties      more random schedules, and all of those that the budgets allow, however long
"""

import random
from unittest import mock

import pytest

from dice.aio import key_delivery, managed
from dice.coap.codes import CHANGED
from dice.coap.message import CREATED
from dice.group.gsa import UNKNOWN
from dice.group.manager import LISTENER, SENDER, Manager
from dice.group.member import Member
from dice.group.rollback import Rollback
from host_tests import seeds
from host_tests.properties.epochs_actions import first_world
from host_tests.properties.epochs_convergence import check_convergence
from host_tests.properties.epochs_search import Found, Search, walk
from host_tests.properties.stepped import stepped

GROUP = {"switch": SENDER, "panel": SENDER, "lamp": LISTENER}
ONE_SENDER = {"switch": SENDER, "lamp": LISTENER, "lantern": LISTENER}
PAIR = {"switch": SENDER, "lamp": LISTENER}
LIFETIME_S = 600
NONE = dict.fromkeys(["add", "remove", "rekey", "send", "record", "fault", "wait", "push late", "backup", "restore"], 0)
WALK = 50  # actions

# The members, how often each action may be taken, options, and how many states are visited in the gate. All start in epoch 1.
BUDGETS = {
    "an expulsion and a re-key": (GROUP, {"remove": 1, "rekey": 1, "wait": 2}, {}, 2500),
    "an expulsion and a fault": (GROUP, {"remove": 1, "wait": 2, "fault": 1}, {}, 2500),
    "an expulsion, a fault, a message": (GROUP, {"remove": 1, "wait": 2, "fault": 1, "send": 1, "record": 1}, {}, 2500),
    "the only sender": (ONE_SENDER, {"remove": 2, "wait": 2, "fault": 1}, {}, 2500),
    "a lifetime": (GROUP, {"rekey": 1, "wait": 3, "fault": 1}, {"lifetime_s": LIFETIME_S}, 2500),
    "a sender without a session": (PAIR, {"add": 1, "fault": 2, "send": 1}, {"outside": ["new"]}, 2500),
    "a backup, one member": ({"switch": SENDER}, {"backup": 1, "restore": 1, "rekey": 2, "wait": 1}, {}, 2500),
    "a backup": (PAIR, {"backup": 1, "restore": 1, "rekey": 2, "remove": 1, "fault": 1, "wait": 1}, {}, 2500),
    "a member of no backup": (PAIR, {"backup": 1, "restore": 1, "add": 1, "send": 1, "wait": 2}, {"outside": ["new"]}, 2500),
    "a latecomer": (GROUP, {"rekey": 1, "add": 1, "fault": 1, "send": 1, "wait": 1}, {"outside": ["new"]}, 2500),
}


def world(budget):
    """Return (the first state, how many are visited in the gate)."""
    roles, limits, options, states_max = BUDGETS[budget]
    return first_world(roles, {**NONE, **limits}, **options), 10**9 if seeds.LAST else states_max


@pytest.mark.parametrize("budget", BUDGETS)
def test_every_short_schedule_keeps_the_promises(budget):
    with stepped():
        first, states_max = world(budget)
        search = Search(first, states_max)
        search.run(lambda state: search.states % 16 or check_convergence(state))
    print(f"{budget}: {search.states} states, {search.depth} actions, complete: {search.complete}")


@pytest.mark.parametrize(
    "backups, options", [(0, {}), (0, {"lifetime_s": LIFETIME_S}), (2, {})], ids=["plain", "lifetime", "backups"]
)
def test_long_random_schedules_keep_the_promises(backups, options):
    with stepped():
        budget = {"add": 2, "remove": 2, "rekey": 2, "kill": 2, "send": 6, "record": 8, "backup": backups, "restore": backups}
        first = first_world(GROUP, budget, outside=["new"], **options)
        for seed in seeds.seeds(150):
            try:
                walk(first, random.Random(seed), WALK, check_convergence)
            except Found as found:
                raise AssertionError(f"seed {seed}: {found}")


# Mutations: each takes back what mended a defect. The search must find it again.


def _senders_alone_are_told():
    """F1: listeners enter the next epoch when they happen to receive its first record."""
    original = Manager.not_activated.fget
    listed = property(lambda self: [i for i in original(self) if self.state.members[i].role == SENDER])
    return mock.patch.object(Manager, "not_activated", listed)


def _no_keys_without_a_sender():
    """F2: no GSA, so nobody learns of the epoch in which the only sender is expelled."""
    original = Manager.gsa

    def gsa(self, identity):
        return original(self, identity) if SENDER in [member.role for member in self.state.members.values()] else None

    return mock.patch.object(Manager, "gsa", gsa)


def _who_fetches_is_told_nothing():
    """F4: a member that fetches the GSA of an active epoch does not enter it, and reads the previous one for the usual time."""
    original = key_delivery.KeyDelivery._join

    def _join(self, request, identity):
        code, body = original(self, request, identity)
        return code, b"\x3c\0" + body[2:] if code == CREATED else body

    return mock.patch.object(key_delivery.KeyDelivery, "_join", _join)


def _a_lifetime_ends_all_epochs():
    """F15: at the end of the lifetime of an epoch, the next one is forgotten as well."""
    original = Member._count_lifetime

    def count_lifetime(self, now):
        if self._context.lifetime_s and self._context.lifetime_s <= self._lived_s:
            self._forget_other()
        original(self, now)

    return mock.patch.object(Member, "_count_lifetime", count_lifetime)


def _every_number_is_known():
    """F17: who has not reported has not sent."""
    original = Manager.gsa

    def gsa(self, identity):
        found = original(self, identity)
        if found:
            found.senders = [(i, found.epoch << 48 if number == UNKNOWN else number) for i, number in found.senders]
        return found

    return mock.patch.object(Manager, "gsa", gsa)


def _a_number_is_known_in_the_next_session():
    """A sender that sent without a session, and has not reported yet, is believed to have sent what it reported before."""
    return mock.patch.object(Manager, "reconnected", lambda self, identity: None)


def _a_refusal_is_an_acknowledgement():
    """D3: 2.04 and the epoch alone, although the member has an older manager's key of it."""
    return mock.patch.multiple(managed, CONFLICT=CHANGED, REPORT_CONFLICT=0)


def _an_old_registry_is_no_news():
    """D3: reports of later epochs are ignored, so the members go on without this manager."""
    return mock.patch.object(Rollback, "note", lambda *_: None)


MUTATIONS = {
    "F1": (_senders_alone_are_told, "an expulsion and a fault", "word"),
    "F2": (_no_keys_without_a_sender, "the only sender", "expulsion"),
    "F4": (_who_fetches_is_told_nothing, "an expulsion and a fault", "expulsion"),
    "F15": (_a_lifetime_ends_all_epochs, "a lifetime", "lifetime"),
    "reconnected": (_a_number_is_known_in_the_next_session, "a sender without a session", "latecomer"),
    "F17": (_every_number_is_known, "a latecomer", "latecomer"),
    "D3, refused": (_a_refusal_is_an_acknowledgement, "a backup, one member", "word"),
    "D3, ahead": (_an_old_registry_is_no_news, "a backup, one member", "convergence"),
}


@pytest.mark.parametrize("defect", MUTATIONS)
def test_the_search_finds_a_defect_that_comes_back(defect):
    mutation, budget, wanted = MUTATIONS[defect]
    with stepped(), mutation(), pytest.raises(Found) as found:
        Search(world(budget)[0], 50_000).run(check_convergence if wanted == "convergence" else None)
    print(found.value)
    assert str(found.value.reason).startswith(wanted), found.value
