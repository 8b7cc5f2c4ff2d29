# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""FileStore: its guarantees across power failures, and how it reports damage."""

import os

from support import exists, make_folder, raises

from dice import store as module
from dice.errors import StoreError
from dice.reasons import E_STORE_DAMAGED, E_STORE_READ, E_STORE_WRITE
from dice.store import FileStore, folder_of, read_file, replace_file


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def encoded(value):
    return value.to_bytes(8, "big") + (value ^ (1 << 64) - 1).to_bytes(8, "big")


def test_a_stored_value_is_read_back_by_every_instance():
    folder = make_folder()
    store = FileStore(folder)
    assert store.get("a") is None
    for value in (0, 1, 255, 1 << 48, (1 << 64) - 1, 3):
        store.put("a", value)
        assert store.get("a") == value
        assert FileStore(folder + "/").get("a") == value
    store.put("b", 7)
    assert (store.get("a"), store.get("b")) == (3, 7)
    assert read_file(folder + "/a", bytes) == encoded(3)
    assert sorted(os.listdir(folder)) == ["a", "b"]


def test_writes_are_counted():
    store = FileStore(make_folder())
    store.get("a")
    assert store.writes == 0
    store.put("a", 1)
    store.put("a", 2)
    store.get("a")
    assert store.writes == 2


def test_a_file_is_replaced_in_the_durable_order():
    folder = make_folder()
    steps = []

    class Os:
        def rename(self, old, new):
            assert read_file(old, bytes) == b"new"
            steps.append(("rename", old, new))

    def sync(path):
        steps.append(("sync", path))

    path = folder + "/a"
    saved = module.os, module.sync
    module.os, module.sync = Os(), sync
    try:
        replace_file(path, b"new")
    finally:
        module.os, module.sync = saved
    assert steps == [("sync", path + ".tmp"), ("rename", path + ".tmp", path), ("sync", folder + "/")]


def test_a_power_cut_during_the_first_write_leaves_no_value():
    folder = make_folder()
    for length in range(16):
        write(folder + "/a.tmp", encoded(5)[:length])
        assert FileStore(folder).get("a") is None


def test_a_power_cut_during_a_later_write_leaves_the_old_value():
    folder = make_folder()
    store = FileStore(folder)
    store.put("a", 5)
    for length in (0, 8, 15, 16):
        write(folder + "/a.tmp", encoded(6)[:length])
        assert store.get("a") == 5
    store.put("a", 7)
    assert store.get("a") == 7
    assert not exists(folder + "/a.tmp")


def test_a_power_cut_between_remove_and_rename_leaves_the_new_value():
    folder = make_folder()
    write(folder + "/a.tmp", encoded(6))
    store = FileStore(folder)
    assert store.get("a") == 6
    assert os.listdir(folder) == ["a"]
    assert store.get("a") == 6


def test_a_damaged_file_is_reported():
    folder = make_folder()
    store = FileStore(folder)
    good = encoded(0x0001_0000_0000_0042)
    flipped = [good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :] for at in range(16)]
    for data in flipped + [b"", good[:15], good + b"\0", bytes(16), b"\xff" * 16]:
        write(folder + "/a", data)
        raises(StoreError, E_STORE_DAMAGED, store.get, "a")


def test_a_missing_folder_fails_writes_and_holds_no_value():
    store = FileStore(make_folder() + "/missing")
    raises(StoreError, E_STORE_WRITE, store.put, "a", 1)
    assert store.get("a") is None


def test_a_folder_in_place_of_the_file_is_reported():
    folder = make_folder()
    os.mkdir(folder + "/a")
    store = FileStore(folder)
    raises(StoreError, E_STORE_WRITE, store.put, "a", 1)
    raises(StoreError, E_STORE_READ, store.get, "a")


def test_a_failed_sync_is_reported():
    def sync(path):
        raise OSError(28)

    saved = module.sync
    module.sync = sync
    try:
        raises(StoreError, E_STORE_WRITE, FileStore(make_folder()).put, "a", 1)
    finally:
        module.sync = saved


def test_read_file_returns_the_last_content_or_none():
    folder = make_folder()
    path = folder + "/a"
    assert read_file(path, bytes) is None
    replace_file(path, b"old")
    replace_file(path, b"")
    assert read_file(path, bytes) == b""
    assert read_file(path, len) == 0


def test_folder_of_returns_the_folder_of_a_path():
    for path, folder in (("a", "."), ("/a", "/"), ("b/a", "b/"), ("/c/b/a", "/c/b/")):
        assert folder_of(path) == folder


def test_a_damaged_file_is_reported_although_a_temporary_file_is_intact():
    folder = make_folder()
    write(folder + "/a", encoded(5)[:15])
    write(folder + "/a.tmp", encoded(6))
    raises(StoreError, E_STORE_DAMAGED, FileStore(folder).get, "a")
