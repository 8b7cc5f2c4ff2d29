# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The same search in every run, or, with DICE_SEEDS, another and a longer one (see host_tests/seeds.py).

That is so of Hypothesis, by its profiles, and of what the tested code draws itself.
"""

import pytest
from hypothesis import settings

from host_tests.seeds import FIRST, LAST, drawn

settings.register_profile("gate", derandomize=True, deadline=None, database=None, max_examples=200)
settings.register_profile(
    "search", derandomize=False, deadline=None, database=None, max_examples=max(200, LAST - FIRST), print_blob=True
)
settings.load_profile("search" if LAST else "gate")


@pytest.fixture(autouse=True)
def _drawn(request):
    """Draw by the name of the test, unless it draws by a seed of its own."""
    with drawn(f"{request.node.name} {FIRST}"):
        yield
