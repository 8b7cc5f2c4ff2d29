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


@pytest.mark.parametrize("variant", native.VARIANTS)
@pytest.mark.parametrize("target", TABLE, indirect=True)
def test_it_computes_and_refuses_as_it_should(target, variant):
    try:
        module = native.build(target.architecture, variant)
    except CommandError as failure:
        pytest.skip(failure.format_message())
    more = {native.NAME: module, **files.compiled(HERE, "native_cases.py", architecture=target.architecture)}
    _, output, status = target.suite("native_cases", more={**target.dice("test_names"), **more})
    assert status == "0", output
    assert re.search(r"^native_cases: 1[0-9] tests, 0 failed$", output, re.MULTILINE), output
