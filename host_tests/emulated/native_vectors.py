# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The portable test_vectors_p256 with the native module `_dice` alone."""

import _dice
import test_vectors_p256 as cases
from test_vectors_p256 import (  # noqa: F401 - the runner finds them here
    test_digests_are_signed,
    test_ecdh,
    test_key_pairs,
    test_points_are_validated,
    test_signatures_are_verified,
    test_signatures_in_der_are_verified,
)

cases.back_ends = lambda: [_dice]
