# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""NvsStore on a double of esp32.NVS: power cuts at every write, the files that it takes over, and how it fails."""

import os

from nvs_double import DOUBLE, NOT_ENOUGH_SPACE, NOT_FOUND, Chip, PowerCut
from support import make_folder, make_gsa, raises, scratch

from dice import store_nvs as module
from dice import stores
from dice.errors import StoreError
from dice.group.member import Member
from dice.reasons import E_STORE_DAMAGED, E_STORE_READ, E_STORE_SHARED, E_STORE_WRITE
from dice.store import FileStore


def nvs_store(folder=None):
    """Return an NvsStore that takes over the files of `folder`, or that finds none."""
    folder = folder or scratch()
    return module.NvsStore(FileStore(folder), folder)


NAME = "01020304t0001"
EPOCH = 1 << 48
STEPS = (EPOCH, EPOCH + 64, EPOCH + 128, 2 * EPOCH, 2 * EPOCH + 64, 2 * EPOCH + 3, EPOCH - 1, (1 << 64) - 1, 5, 5 + (1 << 31), 6)


def test_the_double_says_that_it_is_one():
    with Chip() as chip:
        assert DOUBLE and repr(chip.esp32.NVS("x")) == "<a double of esp32.NVS>"


def test_a_stored_value_is_read_back_after_a_restart():
    with Chip() as chip:
        store = nvs_store(make_folder())
        assert store.get(NAME) is None
        for value in STEPS:
            store.put(NAME, value)
            assert store.get(NAME) == value
            chip.restart()
            assert nvs_store().get(NAME) == value
        store.put("dtls", 7)
        assert (store.get(NAME), store.get("dtls"), store.writes) == (STEPS[-1], 7, len(STEPS) + 1)


def test_the_double_loses_at_a_restart_what_was_not_committed():
    """An integer, a blob that replaces another, and a key that is erased, also if pages were emptied meanwhile."""
    with Chip(3, 24) as chip:
        nvs = chip.esp32.NVS("x")
        nvs.set_i32("number", 1)
        nvs.set_blob("bytes", b"old")
        nvs.set_i32("erased", 2)
        nvs.commit()
        for turn in range(60):
            nvs.set_i32("number", 10 + turn)
            nvs.set_blob("bytes", b"new")
        nvs.erase_key("erased")
        nvs.set_i32("more", 3)
        assert chip.erases > 3
        chip.restart()
        found = bytearray(3)
        assert (nvs.get_i32("number"), nvs.get_blob("bytes", found), bytes(found), nvs.get_i32("erased")) == (1, 3, b"old", 2)
        try:
            nvs.get_i32("more")
        except OSError as error:
            assert error.args[0] == -NOT_FOUND
        else:
            raise AssertionError("it is there")


def test_a_value_from_the_base_up_costs_one_integer():
    """Bytes that are programmed: a value that is there already costs none, and only a new base costs a blob."""
    with Chip() as chip:
        store = nvs_store(make_folder())
        store.put(NAME, EPOCH)
        costs = []
        for value in (EPOCH, EPOCH + 64, EPOCH, EPOCH + (1 << 31) - 1, EPOCH + (1 << 31), EPOCH + (1 << 31)):
            before = chip.programmed
            store.put(NAME, value)
            costs.append(chip.programmed - before)
        assert costs == [0, 40, 40, 40, 148, 0], costs


def test_names_that_differ_in_their_last_character_are_different_counters():
    names = ("dtls", "dtls0", "dtls1", "dtlsa", "dtlsb")
    with Chip() as chip:
        store = nvs_store(make_folder())
        for value in (5, 6, EPOCH, EPOCH + 5):
            for turn, name in enumerate(names):
                store.put(name, value + turn)
            chip.restart()
            assert [store.get(name) for name in names] == [value + turn for turn in range(len(names))]


def test_a_power_cut_at_any_step_leaves_the_old_value_or_the_new_one():
    """Tried with the first write, writes of the integer, and those that replace the blob."""
    folder = make_folder()  # each takes two blocks of a board
    for before, after in zip((None,) + STEPS, STEPS):
        step = cut = 0
        while step == cut:
            step += 1
            with Chip() as chip:
                store = nvs_store(folder)
                if before is not None:
                    store.put(NAME, before)
                chip.fail_at(step)
                try:
                    store.put(NAME, after)
                except PowerCut:
                    cut = step
                chip.restart()
                found = nvs_store().get(NAME)
                assert found in ((before, after) if cut == step else (after,)), (before, after, step, found)
                nvs_store().put(NAME, after)
                assert nvs_store().get(NAME) == after
        assert cut >= 3, "no step"


def test_power_cuts_while_pages_are_emptied_lose_nothing():
    """Counters of a group with pages of 24 entries, and a power cut in most writes."""
    with Chip(3, 24) as chip:
        held = {}
        store = nvs_store(make_folder())
        for turn in range(200):
            name = "01020304r%04x" % (turn % 3)
            value = EPOCH * (1 + turn // 20) + turn
            chip.fail_at(turn % 9)
            try:
                store.put(name, value)
                held[name] = value
            except PowerCut:
                chip.restart()
                store = nvs_store()
                assert store.get(name) in (held.get(name), value)
                chip.fail_at(None)
                store.put(name, value)
                held[name] = value
            for name, value in held.items():
                assert store.get(name) == value, (turn, name)
        assert chip.erases > 5


class FailingOs:
    """The module os, in which the power fails before or after removing a file, counted from 1 as `cut`."""

    listdir = os.listdir

    def __init__(self, cut):
        self._left = cut

    def remove(self, path):
        """Remove a file, unless the power fails."""
        self._cut()
        os.remove(path)
        self._cut()

    def _cut(self):
        self._left -= 1
        if self._left == 0:
            raise PowerCut


def test_a_take_over_leaves_the_file_or_its_value_in_nvs_whenever_the_power_fails():
    """With a Member: host_tests/properties/test_store_take_over.py."""
    folder = make_folder()
    for cuts in [(0, cut) for cut in range(1, 6)] + [(step, 0) for step in range(1, 9)]:
        for left_over in (b"", encoded(9), encoded(9)[:9]):  # of a write that was interrupted
            write(folder + "/" + NAME, encoded(5))
            if left_over:
                write(folder + "/" + NAME + ".tmp", left_over)
            saved = module.os
            module.os = FailingOs(cuts[1])
            with Chip() as chip:
                chip.fail_at(cuts[0])
                try:
                    nvs_store(folder).get(NAME)
                except PowerCut:
                    pass
                finally:
                    module.os = saved
                chip.restart()
                assert nvs_store(folder).get(NAME) == 5 or (left_over and nvs_store(folder).get(NAME) == 9)
                nvs_store(folder).put(NAME, 10)
                assert os.listdir(folder) == []
                assert nvs_store(folder).get(NAME) == 10


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def encoded(value):
    return value.to_bytes(8, "big") + (value ^ (1 << 64) - 1).to_bytes(8, "big")


def send(member, count, used=None):
    """Send messages; return the numbers of their records, none of which was in `used`."""
    used = [] if used is None else used
    for _ in range(count):
        member.send(b"on", 0)
        number = bytes(member.transmit()[3:11])
        assert number not in used, "a number was used twice"
        used.append(number)
    return used


def test_the_higher_value_of_file_and_nvs_is_taken_over():
    folder = make_folder()
    for old, held, expected in ((5, None, 5), (5, 9, 9), (9, 5, 9), (None, 5, 5)):
        with Chip():
            if held is not None:
                nvs_store().put(NAME, held)
            if old is not None:
                FileStore(folder).put(NAME, old)
            assert nvs_store(folder).get(NAME) == expected
            assert os.listdir(folder) == []


def test_a_put_takes_over_first_so_that_no_old_file_comes_back_when_nvs_is_erased():
    folder = make_folder()
    FileStore(folder).put(NAME, 5)
    FileStore(folder).put("other", 6)
    with Chip():
        nvs_store(folder).put(NAME, 7)
        assert os.listdir(folder) == ["other"]
    with Chip():  # it is erased
        assert nvs_store(folder).get(NAME) is None


def test_a_damaged_file_is_reported_and_stays():
    folder = make_folder()
    write(folder + "/" + NAME, bytes(16))
    with Chip():
        store = nvs_store(folder)
        for _ in range(2):
            raises(StoreError, E_STORE_DAMAGED, store.get, NAME)
            raises(StoreError, E_STORE_DAMAGED, store.put, NAME, 5)
        assert store.get("01020304t0002") is None, "others can be used"
    assert os.listdir(folder) == [NAME]


def test_a_file_that_cannot_be_removed_is_reported_and_nothing_is_stored():
    folder = make_folder()
    FileStore(folder).put(NAME, 5)

    class ReadOnly:
        listdir = os.listdir

        def remove(self, path):
            raise OSError(30)

    saved = module.os
    module.os = ReadOnly()
    try:
        with Chip():
            store = nvs_store(folder)
            raises(StoreError, E_STORE_WRITE, store.put, NAME, 6)
            raises(StoreError, E_STORE_WRITE, store.get, NAME)
    finally:
        module.os = saved
    assert FileStore(folder).get(NAME) == 5


def test_errors_of_nvs_are_store_errors_and_nothing_is_sent():
    with Chip() as chip:
        store = nvs_store(make_folder())
        member = Member(make_gsa(own_id=1), store, 0)
        used = send(member, 64)
        chip.broken = NOT_ENOUGH_SPACE
        raises(StoreError, E_STORE_WRITE, store.put, NAME, 1)
        raises(StoreError, E_STORE_WRITE, member.send, b"on", 0)
        assert member.transmit() is None
        chip.unreadable = True
        raises(StoreError, E_STORE_READ, store.get, NAME)
        raises(StoreError, E_STORE_READ, member.send, b"on", 0)
        chip.broken, chip.unreadable = None, False
        send(member, 3, used)


def test_a_full_partition_refuses_new_counters_and_keeps_what_it_has():
    with Chip(2) as chip:
        store = nvs_store(make_folder())
        held = {}
        try:
            for number in range(100):
                name = "01020304r%04x" % number
                store.put(name, EPOCH + number)
                held[name] = EPOCH + number
        except StoreError as error:
            assert error.reason == E_STORE_WRITE
        assert 20 < len(held) < 40
        chip.restart()
        store = nvs_store()
        for name, value in held.items():
            assert store.get(name) == value


def test_what_is_missing_or_malformed_is_reported():
    with Chip() as chip:
        nvs = chip.esp32.NVS("dice")
        store = nvs_store(make_folder())
        store.put(NAME, EPOCH)
        nvs.erase_key(NAME + "A")
        raises(StoreError, E_STORE_DAMAGED, store.get, NAME)
        nvs.set_i32(NAME + "A", -1)
        raises(StoreError, E_STORE_DAMAGED, store.get, NAME)
        for blob in (b"", bytes(8), bytes(9), b"12345678x", b"123456780"):
            nvs.set_blob(NAME, blob)
            raises(StoreError, E_STORE_DAMAGED, store.get, NAME)
            raises(StoreError, E_STORE_DAMAGED, store.put, NAME, EPOCH)
        nvs.set_blob(NAME, bytes(10))
        raises(StoreError, E_STORE_READ, store.get, NAME)


def test_nvs_that_cannot_be_opened_is_reported():

    class Broken(Chip):
        def __init__(self):
            super().__init__()
            self.esp32.NVS = self.fail

        def fail(self, namespace):
            raise OSError(-0x1101, "ESP_ERR_NVS_NOT_INITIALIZED")

    with Broken():
        raises(StoreError, E_STORE_READ, nvs_store)


def test_a_counter_that_another_program_has_changed_is_noticed():
    with Chip():
        folder = make_folder()
        one = Member(make_gsa(own_id=1), nvs_store(folder), 0)
        send(one, 1)
        send(Member(make_gsa(own_id=1, fresh=False), nvs_store(folder), 0), 1)
        send(one, 63)
        raises(StoreError, E_STORE_SHARED, one.send, b"on", 0)


def test_the_store_of_an_esp32_is_its_nvs():
    class Sys:
        platform = "esp32"

    folder = make_folder()
    assert isinstance(stores.open_store(folder), (FileStore, module.NvsStore))
    saved = stores.sys
    stores.sys = Sys()
    try:
        with Chip():
            FileStore(folder).put(NAME, 5)
            store = stores.open_store(folder + "/")
            assert isinstance(store, module.NvsStore) and store.get(NAME) == 5
    finally:
        stores.sys = saved
