# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A member's counters move from files into NVS, a double of it, and the power fails at every step: no number is used twice.

Steps are those of NVS, what is programmed or erased, and the beginning and the end of each file operation.
"""

import os
from random import Random

import pytest

from dice import store as files
from dice import store_nvs
from dice.errors import DATA, DiceError, StoreError
from dice.group.member import Member
from dice.store import FileStore
from dice.store_rtc import RtcStore
from host_tests.nonces import RECORD
from host_tests.portable.nvs_double import NOT_ENOUGH_SPACE, Chip, PowerCut, RtcDouble
from host_tests.portable.support import make_gsa
from host_tests.seeds import seeds


def nvs_store(folder):
    return store_nvs.NvsStore(FileStore(folder), folder)


COUNTERS = {"01020304t0001", "01020304r0002", "01020304l0000"}


class Device:
    """A board with a folder and NVS, whose power fails at the `nth` step after cut_at(nth)."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        folder.mkdir()
        self.chip = Chip()
        self.left = 0
        self._step = self.chip.step
        self.chip.step = lambda count: (self.step(), self._step(count))
        self.sent = []  # numbers of records
        self.obeyed = []
        monkeypatch.setattr(files, "sync", lambda path: None)  # that is for other systems
        monkeypatch.setattr(files, "_rename", self.around(files._rename))
        monkeypatch.setattr(files, "create", self.around(files.create))
        monkeypatch.setattr(store_nvs, "os", type("Os", (), {"remove": self.around(os.remove), "listdir": os.listdir}))

    def step(self):
        self.left -= 1
        if self.left == 0:
            raise PowerCut

    def around(self, call):
        """Return a file operation with power cuts before it and after it."""

        def tampered(*arguments):
            self.step()
            result = call(*arguments)
            self.step()
            return result

        return tampered

    def boot(self, store, epoch=1, fresh=False):
        """Return a Member that starts."""
        self.chip.restart()
        return Member(make_gsa(own_id=1, epoch=epoch, fresh=fresh), store(str(self.folder)), 0)

    def use(self, member, heard):
        """Send two messages and receive the records `heard`."""
        for _ in range(2):
            member.send(b"on", 0)
            number = bytes(member.transmit()[3:11])
            assert number not in self.sent, "a number was used twice"
            self.sent.append(number)
        for record in heard:
            if member.receive(record, 0) == DATA:
                assert record not in self.obeyed, "a record was obeyed twice"
                self.obeyed.append(record)

    def values(self):
        return {path.name for path in self.folder.iterdir()}


def sender(folder, epoch=1):
    """Return a function that returns the next record of another member."""
    folder.mkdir()
    member = Member(make_gsa(own_id=2, epoch=epoch), FileStore(str(folder)), 0)

    def next_record():
        member.send(b"off", 0)
        return bytes(member.transmit())

    return next_record


def test_no_number_is_used_twice_whenever_the_power_fails_during_the_take_over(tmp_path, monkeypatch):
    """The first start with NVS, its first two messages and the first that it receives."""
    cuts, nth = 0, 0
    while nth == cuts:
        nth += 1
        RECORD.new_world(strict=True)
        with monkeypatch.context() as patch:
            device = Device(tmp_path / str(nth), patch)
            other = sender(tmp_path / f"{nth}-other")
            records = [other() for _ in range(4)]
            with device.chip:
                member = device.boot(FileStore, fresh=True)
                device.use(member, records[:2])
                device.left = nth
                try:
                    device.use(device.boot(nvs_store), records)
                except PowerCut:
                    cuts = nth
                device.left = 0
                device.use(device.boot(nvs_store), records)
                device.use(device.boot(nvs_store), [*records, other()])
                assert len(device.obeyed) >= 4
                assert not device.values() & COUNTERS
    assert cuts > 40
    RECORD.check("")


def test_no_number_is_used_twice_with_any_history_of_stores(tmp_path, monkeypatch):
    """Starts with files and with NVS, power cuts, full and erased NVS, and new epochs in any order, by seed."""
    sent = 0
    for seed in seeds(20):
        RECORD.new_world(strict=True)
        random = Random(seed)
        with monkeypatch.context() as patch:
            device = Device(tmp_path / str(seed), patch)
            epoch, other = 1, sender(tmp_path / f"{seed}-other")
            heard, fresh, last = [], True, FileStore
            with device.chip:
                for _ in range(40):
                    kind = random.choice(("files", "nvs", "nvs", "nvs", "epoch", "erased", "full"))
                    if kind == "epoch":
                        epoch, fresh, heard = epoch + 1, True, []
                        other = sender(tmp_path / f"{seed}-other-{epoch}", epoch)
                    elif kind == "erased":
                        device.chip.pages[:] = [type(device.chip.pages[0])()]
                    elif kind == "full":
                        device.chip.broken = random.choice((None, NOT_ENOUGH_SPACE))
                    else:
                        last = nvs_store if kind == "nvs" or last is nvs_store else FileStore
                        device.left = random.choice((0, 0, random.randrange(1, 60)))
                        try:
                            member = device.boot(last, epoch, fresh)
                            fresh = False  # the file is written back
                            for _ in range(random.choice((1, 40))):
                                heard.append(other())
                                device.use(member, heard[-3:])
                        except (PowerCut, DiceError):
                            pass
                        device.left = 0
            sent += len(device.sent)
        RECORD.check(f"seed {seed}: ")
    assert sent > 20 * len(seeds(20)), "hardly anything was sent"


def test_a_file_that_would_come_back_is_found_by_these_tests(tmp_path, monkeypatch):
    """A store that leaves the file where it is repeats numbers once NVS is erased."""
    device = Device(tmp_path / "device", monkeypatch)
    monkeypatch.setattr(store_nvs, "os", type("Os", (), {"remove": lambda path: None, "listdir": os.listdir}))
    with device.chip:
        device.use(device.boot(FileStore, fresh=True), [])
        device.use(device.boot(nvs_store), [])
        device.chip.pages[:] = [type(device.chip.pages[0])()]
        with pytest.raises(AssertionError, match="a number was used twice"):
            device.use(device.boot(nvs_store), [])
    with pytest.raises(AssertionError, match="used twice"):
        RECORD.check("")


def test_counters_that_were_lost_with_nvs_are_refused(tmp_path, monkeypatch):
    device = Device(tmp_path / "device", monkeypatch)
    with device.chip:
        device.use(device.boot(nvs_store, fresh=True), [])
        device.chip.pages[:] = [type(device.chip.pages[0])()]
        with pytest.raises(StoreError, match="E33"):
            device.use(device.boot(nvs_store), [])
    assert device.values() == set()


def share(device, member, second, epoch, random):
    """Let the program of a member use a second store, for another counter or for a member with the same one."""
    second.put("dtls", random.getrandbits(48))
    device.use(member, [])
    if random.random() < 0.5:
        members = [member, Member(make_gsa(own_id=1, epoch=epoch, fresh=False), second, 0)]
        for _ in range(200):
            device.use(random.choice(members), [])
        raise AssertionError("two members share a counter unnoticed")


def test_no_number_is_used_twice_with_rtc_memory_that_is_lost_damaged_or_passed_by(tmp_path, monkeypatch):
    """Sleeps and crashes with RTC memory, power cuts, second stores, programs without it, and full NVS, by seed."""
    kinds = ("sleep", "sleep", "sleep", "crash", "cut", "second store", "passed by", "full", "epoch", "damaged")
    sent = 0
    for seed in seeds(5):
        RECORD.new_world(strict=True)
        random = Random(seed)
        with monkeypatch.context() as patch:
            device = Device(tmp_path / str(seed), patch)
            rtc = RtcDouble()
            other = sender(tmp_path / f"{seed}-other")
            heard, epoch, fresh = [], 1, True

            def memory(*data, device=device, rtc=rtc):
                if data:
                    device.step()
                return rtc.memory(*data)

            def rtc_store(folder, memory=memory):
                return RtcStore(nvs_store(folder), memory)

            with device.chip:
                for _ in range(60):
                    kind = random.choice(kinds)
                    if kind == "epoch":
                        epoch, fresh, heard = epoch + 1, True, []
                        other = sender(tmp_path / f"{seed}-other-{epoch}", epoch)
                    elif kind == "full":
                        device.chip.broken = random.choice((None, NOT_ENOUGH_SPACE))
                    elif kind == "damaged":
                        rtc.data = rtc.data[: random.randrange(1 + len(rtc.data))]
                    else:
                        device.left = random.choice((0, random.randrange(1, 40))) if kind == "cut" else 0
                        try:
                            member = device.boot(nvs_store if kind == "passed by" else rtc_store, epoch, fresh)
                            fresh = False
                            second = rtc_store(str(device.folder)) if kind == "second store" else None
                            for _ in range(random.choice((1, 2, 100))):
                                heard.append(other())
                                device.use(member, heard[-3:])
                            if second:
                                share(device, member, second, epoch, random)
                            if kind in ("sleep", "passed by"):
                                member.close()
                        except PowerCut:
                            rtc.lose_power()
                        except DiceError:
                            pass
                        device.left = 0
            sent += len(device.sent)
        RECORD.check(f"seed {seed}: ")
    assert sent > 100 * len(seeds(5)), "hardly anything was sent"
