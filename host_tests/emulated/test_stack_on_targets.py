# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The C stack that dice takes, where the port of host_tests/emulated/port measures it: it paints the stack and looks what is left.

MicroPython's interpreter calls itself for each call of C from Python and of Python from C, so the stack depends on the processor:
the windowed ABI of Xtensa has 32 bytes more in each frame of C, where a caller's registers go when the processor has no more.
"""

import pytest

# The stack of an ESP32's task has 16,384 bytes and that of an RP2 8,192; MicroPython raises RuntimeError 1,024 before the end.
BOUNDS = {"cortex_m33": 8192 - 1024, "xtensa": 10_240}
SCRIPT = """
import gc, port

def used(function):
    gc.collect()
    port.stack()
    function()
    return port.stack()

def load():
    import dice, dice.aio.coap, dice.aio.group, dice.aio.managed, dice.aio.service, dice.aio.session

def nested(depth):
    return depth and nested(depth - 1)

used(gc.collect)
print("nothing", used(lambda: None))
print("ten calls", used(lambda: nested(20)) - used(lambda: nested(10)))
print("import", used(load))
"""
ONE = "print('{1}', used(__import__('{0}').{1}))\n"
ALL = """
for name in sorted(dir(__import__('{0}'))):
    if name.startswith('test_'):
        print(name, used(getattr(__import__('{0}'), name)))
"""
SHORT = {
    "test_aio_session": "test_a_client_connects_and_exchanges_messages",
    "test_aio_group": "test_join_rewrites_the_file_without_fresh_flag_and_reserves_counters",
    "test_aio_coap": "test_a_lost_request_is_retransmitted_until_answered",
}


def measured(target, script):
    """Return {what: bytes of stack}."""
    lines = [line.rsplit(" ", 1) for line in target.run(SCRIPT + script, target.flash("test_aio_session"))]
    return {what: int(size) for what, size in lines}


@pytest.mark.parametrize("target", BOUNDS, indirect=True)
def test_a_handshake_a_join_and_a_request_leave_stack_to_the_program(target):
    sizes = measured(target, "".join(ONE.format(*pair) for pair in SHORT.items()))
    print(target.name, sizes)
    assert 100 * 10 < sizes.pop("ten calls") < 500 * 10, "the measurement itself"
    least = sizes.pop("nothing")
    assert all(least < size <= BOUNDS[target.name] for size in sizes.values()), sizes


@pytest.mark.on_demand
@pytest.mark.parametrize("module", ["test_aio_session", "test_aio_group", "test_aio_coap", "test_session", "test_member"])
@pytest.mark.parametrize("target", BOUNDS, indirect=True)
def test_nothing_that_the_suite_does_takes_more(target, module):
    sizes = measured(target, ALL.format(module))
    print(target.name, module, max(sizes.values()))
    assert all(size <= BOUNDS[target.name] for size in sizes.values()), sizes


@pytest.mark.parametrize("target", BOUNDS, indirect=True)
def test_a_program_that_calls_itself_without_end_gets_an_error(target):
    script = "def nested():\n    nested()\ntry:\n    nested()\nexcept RuntimeError as error:\n    print(error)\nprint(1 + 1)"
    assert target.run(script, {}) == ["maximum recursion depth exceeded", "2"]
