# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Changes of devices' keys, and who has acknowledged which list of managers, in both kinds of registries."""

import os

import pytest

from dicectl.manager.registry.base import RegistryError


def test_both_keys_are_good_until_the_new_one_is_proved(backend):
    registry = backend.open()
    identity, key = registry.enrol("lamp")
    other, _ = registry.enrol("other")
    registry.begin_key_change(identity)
    number, following = registry.next_key(identity)
    registry.begin_key_change(identity)
    assert registry.next_key(identity) == (1, following) and number == 1 and following != key and len(following) == 16

    def check(opened, keys):
        assert [opened.find(identity + suffix) for suffix in (b"", b":1", b":2", b":0", b":01")] == [*keys, None, None, None]
        assert opened.find(other) and opened.find(other + b":1") is None and opened.next_key(other) is None

    check(registry, [key, following])
    registry.close()
    registry = backend.open()
    check(registry, [key, following])
    registry.end_key_change(identity)
    check(registry, [None, following])
    registry.close()
    registry = backend.open()
    check(registry, [None, following])
    assert registry.key_number(identity) == 1 and registry.next_key(identity) is None
    registry.begin_key_change(identity)
    assert registry.next_key(identity)[0] == 2
    registry.wipe("lamp")
    assert registry.find(identity) is None and registry.find(identity + b":1") is None and registry.find(identity + b":2") is None
    assert registry.next_key(identity) is None and registry.key_number(identity) == 0
    registry.close()


def test_next_keys_are_sealed_and_replaced_keys_are_gone(sqlite_backend):
    backend = sqlite_backend
    key_of_file = os.urandom(32)
    registry = backend.open(key=key_of_file)
    identity, key = registry.enrol("lamp")
    registry.begin_key_change(identity)
    following = registry.next_key(identity)[1]
    registry.close()
    assert backend.traces([key, following]) == [], "a key is in the file as it is"
    registry = backend.open(key=key_of_file)
    assert registry.find(identity + b":1") == following
    registry.close()


def test_a_key_that_was_replaced_leaves_the_file(sqlite_backend):
    registry = sqlite_backend.open()
    identity, key = registry.enrol("lamp")
    registry.begin_key_change(identity)
    registry.end_key_change(identity)
    registry.close()
    assert sqlite_backend.traces([key]) == []


def test_a_change_that_is_undone_leaves_nothing(backend):
    registry = backend.open()
    identity, key = registry.enrol("lamp")
    with pytest.raises(RuntimeError), registry.together():
        registry.begin_key_change(identity)
        raise RuntimeError
    assert registry.next_key(identity) is None and registry.find(identity + b":1") is None
    registry.begin_key_change(identity)
    with pytest.raises(RuntimeError), registry.together():
        registry.end_key_change(identity)
        raise RuntimeError
    assert registry.find(identity) == key and registry.next_key(identity)[0] == 1
    assert [entry["event"] for entry in backend.audit()] == ["enrolled", "key-offered"]
    registry.close()


def test_acknowledgements_of_the_list_are_kept_by_device(backend):
    registry = backend.open()
    first, _ = registry.enrol("a")
    second, _ = registry.enrol("b")
    registry.tell({first: 3, b"unknown": 1})
    assert registry.told == {first: 3}
    registry.close()
    registry = backend.open()
    assert registry.told == {first: 3}
    registry.tell({first: 4, second: 4})
    registry.wipe("a")
    assert registry.told == {second: 4}
    registry.close()


def test_a_change_that_cannot_be_stored_changes_nothing_in_memory(backend):
    registry = backend.open()
    identity, key = registry.enrol("lamp")
    registry.begin_key_change(identity)
    real = registry.end

    def broken(durable):
        real(False)
        if durable:
            raise RegistryError("disk I/O error")

    registry.end = broken
    with pytest.raises(RegistryError):
        registry.end_key_change(identity)
    assert registry.find(identity) == key and registry.next_key(identity)[0] == 1
    del registry.end
    registry.end_key_change(identity)
    assert registry.find(identity) is None
    registry.close()
