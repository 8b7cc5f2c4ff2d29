# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The loop that runs the emulated chip's instructions; `dicectl.emulator.compile` puts it in the place of rp2040py's own.

It does what rp2040py's loop does, to the same cycle, in about a sixth of the time: an instruction of 16 bits is fetched from flash
or SRAM without a call, the clock and the two PIOs are read as C fields, not by name, and what programs do most is done here: to load
and store words, and, where rp2040py calls Python, conditional branches, calls and the hardware divider. All else (an instruction of
32 bits, a pending interrupt, an alarm that is due) is rp2040py's. Two differences: `simulator.stopped` is looked at after each alarm
and after every 256 instructions, not after each, so that whatever but an alarm sets it stops the chip that much later; and a BL
calls no `core.bl_taken`, which nothing in rp2040py sets.
"""

import time

from rp2040py.native._cortex_m0_core cimport DISPATCH_TABLE, CortexM0Core, OpHandler
from rp2040py.native._pio cimport RPPIO
from rp2040py.native._rp2040 cimport RP2040
from rp2040py.native._simulation_clock cimport SimulationClock

cdef double CYCLE_NS = 1e9 / 125_000_000
cdef long INSTRUCTIONS_MAX = 1_000_000  # in one batch
cdef double BATCH_S = 0.005
cdef int CHECK_EVERY = 256  # instructions
cdef unsigned int FLASH = 0x10000000
cdef unsigned int SRAM = 0x20000000
cdef unsigned int WIDE = 0xE800  # the first opcode of an instruction of 32 bits
cdef unsigned int BRANCH = 0xD000, BRANCH_END = 0xDE00  # the opcodes of conditional branches
cdef unsigned int CALL = 0xF000, CALL_END = 0xF800, CALL_SECOND = 0xD000  # BL: its first half, and bits of its second one
cdef unsigned char KINDS[0x10000]  # of opcodes; rp2040py's own table, of addresses, is larger than a processor's cache
cdef OpHandler HANDLERS[256]  # of kinds

cdef unsigned int SIO = 0xD0000000  # and CPUID, the number of the core that runs: 0
cdef int DIVIDER = 0x60, DIVIDER_END = 0x7C  # registers of the SIO, by their offsets in the chip's data sheet, section 2.3.1.7
cdef int SDIVIDEND = 0x68, SDIVISOR = 0x6C, QUOTIENT = 0x70, REMAINDER = 0x74
cdef int READY = 0b01, DIRTY = 0b10  # in DIV_CSR
cdef int DIVISION_CYCLES = 8


cdef class Sio:
    """rp2040py's single-cycle I/O block, `sio`, with another divider: MicroPython divides all the time."""

    cdef object sio
    cdef CortexM0Core core
    cdef long long dividend, divisor, quotient, remainder
    cdef int csr

    def __init__(self, sio):
        self.sio = sio
        self.core = sio.rp2040.core
        self._clear()

    def __getattr__(self, name):
        return getattr(self.sio, name)

    def reset(self):
        """Set all registers to what they are after power on."""
        self.sio.reset()
        self._clear()

    def read_uint32(self, int offset):
        """Return the register at `offset`."""
        return self.load(offset) if DIVIDER <= offset < DIVIDER_END else self.sio.read_uint32(offset)

    def write_uint32(self, int offset, long long value):
        """Set the register at `offset`; one of an operand begins a division, which is done at once."""
        if DIVIDER <= offset <= REMAINDER:
            self.store(offset, value)
        else:
            self.sio.write_uint32(offset, value)

    cdef long long load(self, int offset) noexcept:
        """Return a register of the divider."""
        if offset == QUOTIENT:
            self.csr &= ~DIRTY
            return self.quotient
        if offset == REMAINDER:
            return self.remainder
        if offset > REMAINDER:
            return self.csr
        return self.divisor if offset & 4 else self.dividend

    cdef void store(self, int offset, long long value) noexcept:
        """Set a register of the divider but DIV_CSR."""
        if offset == QUOTIENT:
            self.quotient = value
            self.csr = READY | DIRTY
        elif offset == REMAINDER:
            self.remainder = value
            self.csr = READY | DIRTY
        else:
            if offset & 4:
                self.divisor = value
            else:
                self.dividend = value
            self._divide(offset >= SDIVIDEND)

    cdef void _clear(self) noexcept:
        self.dividend = self.quotient = self.remainder = self.csr = 0
        self.divisor = 1

    cdef void _divide(self, bint is_signed) noexcept:
        cdef long long dividend, divisor
        if self.divisor == 0:
            self.quotient = -1 if self.dividend > 0 else 1
            self.remainder = self.dividend
        else:
            dividend, divisor = self.dividend & 0xFFFFFFFF, self.divisor & 0xFFFFFFFF
            if is_signed:
                dividend, divisor = <int>dividend, <int>divisor
            self.quotient = dividend / divisor  # as C does, with cdivision: toward zero
            self.remainder = dividend % divisor
        self.csr = READY | DIRTY
        self.core.cycles += DIVISION_CYCLES


cdef fill():
    """Make KINDS and HANDLERS of rp2040py's table."""
    cdef int opcode, kind, kinds = 0
    for opcode in range(0x10000):
        for kind in range(kinds + 1):
            if kind == kinds:
                kinds += 1
                HANDLERS[kind] = DISPATCH_TABLE[opcode]
            if HANDLERS[kind] == DISPATCH_TABLE[opcode]:
                KINDS[opcode] = kind
                break


fill()


cdef inline bint holds(CortexM0Core core, unsigned int condition):
    """Return whether a branch with this condition, 0 .. 13, is taken (ARMv6-M Architecture Reference Manual, A6.3)."""
    cdef unsigned int base = condition >> 1
    cdef bint found
    if base == 0:
        found = core.z
    elif base == 1:
        found = core.c
    elif base == 2:
        found = core.n
    elif base == 3:
        found = core.v
    elif base == 4:
        found = core.c and not core.z
    elif base == 5:
        found = core.n == core.v
    else:
        found = core.n == core.v and not core.z
    return found != (condition & 1)


cdef inline unsigned int half(RP2040 chip, unsigned char *flash, unsigned char *sram, unsigned int at):
    """Return the 16 bits at an address in flash or SRAM; WIDE for another address."""
    if FLASH <= at < FLASH + chip.flash_byte_size:
        return flash[at - FLASH] | flash[at - FLASH + 1] << 8
    if SRAM <= at < SRAM + chip.ram_byte_size:
        return sram[at - SRAM] | sram[at - SRAM + 1] << 8
    return WIDE


cdef inline unsigned int distance(unsigned int first, unsigned int second):
    """Return how far BL goes, modulo 2**32 (ARMv6-M Architecture Reference Manual, A6.7.13)."""
    cdef unsigned int sign = first >> 10 & 1
    cdef unsigned int high = (second >> 13 & 1 ^ sign ^ 1) << 23 | (second >> 11 & 1 ^ sign ^ 1) << 22
    return (0xFF000000U if sign else 0) | high | (first & 0x3FF) << 12 | (second & 0x7FF) << 1


cdef inline unsigned int word(unsigned char *at):
    return at[0] | at[1] << 8 | at[2] << 16 | <unsigned int>at[3] << 24


cdef inline int transfer(
    RP2040 chip, Sio sio, unsigned int *registers, unsigned char *flash, unsigned char *sram, unsigned int opcode
):
    """Do what LDR (immediate, literal) and STR (immediate) do to an aligned word in SRAM, flash, the divider or CPUID.

    Returns the cycles that it takes, or 0 if the instruction is another one, for rp2040py.
    """
    cdef unsigned int kind = opcode >> 11, at, value
    cdef unsigned int *target
    cdef bint stores = False
    if kind == 0b01101 or kind == 0b01100:
        stores = kind == 0b01100
        target = registers + (opcode & 7)
        at = registers[opcode >> 3 & 7] + (opcode >> 4 & 0x7C)
    elif kind == 0b10011 or kind == 0b10010:
        stores = kind == 0b10010
        target = registers + (opcode >> 8 & 7)
        at = registers[13] + ((opcode & 0xFF) << 2)
    elif kind == 0b01001:
        target = registers + (opcode >> 8 & 7)
        at = (registers[15] + 4 & 0xFFFFFFFCU) + ((opcode & 0xFF) << 2)
    else:
        return 0
    if at & 3:
        return 0
    if SRAM <= at < SRAM + chip.ram_byte_size:
        if stores:
            value = target[0]
            sram += at - SRAM
            sram[0] = value & 0xFF
            sram[1] = value >> 8 & 0xFF
            sram[2] = value >> 16 & 0xFF
            sram[3] = value >> 24
        else:
            target[0] = word(sram + (at - SRAM))
        return 2
    if SIO + DIVIDER <= at < SIO + (DIVIDER_END - 4 * stores):
        if stores:
            sio.store(at - SIO, target[0])
        else:
            target[0] = <unsigned int>sio.load(at - SIO)
        return 1
    if at == SIO and not stores:
        target[0] = 0
        return 1
    if not stores and FLASH <= at < FLASH + chip.flash_byte_size:
        target[0] = word(flash + (at - FLASH))
        return 2
    return 0


def execute_batch(simulator, tick_batch):
    """Run instructions until simulator.stopped, or for 5 ms of real time. `tick_batch` is rp2040py's, and 1."""
    cdef RP2040 chip = simulator.rp2040
    cdef CortexM0Core core = chip.core
    cdef Sio sio
    cdef SimulationClock clock = simulator.clock
    cdef RPPIO pio_0 = chip.pio[0], pio_1 = chip.pio[1]
    cdef unsigned int *registers = &core.registers[0]
    cdef unsigned char *flash = &chip._flash[0]
    cdef unsigned char *sram = &chip._sram[0]
    cdef double start_s = time.monotonic(), idle_ns, due_ns
    cdef long count = 0
    cdef int unchecked = 0
    cdef unsigned int pc, opcode, second
    cdef OpHandler handler
    cdef long long cycles
    cdef bint stopped = simulator.stopped
    if chip.run_pin_low:
        return
    if not isinstance(chip.sio, Sio):
        chip.sio = Sio(chip.sio)
    sio = chip.sio
    while count < INSTRUCTIONS_MAX and not stopped:
        unchecked += 1
        if unchecked == CHECK_EVERY:
            unchecked = 0
            stopped = simulator.stopped
            if time.monotonic() - start_s > BATCH_S:
                break
        if core.waiting:
            idle_ns = clock.nanos_to_next_alarm
            clock.tick(idle_ns)
            stopped = simulator.stopped
            cycles = <long long>(idle_ns / CYCLE_NS) or 1
        else:
            handler = NULL
            second = 0
            if not core.interrupts_updated:
                pc = registers[15] & 0xFFFFFFFEU
                opcode = half(chip, flash, sram, pc)
                if opcode < WIDE:
                    handler = HANDLERS[KINDS[opcode]]
                elif CALL <= opcode < CALL_END:
                    second = half(chip, flash, sram, pc + 2)
            if second & CALL_SECOND == CALL_SECOND:
                registers[14] = registers[15] + 4 | 1
                registers[15] += 4 + distance(opcode, second)
                cycles = 3
                core.cycles += cycles
            elif handler == NULL:
                cycles = core.execute_instruction()
            elif BRANCH <= opcode < BRANCH_END:
                registers[15] += 2
                cycles = 1
                if holds(core, opcode >> 8 & 0xF):
                    registers[15] += 2 + 2 * <signed char>(opcode & 0xFF)
                    cycles = 2
                core.cycles += cycles
            else:
                cycles = transfer(chip, sio, registers, flash, sram, opcode)
                registers[15] += 2
                if not cycles:
                    cycles = handler(core, opcode, 0, pc)
                core.cycles += cycles
            due_ns = clock._nanos_counter + cycles * CYCLE_NS
            if clock._next_alarm is None or clock._next_alarm.nanos > due_ns:
                clock._nanos_counter = due_ns
            else:
                clock.tick(cycles * CYCLE_NS)
                stopped = simulator.stopped
        if not pio_0.stopped:
            pio_0.advance(cycles)
        if not pio_1.stopped:
            pio_1.advance(cycles)
        count += 1
