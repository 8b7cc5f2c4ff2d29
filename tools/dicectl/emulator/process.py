# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The process in which one RP2040 is emulated; `dicectl.emulator.board.Board` starts it, and ends it with SIGKILL: power off.

python -m dicectl.emulator.process UF2 FLASH CLOCK CONSOLE UART0 UART1 PACED

UF2 is the firmware. FLASH is a file with the board's file system: every erased sector and every programmed page is written
through to it at once, so whenever this process is killed, it holds what the flash would. CLOCK is a file of two numbers of 64 bit:
the microseconds since power on, and, set from outside, those at which the chip stands still (0: never). CONSOLE, UART0 and UART1
are descriptors of byte streams; the end of one ends the process. PACED is 1 for a board that idles no faster than real time, 0 for
one whose time flies while it idles.
"""

import dataclasses
import mmap
import os
import select
import sys
import time

from rp2040py.boards import BOARDS, resolve_layout
from rp2040py.device.base_device import BaseDevice
from rp2040py.execute_batch import execute_batch
from rp2040py.memory_map import FLASH_START_ADDRESS

LAYOUT = resolve_layout(BOARDS["pico"], "micropython")  # where the file system lies

_SLICE_NS = 2_000_000  # a paced board looks at the real clock this often
_STILL_S = 0.01  # a chip that only waits for input is given some time to get it
_WAITING_MAX_BYTES = 1 << 20
_ERASED_BYTES = {0x20: 4096, 0xD8: 65536}  # by the flash chip's command
_PROGRAM_BYTES = {0x02: 256}


class Line:
    """A byte stream to the outside. What nobody reads is lost past a bound, as on a wire."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self._waiting = bytearray()
        os.set_blocking(descriptor, False)

    def write(self, data):
        """Put bytes out, now or in flush()."""
        if len(self._waiting) < _WAITING_MAX_BYTES:
            self._waiting += data

    def flush(self):
        """Put out as much as goes."""
        while self._waiting:
            try:
                del self._waiting[: os.write(self.descriptor, self._waiting)]
            except BlockingIOError:
                return

    def read(self, count):
        """Return what has come in, at most `count` bytes."""
        data = os.read(self.descriptor, count)
        if not data:
            raise EOFError
        return data


class Uart:
    """Connects one UART of the chip to a Line, at the rate that the program on the board has set; it sends at once.

    Left alone, rp2040py asserts the interrupt "may send" again whenever it is cleared, and MicroPython never gets out of it.
    """

    def __init__(self, uart, clock, line):
        self.line = line
        self._uart = uart
        self._waiting = bytearray()
        self._alarm = clock.create_alarm(self._tick)
        uart.on_byte = lambda value: line.write(bytes((value,)))
        uart.check_interrupts = self._interrupt

    def room(self):
        """Return how many bytes can be taken."""
        return 4096 - len(self._waiting)

    def feed(self, data):
        """Take bytes from the outside; a UART that is off does not hear them."""
        if self._uart.enabled and self._uart.baud_divider:
            idle = not self._waiting
            self._waiting += data
            if idle:
                self._tick()

    def _interrupt(self):
        self._uart.rp2040.set_interrupt(self._uart.irq, bool(self._uart._interrupt_status & self._uart._interrupt_mask))

    def _tick(self):
        if not self._uart.enabled or not self._uart.baud_divider:
            self._waiting.clear()
        if self._waiting:
            self._uart.feed_byte(self._waiting.pop(0))  # where the receive FIFO is full it is lost, as on the chip
            self._alarm.schedule(10e9 / self._uart.baud_rate)  # a byte takes ten bits


class Console:
    """Connects the USB serial port to a Line.

    Left alone, rp2040py answers the chip's readiness to receive with an empty packet every 10 us, where a real host sends nothing
    until it has something: the interrupts would slow all programs down and keep the chip from ever sleeping.
    """

    def __init__(self, cdc, line):
        self.line = line
        self._cdc = cdc
        self._connected = False
        self._answer = cdc.usb.on_endpoint_read
        self._asked = None
        cdc.usb.on_endpoint_read = self._ask
        cdc.on_serial_data = line.write
        cdc.on_device_connected = self._connect

    def _ask(self, endpoint, size):
        if endpoint == 0 or not self._cdc.tx_fifo.empty:
            self._answer(endpoint, size)
        else:
            self._asked = (endpoint, size)

    def _connect(self):
        self._connected = True

    def room(self):
        """Return how many bytes can be taken; none before the firmware has brought USB up."""
        return self._cdc.tx_fifo.size - self._cdc.tx_fifo.item_count if self._connected else 0

    def feed(self, data):
        """Take bytes from the outside."""
        for value in data:
            self._cdc.send_serial_byte(value)
        if self._asked:
            self._answer(*self._asked)
            self._asked = None


def keep_flash(mcu, path):
    """Load the file system from the file at `path`, and write every change of it there."""
    start, size = LAYOUT.fs_start, LAYOUT.fs_blockcount * LAYOUT.fs_blocksize
    descriptor = os.open(path, os.O_RDWR)
    mcu.flash[start : start + size] = os.pread(descriptor, size, 0)
    ssi = mcu.ssi
    apply = ssi._apply_command

    def write_through():
        command = bytes(ssi._tx_buffer[:4])
        apply()
        changed = _ERASED_BYTES.get(command[0]) or _PROGRAM_BYTES.get(command[0]) if len(command) == 4 else None
        if changed:
            at = int.from_bytes(command[1:], "big") & -changed
            if start <= at < start + size:
                os.pwrite(descriptor, mcu.flash[at : at + changed], at - start)

    ssi._apply_command = write_through


class Emulation:
    """One board from power on until the process ends."""

    def __init__(self, firmware, flash, clock, console, uarts, paced):
        self._device = BaseDevice(board=dataclasses.replace(BOARDS["pico"], image=firmware, layout=LAYOUT))
        self._simulator = self._device.simulator
        keep_flash(self._device.mcu, flash)
        with open(clock, "r+b") as file:
            self._times = mmap.mmap(file.fileno(), 16)
        self._clock = self._simulator.clock
        self._ports = [Console(self._device.cdc, Line(console))]
        for uart, descriptor in zip(self._device.mcu.uart, uarts):
            self._ports.append(Uart(uart, self._clock, Line(descriptor)))
        self._paced = paced
        self._slice = self._clock.create_alarm(self._end_slice)
        self._device.mcu.core.pc = FLASH_START_ADDRESS

    def _end_slice(self):
        self._simulator.stopped = True

    def run(self):
        """Go on until a line ends."""
        while True:
            started, before = time.monotonic(), self._clock.nanos
            stop_us = int.from_bytes(self._times[8:], "little")
            bounds_ns = [_SLICE_NS] * self._paced + [stop_us * 1000 - before] * bool(stop_us)
            if not bounds_ns or min(bounds_ns) > 0:
                self._execute(bounds_ns)
            ahead_s = (self._clock.nanos - before) / 1e9 - (time.monotonic() - started)
            self._exchange(_STILL_S if self._clock.nanos == before else max(0, ahead_s) if self._paced else 0)

    def _execute(self, bounds_ns):
        """Let the chip run for some time at most, or for as long as the emulator thinks fit."""
        if bounds_ns:
            self._slice.schedule(min(bounds_ns))  # not without need: a chip that waits for input alone would leap to it
        else:
            self._slice.cancel()
        self._simulator.stopped = False
        execute_batch(self._simulator, 1)
        self._times[:8] = int(self._clock.nanos // 1000).to_bytes(8, "little")

    def _exchange(self, patience_s):
        for port in self._ports:
            port.line.flush()
        reading = {port.line.descriptor: port for port in self._ports if port.room() > 0}
        for descriptor in select.select(reading, (), (), patience_s)[0]:
            port = reading[descriptor]
            port.feed(port.line.read(port.room()))


def main(firmware, flash, clock, console, uart0, uart1, paced):
    """Emulate until the parent is gone."""
    try:
        Emulation(firmware, flash, clock, int(console), (int(uart0), int(uart1)), paced == "1").run()
    except (EOFError, ConnectionError):
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
