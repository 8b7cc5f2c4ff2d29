# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Instruction sets on which the portable suite runs: a table, one row for each. See base.Target for what a row is.

test_portable_on_targets.py runs the suite on each; results.py keeps what came of it.
"""

from host_tests.emulated.targets.cortex_m33 import CortexM33
from host_tests.emulated.targets.riscv32 import RiscV32
from host_tests.emulated.targets.rp2040 import Rp2040
from host_tests.emulated.targets.xtensa import Xtensa

TABLE = {row.name: row for row in (Rp2040(), RiscV32(), Xtensa(), CortexM33())}
