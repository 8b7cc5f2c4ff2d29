# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""RtcStore, with a double of machine.RTC().memory: no number is repeated, whatever becomes of RTC memory and flash."""

from dtls_pair import connected
from nvs_double import RtcDouble
from support import RamStore, make_gsa, raises

from dice.dtls.sleep import restore, save
from dice.errors import StoreError
from dice.group.member import Member
from dice.reasons import E_STALE, E_STORE_SHARED, E_STORE_WRITE
from dice.store_rtc import RtcStore

T, R = "01020304t0001", "01020304r0002"
EPOCH = 1 << 48
SECRET = bytes(16)


def test_after_deep_sleep_counting_continues_where_it_was_and_the_flash_is_ahead():
    flash, rtc = RamStore(), RtcDouble()
    store = RtcStore(flash, rtc.memory)
    assert store.get(T) is None
    for value in range(EPOCH, EPOCH + 1000, 5):
        store.put(T, value)
        assert store.get(T) == value <= flash.get(T)
        store = RtcStore(flash, rtc.memory)
        assert store.get(T) == value
    assert flash.writes == 4, "once for 256 numbers"
    rtc.lose_power()
    assert RtcStore(flash, rtc.memory).get(T) == flash.get(T) >= EPOCH + 995


def test_a_value_that_is_returned_is_lowered_in_rtc_memory_alone():
    flash, rtc = RamStore(), RtcDouble()
    store = RtcStore(flash, rtc.memory)
    store.put(T, EPOCH + 64)
    store.put(T, EPOCH + 3)
    assert (store.get(T), flash.get(T), flash.writes, store.writes) == (EPOCH + 3, EPOCH + 320, 1, 1)


def test_a_damaged_block_is_forgotten():
    flash, rtc = RamStore(), RtcDouble()
    RtcStore(flash, rtc.memory).put(T, EPOCH)
    whole = rtc.data
    for at in range(len(whole)):
        rtc.data = whole[:at] + bytes((whole[at] ^ 0x55,)) + whole[at + 1 :]
        assert RtcStore(flash, rtc.memory).get(T) == EPOCH + 256
        rtc.data = whole[:at]
        assert RtcStore(flash, rtc.memory).get(T) == EPOCH + 256
    rtc.data = whole
    assert RtcStore(flash, rtc.memory).get(T) == EPOCH


def test_rtc_memory_does_not_count_once_another_program_has_written_the_flash():
    flash, rtc = RamStore(), RtcDouble()
    last = send(Member(make_gsa(own_id=1), RtcStore(flash, rtc.memory, 16), 0), 3)
    last = send(Member(make_gsa(own_id=1, fresh=False), flash, 0), 20, last)
    send(Member(make_gsa(own_id=1, fresh=False), RtcStore(flash, rtc.memory, 16), 0), 20, last)
    flash.values.clear()
    assert RtcStore(flash, rtc.memory).get(T) is None, "a store that was erased is empty"


def send(member, count, last=b""):
    """Send messages; return the number of the last record. Each is above those before, so none is used twice."""
    for _ in range(count):
        member.send(b"on", 0)
        number = bytes(member.transmit()[3:11])
        assert number > last, "a number was used twice"
        last = number
    return last


def test_sleepers_send_with_fewer_writes_and_repeat_no_number_after_power_failures():
    flash, rtc = RamStore(), RtcDouble()
    last = send(Member(make_gsa(own_id=1), RtcStore(flash, rtc.memory), 0), 1)
    for wake in range(60):
        member = Member(make_gsa(own_id=1, fresh=False), RtcStore(flash, rtc.memory), 0)
        last = send(member, 2, last)
        if wake % 20 == 19:
            rtc.lose_power()  # while it runs
        else:
            member.close()
    assert flash.writes < 12


def test_what_was_received_is_in_flash_alone():
    """Ahead, it would be commands that are not obeyed."""
    flash, rtc = RamStore(), RtcDouble()
    store = RtcStore(flash, rtc.memory)
    for name in (R, "01020304c0001", "01020304a0000"):
        store.put(name, EPOCH + 5)
        assert flash.get(name) == store.get(name) == EPOCH + 5
    assert rtc.writes == 0
    store.put("01020304l0000", EPOCH + 5)
    assert flash.get("01020304l0000") == EPOCH + 261


def test_values_near_the_end_of_24_bits_are_not_ahead():
    """A session's generation is above them, and a counter that is one less than its epoch says that it is unknown."""
    flash, rtc = RamStore(), RtcDouble()
    for value in (EPOCH - 1, EPOCH + 0xFFFFFF, EPOCH + 0xFFFF00):
        flash.values.clear()
        RtcStore(flash, rtc.memory).put(T, value)
        assert flash.get(T) == value
    flash.values.clear()
    RtcStore(flash, rtc.memory).put(T, EPOCH + 0xFFFEFF)
    assert flash.get(T) == EPOCH + 0xFFFFFF


def test_counters_that_find_no_room_are_in_flash():
    flash, rtc = RamStore(), RtcDouble()
    store = RtcStore(flash, rtc.memory)
    assert store.keep(bytes(1900)) and not store.keep(bytes(2040))
    for number in range(8):
        store.put("01020304t%04x" % number, EPOCH + number)
    store = RtcStore(flash, rtc.memory)
    assert store.kept() == bytes(1900)
    for number in range(8):
        name = "01020304t%04x" % number
        assert store.get(name) == EPOCH + number <= flash.get(name)
    assert flash.get("01020304t0007") == EPOCH + 7


def test_a_block_that_can_be_written_no_more_does_not_count_when_the_flash_reaches_its_value():
    flash, rtc = RamStore(), RtcDouble()

    def memory(*data):
        if data and len(data[0]) > 30:
            raise ValueError
        return rtc.memory(*data)

    RtcStore(flash, rtc.memory).put(T, EPOCH)
    store = RtcStore(flash, memory)
    for value in (EPOCH + 64, EPOCH + 256):
        store.put(T, value)
        assert store.get(T) == RtcStore(flash, memory).get(T) == value


def test_a_flash_that_fails_is_reported_and_the_value_stays():
    flash, rtc = RamStore(), RtcDouble()
    store = RtcStore(flash, rtc.memory)
    store.put(T, EPOCH)
    flash.broken = True
    store.put(T, EPOCH + 256)
    raises(StoreError, E_STORE_WRITE, store.put, T, EPOCH + 257)
    assert store.get(T) == RtcStore(flash, rtc.memory).get(T) == EPOCH + 256


def test_a_write_that_reached_the_flash_although_it_was_reported_as_failed_is_recognised():
    flash, rtc = RamStore(), RtcDouble()
    member = Member(make_gsa(own_id=1), RtcStore(flash, rtc.memory, 16), 0)
    last = send(member, 64)
    whole = flash.put

    def put(name, value):
        whole(name, value)
        raise StoreError(E_STORE_WRITE)

    flash.put = put
    for _ in range(2):
        raises(StoreError, E_STORE_WRITE, member.send, b"on", 0)
        flash.put = whole
        last = send(member, 64, last)
        flash.put = put
    flash.put = whole
    send(Member(make_gsa(own_id=1, fresh=False), RtcStore(flash, rtc.memory, 16), 0), 1, last)


def random(count):
    return bytes(count)


def test_a_session_is_restored_from_rtc_memory_once_and_never_after_a_power_failure():
    client, _ = connected()
    flash, rtc = RamStore(), RtcDouble()
    olds = []
    for _ in range(14):
        store = RtcStore(flash, rtc.memory)
        assert store.keep(save(client, store, SECRET, random))
        store = RtcStore(flash, rtc.memory)
        client = restore(store.kept(), store, SECRET, 0)
        olds.append(store.kept())
        client.send(b"21.4", 0)
        assert client.transmit()
        for old in olds:
            raises(StoreError, E_STALE, restore, old, store, SECRET, 0)
    assert flash.writes < 22, (
        "28 in a store in flash; here two for each generation above all before, which are random: 6 on average"
    )
    rtc.lose_power()
    for old in olds:
        raises(StoreError, E_STALE, restore, old, RtcStore(flash, rtc.memory), SECRET, 0)


def test_stores_in_one_program_have_the_same_counters():
    flash, rtc = RamStore(), RtcDouble()
    one = RtcStore(flash, rtc.memory)
    one.put(T, EPOCH + 64)
    two = RtcStore(flash, rtc.memory)
    one.put(T, EPOCH + 128)
    assert two.get(T) == EPOCH + 128
    two.put("dtls", 5)
    assert two.keep(b"session")
    for store in (one, two, RtcStore(flash, rtc.memory)):
        assert (store.get(T), store.get("dtls"), store.kept()) == (EPOCH + 128, 5, b"session")
    rtc.lose_power()
    assert (one.get(T), one.kept()) == (flash.get(T), b"")


def test_a_number_is_not_sent_twice_after_another_store_was_used():
    flash, rtc = RamStore(), RtcDouble()
    member = Member(make_gsa(own_id=1), RtcStore(flash, rtc.memory), 0)
    last = send(member, 1)
    other = RtcStore(flash, rtc.memory)
    last = send(member, 100, last)
    other.put("dtls", 7 << 24 | 3)
    send(Member(make_gsa(own_id=1, fresh=False), RtcStore(flash, rtc.memory), 0), 1, last)


def test_a_counter_that_a_member_with_another_store_has_changed_is_noticed():
    flash, rtc = RamStore(), RtcDouble()
    one = Member(make_gsa(own_id=1), RtcStore(flash, rtc.memory), 0)
    send(one, 1)
    last = send(Member(make_gsa(own_id=1, fresh=False), RtcStore(flash, rtc.memory), 0), 1)
    last_of_one = send(one, 63)
    assert last_of_one < last
    raises(StoreError, E_STORE_SHARED, one.send, b"on", 0)


def test_a_session_is_restored_by_one_of_two_stores():
    client, _ = connected()
    flash, rtc = RamStore(), RtcDouble()
    for _ in range(14):  # generations are random, and a lower one is in RTC memory alone
        store = RtcStore(flash, rtc.memory)
        assert store.keep(save(client, store, SECRET, random))
        one, two = RtcStore(flash, rtc.memory), RtcStore(flash, rtc.memory)
        client = restore(one.kept(), one, SECRET, 0)
        raises(StoreError, E_STALE, restore, two.kept(), two, SECRET, 0)
