# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Profiles of Hypothesis: the same examples in every run, or, with DICE_SEEDS, new ones and many more (see host_tests/seeds.py)."""

from hypothesis import settings

from host_tests.seeds import FIRST, LAST

settings.register_profile("gate", derandomize=True, deadline=None, database=None, max_examples=200)
settings.register_profile(
    "search", derandomize=False, deadline=None, database=None, max_examples=max(200, LAST - FIRST), print_blob=True
)
settings.load_profile("search" if LAST else "gate")
