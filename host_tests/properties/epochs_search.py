# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A breadth-first search through the states of a group, so the first violation that it finds has the fewest actions."""

from host_tests.properties.epochs_actions import apply, told
from host_tests.properties.epochs_enabled import budgets_of, enabled
from host_tests.properties.epochs_world import Violation


class Found(AssertionError):
    """A violation, with the actions that lead to it."""

    def __init__(self, actions, reason):
        self.actions = actions
        self.reason = reason
        lines = [f"  {number}. {told(action)}" for number, action in enumerate(actions, 1)]
        super().__init__("\n".join(["after", *lines, f"{type(reason).__name__}: {reason}"]))


class Search:
    """`states` counts the states visited, `steps` the actions tried; `complete`: whether all states within the budget were."""

    def __init__(self, first, states_max=10**9, depth_max=10**9):
        self.states = self.steps = self.depth = 0
        self.complete = False
        self._first = first
        self._states_max = states_max
        self._depth_max = depth_max
        self._known = {first.key()}

    def run(self, also=None):
        """Visit all states, at most so many; call also(state) in each. Raises Found."""
        level = [(self._first, None)]
        while level and self.depth < self._depth_max:
            self.depth += 1
            following = []
            for world, trace in level:
                for action in enabled(world):
                    after = self._next(world, (trace, action), also)
                    if after:
                        following.append((after, (trace, action)))
                    if self.states >= self._states_max:
                        return
            level = following
        self.complete = not level

    def _next(self, world, trace, also):
        self.steps += 1
        try:
            after = apply(world, trace[1])
            _spend(after, trace[1])
            key = after.key()
            if key in self._known:
                return None
            self._known.add(key)
            self.states += 1
            if also:
                also(after)
        except Exception as reason:
            raise Found(actions_of(trace), reason)
        return after


def actions_of(trace):
    """Return the actions of a linked trace, first to last."""
    actions = []
    while trace:
        trace, action = trace
        actions.append(action)
    return actions[::-1]


def walk(first, chance, length, also=None):
    """Take `length` random actions; call also(state) at the end.

    Raises Found, with as few actions as lead to the same violation.
    """
    world, actions = first, []
    try:
        for _ in range(length):
            kinds = {}
            for action in enabled(world):
                kinds.setdefault(action[0], []).append(action)
            if not kinds:
                break
            action = chance.choice(kinds[chance.choice(sorted(kinds))])
            actions.append(action)
            world = apply(world, action)
            _spend(world, action)
        if also:
            also(world)
    except Exception as reason:
        raise Found(*_shortened(first, actions, reason, also))
    return world


def _spend(world, action):
    for budget in budgets_of(action):
        if budget in world.budget:
            world.budget[budget] -= 1


def _shortened(first, actions, reason, also):
    """Leave out actions while the same property is violated; return (actions, reason)."""
    at = 0
    while at < len(actions):
        fewer = actions[:at] + actions[at + 1 :]
        again = _try(first, fewer, also)
        if again is not None and _property(again) == _property(reason):
            actions, reason = fewer, again
            at = 0
        else:
            at += 1
    return actions, reason


def _property(reason):
    return type(reason), str(reason).split(":")[0] if isinstance(reason, Violation) else ""


def _try(first, actions, also):
    """Return the exception that these actions lead to, or None."""
    world = first
    try:
        for action in actions:
            if action not in enabled(world):
                return None
            world = apply(world, action)
            _spend(world, action)
        if also:
            also(world)
    except Exception as reason:
        return reason
    return None
