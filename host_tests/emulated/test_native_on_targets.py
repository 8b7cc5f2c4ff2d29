# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The native module `_dice` on each instruction set: vectors, refusals, and the portable tests of AES-CCM with it."""

import re

import pytest

from dicectl import resources
from dicectl.emulator import board
from dicectl.errors import CommandError
from dicectl.firmware import native
from host_tests import vectors_p256
from host_tests.emulated import files
from host_tests.emulated.targets import TABLE

HERE = resources.ROOT / "host_tests" / "emulated"
FILES = ("native_cases.py", "native_edges.py", "native_member.py", "native_vectors.py")
# A Cortex-M33 executes these too.
RUNS = [(target, row.architecture) for target, row in TABLE.items()] + [("cortex_m33", "armv7m"), ("cortex_m33", "armv6m")]


def cases():
    """Yield (target, architecture, variant, test module); most of "small", and what takes minutes, are on demand."""
    for target, architecture in RUNS:
        for variant in native.VARIANTS:
            for name in FILES:
                name = name[:-3]
                quick = variant == "fast" or (architecture == "armv6m" and name != "native_cases")
                quick = (variant, name) == ("fast", "native_vectors") if target == "rp2040" else quick
                quick = quick and (name != "native_member" or target == "riscv32")  # its words have 32 bits
                marks = () if quick else pytest.mark.on_demand
                yield pytest.param(target, architecture, variant, name, marks=marks, id=f"{target}-{architecture}-{variant}-{name}")


def passes(target, architecture, variant, name, more):
    """Run a test module on a target with _dice.mpy and `more` files."""
    try:
        module = native.build(architecture, variant)
    except CommandError as failure:
        pytest.skip(failure.format_message())
    more = {
        **target.dice("test_names"),
        **files.compiled(resources.LIB, "dice/crypto/native.py", "dice/group/native.py"),  # which let dice use it
        **files.compiled(HERE, *FILES, architecture=target.architecture),
        native.NAME: module,
        **more,
    }
    _, output, status = target.suite(name, more=more)
    assert status == "0", output
    assert re.search(rf"^{name}: [1-9]\d* tests, 0 failed$", output, re.MULTILINE), output


@pytest.mark.parametrize("target, architecture, variant, name", list(cases()), indirect=["target"])
def test_it_computes_and_refuses_as_it_should(target, architecture, variant, name):
    passes(target, architecture, variant, name, {})


@pytest.mark.on_demand
@pytest.mark.parametrize("variant", native.VARIANTS)
@pytest.mark.parametrize("target, architecture", [run for run in RUNS if run[0] != "rp2040"], indirect=["target"])
def test_all_vectors_of_p256(target, architecture, variant):
    whole = {f"vectors/{name}": path for name, path in board.tree(vectors_p256.whole()).items()}
    passes(target, architecture, variant, "native_vectors", whole)
