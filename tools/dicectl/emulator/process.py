# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The process that emulates one RP2040. `dicectl.emulator.board.EmulatedBoard` starts it; SIGKILL ends it and is the power failure.

python -m dicectl.emulator.process UF2 FLASH CLOCK CONSOLE UART0 UART1 PACED MODULES

    UF2      the firmware
    FLASH    a file that holds the board's file system. Every erased sector and every programmed page is written to it at once,
             so that a killed process leaves in it what the flash chip would hold
    CLOCK    a file of two 64-bit numbers, little-endian: the microseconds since power on, and the time in microseconds at which
             the chip stops, set by the parent process (0: never)
    CONSOLE, UART0, UART1    descriptors of byte streams; the process ends when one of them ends
    PACED    1: an idle board does not run ahead of real time; 0: its clock advances as fast as it can
    MODULES  the folder of the emulator's compiled modules, or nothing
"""

import dataclasses
import mmap
import os
import select
import sys
import time

from dicectl.emulator import compiled

_SLICE_NS = 2_000_000  # how often a paced board compares its clock with the real one
_STILL_S = 0.01  # how long a chip that only waits for input is given to get some
_WAITING_MAX_BYTES = 1 << 20
_ERASED_BYTES = {0x20: 4096, 0xD8: 65536}  # by the flash chip's command
_PROGRAM_BYTES = {0x02: 256}
_ROSC, _RANDOMBIT = 0x40060, 0x1C  # of the chip's data sheet, section 2.17: the page of the registers, and the offset of one


def layout():
    """Return rp2040py's description of where MicroPython's file system lies in the flash of a RPI_PICO."""
    from rp2040py.boards import BOARDS, resolve_layout

    return resolve_layout(BOARDS["pico"], "micropython")


class Line:
    """A byte stream to the outside. Bytes that nobody reads are lost beyond a bound, as on a wire."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self._waiting = bytearray()
        os.set_blocking(descriptor, False)

    def write(self, data):
        """Queue bytes for flush()."""
        if len(self._waiting) < _WAITING_MAX_BYTES:
            self._waiting += data

    def flush(self):
        """Send as many of the queued bytes as the stream accepts."""
        while self._waiting:
            try:
                del self._waiting[: os.write(self.descriptor, self._waiting)]
            except BlockingIOError:
                return

    def read(self, count):
        """Return the bytes that have arrived, at most `count`; raises EOFError at the end of the stream."""
        data = os.read(self.descriptor, count)
        if not data:
            raise EOFError
        return data


class Uart:
    """Connects one UART of the chip to a Line: input arrives at the baud rate that the program has set, output leaves at once.

    rp2040py on its own raises the transmit interrupt again each time it is cleared, so that MicroPython would never leave its
    handler; _interrupt() reports the state of the interrupts instead.
    """

    def __init__(self, uart, clock, line):
        self.line = line
        self._uart = uart
        self._waiting = bytearray()
        self._alarm = clock.create_alarm(self._tick)
        uart.on_byte = lambda value: line.write(bytes((value,)))
        uart.check_interrupts = self._interrupt

    def room(self):
        """Return how many bytes feed() accepts."""
        return 4096 - len(self._waiting)

    def feed(self, data):
        """Queue bytes from the outside; a UART that is off does not receive them."""
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
            self._uart.feed_byte(self._waiting.pop(0))  # lost if the receive FIFO is full, as on the chip
            self._alarm.schedule(10e9 / self._uart.baud_rate)  # a byte takes ten bits


class Console:
    """Connects the USB serial port to a Line.

    rp2040py on its own answers the chip's readiness to receive with an empty packet every 10 us. A real host sends nothing until
    it has data. The interrupts of the empty packets would slow down every program and keep the chip from sleeping, so this class
    holds an answer back until there is data.
    """

    def __init__(self, cdc, line):
        self.line = line
        self._cdc = cdc
        self._connected = False
        self._answer = cdc.usb.on_endpoint_read
        self._held_back = None  # the arguments of an answer
        cdc.usb.on_endpoint_read = self._hold_back
        cdc.on_serial_data = line.write
        cdc.on_device_connected = self._connect

    def _hold_back(self, endpoint, size):
        if endpoint == 0 or not self._cdc.tx_fifo.empty:
            self._answer(endpoint, size)
        else:
            self._held_back = (endpoint, size)

    def _connect(self):
        self._connected = True

    def room(self):
        """Return how many bytes feed() accepts: none before the firmware has brought up USB."""
        return self._cdc.tx_fifo.size - self._cdc.tx_fifo.item_count if self._connected else 0

    def feed(self, data):
        """Send bytes to the chip."""
        for value in data:
            self._cdc.send_serial_byte(value)
        if self._held_back:
            self._answer(*self._held_back)
            self._held_back = None


def keep_flash(mcu, path):
    """Load the file system from the file at `path`, and write every change of it there."""
    place = layout()
    start, size = place.fs_start, place.fs_blockcount * place.fs_blocksize
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


def have_random_bits(mcu):
    """Give the chip's ring oscillator its random bit, the source of os.urandom(): rp2040py on its own reads it as 1 each time."""
    oscillator = mcu.peripherals[_ROSC]
    read = oscillator.read_uint32
    oscillator.read_uint32 = lambda offset: os.urandom(1)[0] & 1 if offset == _RANDOMBIT else read(offset)


class Emulation:
    """One board, from power on until the process ends."""

    def __init__(self, firmware, flash, clock, console, uarts, paced):
        from rp2040py.boards import BOARDS
        from rp2040py.device.base_device import BaseDevice
        from rp2040py.execute_batch import execute_batch
        from rp2040py.memory_map import FLASH_START_ADDRESS

        self._device = BaseDevice(board=dataclasses.replace(BOARDS["pico"], image=firmware, layout=layout()))
        self._execute_batch = execute_batch
        self._simulator = self._device.simulator
        keep_flash(self._device.mcu, flash)
        have_random_bits(self._device.mcu)
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
        """Emulate until a Line ends."""
        while True:
            started, before = time.monotonic(), self._clock.nanos
            stop_us = int.from_bytes(self._times[8:], "little")
            bounds_ns = [_SLICE_NS] * self._paced + [stop_us * 1000 - before] * bool(stop_us)
            if not bounds_ns or min(bounds_ns) > 0:
                self._execute(bounds_ns)
            ahead_s = (self._clock.nanos - before) / 1e9 - (time.monotonic() - started)
            self._exchange(_STILL_S if self._clock.nanos == before else max(0, ahead_s) if self._paced else 0)

    def _execute(self, bounds_ns):
        """Run the chip until the first of the bounds, or without bounds for as long as one batch of the emulator takes."""
        if bounds_ns:
            self._slice.schedule(min(bounds_ns))  # only if there is a bound: a chip that waits for input would jump to this alarm
        else:
            self._slice.cancel()
        self._simulator.stopped = False
        self._execute_batch(self._simulator, 1)
        self._times[:8] = int(self._clock.nanos // 1000).to_bytes(8, "little")

    def _exchange(self, patience_s):
        for port in self._ports:
            port.line.flush()
        reading = {port.line.descriptor: port for port in self._ports if port.room() > 0}
        for descriptor in select.select(reading, (), (), patience_s)[0]:
            port = reading[descriptor]
            port.feed(port.line.read(port.room()))


def main(firmware, flash, clock, console, uart0, uart1, paced, modules):
    """Emulate until the parent has ended."""
    compiled.use(modules)
    try:
        Emulation(firmware, flash, clock, int(console), (int(uart0), int(uart1)), paced == "1").run()
    except (EOFError, ConnectionError):
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
