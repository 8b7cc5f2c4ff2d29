# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The native module `_dice` on each instruction set: vectors, refusals, and the portable tests of AES-CCM with it."""

import re

import pytest

from dicectl import resources
from dicectl.errors import CommandError
from dicectl.firmware import native
from host_tests.emulated import files
from host_tests.emulated.targets import TABLE

HERE = resources.ROOT / "host_tests" / "emulated"
FILES = ("native_cases.py", "native_edges.py")


def cases():
    """Yield (target, variant, test module); what takes minutes on the emulated RP2040 is on demand."""
    for target in TABLE:
        for variant in native.VARIANTS:
            for name in FILES:
                quick = target != "rp2040" or (variant, name) == ("fast", "native_cases.py")
                marks = () if quick else pytest.mark.on_demand
                yield pytest.param(target, variant, name[:-3], marks=marks, id=f"{target}-{variant}-{name[:-3]}")


@pytest.mark.parametrize("target, variant, name", list(cases()), indirect=["target"])
def test_it_computes_and_refuses_as_it_should(target, variant, name):
    try:
        module = native.build(target.architecture, variant)
    except CommandError as failure:
        pytest.skip(failure.format_message())
    more = {native.NAME: module, **files.compiled(HERE, *FILES, architecture=target.architecture)}
    _, output, status = target.suite(name, more={**target.dice("test_names"), **more})
    assert status == "0", output
    assert re.search(rf"^{name}: [1-9]\d* tests, 0 failed$", output, re.MULTILINE), output
