# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The names that the package dice offers. host_tests/meta/test_types.py compares them with those for type checkers."""

import gc

import dice
from dice import names
from dice._compat import MICROPYTHON


def offered():
    """Yield (module, name) of all names that dice.names lists."""
    for line in names._OFFERED.split(","):
        home, *found = line.split(" ")
        for name in found:
            if MICROPYTHON:
                gc.collect()  # all of dice is compiled from source here, which leaves gaps everywhere
            yield home, name


def test_each_name_is_found_in_its_module():
    count = 0
    for home, name in offered():
        module = __import__("dice." + home, None, None, (name,))
        assert getattr(dice, name) is getattr(module, name), name
        count += 1
    assert count > 20


def test_codes_of_coap_and_errors_are_offered():
    from dice import CONTENT, GET, DiceError, PeerError

    assert (GET, CONTENT) == (1, 0x45)
    assert issubclass(PeerError, DiceError)


def test_modules_of_the_package_are_found():
    from dice import record, store

    assert record.seal and store.FileStore is dice.FileStore


def test_no_offered_name_is_the_name_of_a_module():
    """In lower case the module would be found instead; in another case it would be found on FAT, which ignores case."""
    for _, name in offered():
        try:
            __import__("dice." + name.lower())
            module = True
        except ImportError:
            module = False
        assert not module or name != name.lower(), name


def test_an_unknown_name_raises_attribute_error():
    for name in ("nothing", "Nothing", "__wrapped__", "_nothing"):
        assert not hasattr(dice, name), name
    for name in ("NOTHING", "NothingError"):
        assert not hasattr(dice, name), name
