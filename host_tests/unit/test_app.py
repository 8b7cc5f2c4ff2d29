# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Parts of firmware/app that need hardware which is not available here: chips and pins are doubles.

host_tests/net/test_manager_command.py tests the rest.
"""

import asyncio
import importlib
import sys
import types

import pytest

from dice.errors import LimitError, PeerError
from dicectl import resources


@pytest.fixture
def app(monkeypatch, tmp_path):
    """Return a function that imports a module of the application, in an empty folder."""
    monkeypatch.syspath_prepend(str(resources.APP))
    monkeypatch.chdir(tmp_path)
    names = [path.stem for path in resources.APP.glob("*.py")]

    def load(name):
        return importlib.import_module(name)

    yield load
    for name in names:
        sys.modules.pop(name, None)


def machine(monkeypatch, **parts):
    """Replace the module `machine` by a double."""
    monkeypatch.setitem(sys.modules, "machine", types.SimpleNamespace(**parts))


@pytest.mark.parametrize(
    "register, shown",
    [(b"\x19\x00", b"25.0"), (b"\x00\x80", b"0.5"), (b"\xff\x80", b"-0.5"), (b"\xe7\x00", b"-25.0"), (b"\x7d\x00", b"125.0")],
)
def test_lm75_registers_are_converted_as_in_the_data_sheet(app, monkeypatch, register, shown):
    """The values of the table of temperatures in the data sheet."""
    asked = []

    class I2C:
        def __init__(self, number, scl, sda):
            asked.append((number, scl, sda))

        def readfrom_mem(self, address, at, count):
            asked.append((address, at, count))
            return register

    machine(monkeypatch, I2C=I2C, Pin=lambda number: number)
    read = app("sensors").make("lm75", {"scl": 5, "sda": 4})
    assert read() == shown
    assert asked == [(0, 5, 4), (0x48, 0, 2)]


def test_the_simulated_sensor_sweeps_from_20_to_21_9_degrees(app):
    read = app("sensors").make("simulated", {})
    values = [float(read()) for _ in range(80)]
    assert min(values) == 20.0 and max(values) == 21.9 and values[:40] == values[40:]


WDT_RESET, POWER_ON = 3, 1


def reset_by(monkeypatch, cause, **parts):
    """Let the board say what reset it."""
    machine(monkeypatch, WDT_RESET=WDT_RESET, reset_cause=lambda: cause, **parts)


def test_power_cuts_never_lead_to_safe_mode(app, monkeypatch):
    """D6: five flickers of the mains ended a lamp. A computer cannot say what ended its program."""
    safe = app("safe")
    assert all(safe.may_start() for _ in range(20))
    reset_by(monkeypatch, POWER_ON)
    assert all(safe.may_start() for _ in range(20))


def test_safe_mode_follows_five_resets_by_the_watchdog(app, monkeypatch):
    safe = app("safe")
    reset_by(monkeypatch, POWER_ON)
    assert safe.may_start()
    reset_by(monkeypatch, WDT_RESET)
    assert [safe.may_start() for _ in range(5)] == [True] * 4 + [False]
    assert safe.may_take_part()
    assert not safe.may_start() and not safe.may_take_part(), "the watchdog has ended safe mode"
    safe.reset()
    safe.reset()
    assert safe.may_start()


def test_safe_mode_follows_five_exceptions_whatever_reset_the_board(app, monkeypatch):
    """machine.reset() looks like the watchdog on an RP2: an exception must not count twice."""
    safe = app("safe")
    resets = []
    reset_by(monkeypatch, WDT_RESET, reset=lambda: resets.append(True))
    monkeypatch.setattr(safe, "time", types.SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr(safe.sys, "print_exception", print, raising=False)
    for _ in range(5):
        assert safe.may_start()
        safe.failed(ValueError("x"))
    assert not safe.may_start() and len(resets) == 5


def test_an_interrupted_program_and_a_reset_at_the_prompt_are_no_failures(app, monkeypatch):
    safe = app("safe")
    reset_by(monkeypatch, WDT_RESET)  # machine.reset() of an RP2, by mpremote
    for _ in range(12):
        assert safe.may_start()
        safe.interrupted()


def test_a_file_system_that_is_full_keeps_no_node_from_starting(app, monkeypatch, tmp_path, capsys):
    safe = app("safe")

    def full(path, mode="r"):
        raise OSError(28)

    monkeypatch.setattr(safe, "open", full, raising=False)
    assert safe.may_start()
    safe.reset()
    assert "trouble" in capsys.readouterr().out


def test_a_start_of_a_minute_resets_the_count_and_feeds_the_watchdog(app, monkeypatch):
    from dicectl.net.virtual import Loop

    safe = app("safe")
    fed = []
    reset_by(monkeypatch, WDT_RESET, WDT=lambda timeout: types.SimpleNamespace(feed=lambda: fed.append(timeout)))

    async def program(seconds):
        await asyncio.sleep(seconds)

    def run(seconds, *success_s):
        loop = Loop()
        try:
            loop.run_until_complete(safe.stay_up(program(seconds), *success_s))
        finally:
            loop.close()

    for _ in range(4):
        safe.may_start()
        run(30)
    assert len(fed) >= 4 * 14 and set(fed) == {8000}, "less often than every 8 s"
    assert safe.may_start()
    run(90, None)
    assert not safe.may_start(), "safe mode is no success"
    run(90)
    assert [safe.may_start() for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("chip, register", [("RP2040", 0x4005B000), ("RP2350", 0x400DB000)])
def test_an_interruption_resets_the_count_and_stops_the_watchdog(app, monkeypatch, tmp_path, chip, register):
    """The watchdog is stopped through the register of the data sheet; that of an ESP32 gets an hour."""
    safe = app("safe")
    (tmp_path / "starts").write_text("fffff")
    memory, waits = {}, []
    machine(monkeypatch, mem32=memory, WDT=lambda timeout: waits.append(timeout) or types.SimpleNamespace(feed=None))
    implementation = types.SimpleNamespace(_machine=f"Raspberry Pi Pico with {chip}")
    monkeypatch.setattr(safe, "sys", types.SimpleNamespace(platform="rp2", implementation=implementation))
    safe.interrupted()
    assert memory == {register: 1 << 30} and not waits and safe.may_start()
    monkeypatch.setattr(safe, "sys", types.SimpleNamespace(platform="esp32"))
    safe.interrupted()
    assert waits == [3_600_000]


def test_an_exception_of_the_program_is_raised(app):
    safe = app("safe")

    async def broken():
        raise ValueError("mend me")

    with pytest.raises(ValueError, match="mend me"):
        asyncio.run(safe.stay_up(broken()))


class FakeManagedGroup:
    """A double of dice.aio.managed.ManagedGroup. `trouble` maps the names of calls to the errors that they raise."""

    routes = {}
    group = None

    def __init__(self, **trouble):
        self.trouble = trouble

    async def resume(self):
        self._raise("resume")

    async def join(self, peer):
        self._raise("join")

    async def report(self, peer, back_s=0):
        self._raise("report")

    async def stay(self, peer):
        await asyncio.sleep(0.01)
        self._raise("stay")

    def leave(self):
        self._raise("leave")

    def _raise(self, name):
        if name in self.trouble:
            raise self.trouble[name]


class FakeManagerSession:
    """A double of a session with the manager."""

    def __init__(self):
        self.ended = False
        self.connection = types.SimpleNamespace(recalled=None)

    def close(self):
        self.ended = True


def _node(app, options, group, peers):
    """Return a node whose sessions with the manager are doubles; they are appended to `peers`."""
    module = app("node")
    module._AGAIN_S = 0.01

    class Node(module.Node):
        async def _connect(self):
            self.manager = FakeManagerSession()
            peers.append(self.manager)

    node = Node({"groups": []}, {"publish_s": 0, **options}, lambda: b"1", status=lambda word: None)
    node.groups = {"lamps": group}
    return node


def _run_for(node, seconds):
    """Run a node for this long; raise what it raises."""

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(node.run(), seconds)

    asyncio.run(main())


def test_deep_sleep_does_not_count_as_a_failed_start(app, monkeypatch):
    """Each deep sleep ends in a new start and is shorter than a minute."""

    class Asleep(BaseException):
        pass

    def deepsleep(_):
        raise Asleep

    safe = app("safe")
    stopped = []
    monkeypatch.setattr(safe, "unwatch", lambda: stopped.append(True))
    reset_by(monkeypatch, WDT_RESET, deepsleep=deepsleep)  # how an RP2 wakes
    for number in range(12):
        assert safe.may_start() and len(stopped) == number, "the watchdog would end the sleep"
        with pytest.raises(Asleep):
            asyncio.run(_node(app, {"sleep_s": 300, "awake_s": 0.01}, FakeManagedGroup(), []).run())


def test_a_node_that_sleeps_has_rtc_memory_where_there_is_one(app, monkeypatch):
    from dice.store_rtc import RtcStore

    kept = []
    store = app("node")._store
    assert store({}) is None and store({"sleep_s": 0}) is None
    machine(monkeypatch, RTC=lambda: types.SimpleNamespace())  # of an RP2
    assert store({"sleep_s": 300}) is None

    def memory(*data):
        kept.extend(data)
        return kept[-1] if kept else b""

    machine(monkeypatch, RTC=lambda: types.SimpleNamespace(memory=memory))
    found = store({"sleep_s": 300})
    assert isinstance(found, RtcStore) and not kept
    found.put("01020304t0001", 1 << 48)
    assert kept and found.get("01020304t0001") == 1 << 48


def test_a_group_that_ended_is_taken_up_again_also_without_the_manager(app):
    """F15: the keys of the next epoch were in the file, and the node waited for its manager to use them."""
    groups = []

    class Managed(FakeManagedGroup):
        async def resume(self):
            if self.group is None:
                self.group = FakeGroup(LimitError(41))
                groups.append(self.group)
            return self.group

        def leave(self):
            self.group = None

    node = _node(app, {}, Managed(), [])

    async def unreachable():
        raise OSError(113)

    node._connect = unreachable
    _run_for(node, 0.5)
    assert len(groups) > 2


def test_a_group_that_replaced_an_ended_one_is_not_left_with_it(app):
    node = _node(app, {}, FakeManagedGroup(), [])
    left = []
    managed = types.SimpleNamespace(leave=lambda: left.append(True), group=FakeGroup())
    asyncio.run(node._obey(managed, FakeGroup(LimitError(41))))
    assert left == []


@pytest.mark.parametrize("call", ["resume", "report", "stay"])
def test_network_errors_do_not_end_the_node(app, call):
    """No network at the start, or a manager that is silent when the node goes to sleep or while it is awake."""
    options = {"sleep_s": 0.01, "awake_s": 0.01} if call == "report" else {}
    error = OSError(19) if call == "resume" else PeerError(None, 51)
    peers = []
    _run_for(_node(app, options, FakeManagedGroup(**{call: error}), peers), 0.5)
    assert len(peers) > 2, "the node did not retry"


def test_the_previous_session_is_closed_before_the_next(app):
    peers = []
    _run_for(_node(app, {}, FakeManagedGroup(), peers), 0.5)
    assert len(peers) > 2 and all(peer.ended for peer in peers[:-1])


@pytest.mark.parametrize("raw, celsius", [(14015, b"27.0"), (13000, b"56.7"), (15000, b"-1.8")])
def test_the_chip_temperature_is_computed_as_in_the_data_sheet(app, monkeypatch, raw, celsius):
    """RP2040: 27 degrees at 0.706 V, one degree less for each 1.721 mV more."""
    sensors = app("sensors")
    monkeypatch.setattr(sensors, "sys", types.SimpleNamespace(platform="rp2"))
    monkeypatch.setitem(sys.modules, "esp32", None)
    machine(monkeypatch, ADC=lambda channel: types.SimpleNamespace(read_u16=lambda: raw if channel == 4 else 0))
    assert abs(float(sensors.chip()) - float(celsius)) < 0.5


@pytest.mark.parametrize(
    "function, reading, celsius",
    [
        ("mcu_temperature", 41, b"41"),
        ("mcu_temperature", -3, b"-3"),
        ("raw_temperature", 32, b"0.0"),
        ("raw_temperature", 53, b"11.7"),
        ("raw_temperature", 122, b"50.0"),
    ],
)
def test_an_esp32_reads_degrees_and_the_original_one_fahrenheit(app, monkeypatch, function, reading, celsius):
    """The original ESP32 has no mcu_temperature() (modesp32.c); it has an ADC, but no channel of a thermometer."""
    sensors = app("sensors")
    monkeypatch.setattr(sensors, "sys", types.SimpleNamespace(platform="esp32"))
    machine(monkeypatch, ADC=None)
    monkeypatch.setitem(sys.modules, "esp32", types.SimpleNamespace(**{function: lambda: reading}))
    assert sensors.chip() == celsius


class FakeGroup:
    """A group that gives `messages`: an exception among them is raised instead."""

    def __init__(self, *messages):
        self.messages = list(messages)
        self.asked = ()

    async def __anext__(self):
        message = self.messages.pop(0)
        if isinstance(message, Exception):
            raise message
        return 1, message


def test_a_message_that_cannot_be_obeyed_costs_that_message(app, capsys):
    """Too many options, a light that fails, and a lack of memory where the message is received or obeyed."""
    switched = []

    def light(on):
        switched.append(on)
        if len(switched) in (1, 2):
            raise (MemoryError, ValueError)[len(switched) - 1]

    node = _node(app, {}, FakeManagedGroup(), [])
    node._light = light
    left = []
    group = FakeGroup(b"on", b"on", MemoryError(), b"\x51\1\0\1t" + bytes(1190), b"off", LimitError(41))
    managed = types.SimpleNamespace(leave=lambda: left.append(True), group=group)
    asyncio.run(node._obey(managed, group))
    assert switched == [True, True, False] and left == [True] and not group.messages
    assert capsys.readouterr().out.splitlines() == ["trouble: MemoryError ", "trouble: ValueError ", "trouble: LimitError E41"]
