# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The native module `_dice` executes the same number of instructions whatever its secrets are: QEMU counts on each instruction set.

So no compiler has made a branch of a secret there. A Cortex-M33 executes the code for armv6m and armv7m too.
"""

import random

import pytest

from dicectl.errors import CommandError
from dicectl.firmware import native
from host_tests.emulated import counts
from host_tests.emulated.targets import TABLE

ROUNDS = 4
ON = {"armv6m": "cortex_m33", "armv7m": "cortex_m33", "armv7emsp": "cortex_m33", "rv32imc": "riscv32", "xtensawin": "xtensa"}
SCRIPT = """
import _dice, gc
point = _dice.public(bytes(31) + b"\\1")
number, data = bytes(8), bytearray(21 + 40 + 8)
print("@begin")
print("@end")
print("@nothing/0/1/0")
def run(name, function, arguments):
    for given in arguments[:1] + arguments:  # the first time something else may be done once
        function(*given)
        gc.collect()
        print("@begin")
        function(*given)
        print("@end")
        print("@%s/0/1/0" % name)
keys = {keys}
run("public", _dice.public, [(key,) for key in keys])
run("ecdh", _dice.ecdh, [(key, point) for key in keys])
run("sign", _dice.sign, [(key, keys[0], nonce) for key, nonce in zip(keys, reversed(keys))])
run("seal", _dice.crypt, [(21, number[:4], 8, number, 0, key[:16], data, b"", key + key[:8]) for key in keys])
run("open", _dice.crypt, [(21, number[:4], 8, number, 0, key[:16], b"x" * 69, b"", None) for key in keys])
if {verify}:
    rs = _dice.sign(keys[0], keys[0], keys[-1])
    run("verify", _dice.verify, [(point, key, rs) for key in keys[:3]])
"""
NOISE = {"rv32imc": 16}  # of MicroPython's allocator; 0 elsewhere
# The least, the greatest, and keys of few and of many bits of 1.
EDGES = [1, 2, 3, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632550, 1 << 255, (1 << 255) - 1, 1 << 64]


def cases():
    """Yield (architecture, variant)."""
    for architecture in ON:
        for variant in native.VARIANTS:
            quick = variant == "fast"
            yield pytest.param(architecture, variant, marks=() if quick else pytest.mark.on_demand)


@pytest.mark.parametrize("architecture, variant", list(cases()))
def test_the_number_of_instructions_depends_on_no_secret(architecture, variant):
    target = TABLE[ON[architecture]]
    try:
        target.get()
        more = {native.NAME: native.build(architecture, variant)}
    except CommandError as failure:
        pytest.skip(failure.format_message())
    keys = [number.to_bytes(32, "big") for number in EDGES] + [random.Random(i).randbytes(32) for i in range(ROUNDS)]
    keys = keys[3:7] if variant == "small" else keys  # it takes three times as long
    script = SCRIPT.replace("{keys}", repr(keys)).replace("{verify}", repr(variant == "fast"))
    found = {}
    for name, _, _, count in counts.instructions(target, script, more):
        found.setdefault(name, []).append(count)
    del found["nothing"]
    for of_keys in found.values():
        del of_keys[0]
    if variant == "fast":  # its verification, whose inputs are public, takes shortcuts: this test can fail
        verify = found.pop("verify")
        assert max(verify) - min(verify) > 1000
    assert found and all(len(counted) == len(keys) for counted in found.values())
    assert all(max(counted) - min(counted) <= NOISE.get(architecture, 0) for counted in found.values()), found
