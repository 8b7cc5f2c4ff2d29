/* SPDX-FileCopyrightText: 2026 The dice authors
 * SPDX-License-Identifier: MIT
 *
 * What cannot be written in C for Xtensa's windowed ABI: the start, system calls of Linux, and setjmp.
 *
 * A function sees 16 registers of a ring of NAREGS. A call turns the ring by 8, and when it is full, the registers of the oldest
 * function go to the stack: its a0 to a3 to the 16 bytes below the stack pointer of the function that it called, its a4 to a7 to
 * the 16 bytes that begin 32 below the stack pointer of the function that called it.
 */

#define NAREGS 32 /* all cores of Debian's QEMU; an ESP32 has 64 */

    .text
    .align  4
    .global _start
_start:
    movi    a0, 0               /* no caller: the end of the chain of windows */
    mov     a6, a1              /* argc, argv and so on are there */
    call4   port_start

/* long port_syscall(long number, long first, long second, long third) */
    .align  4
    .global port_syscall
    .type   port_syscall, @function
port_syscall:
    entry   a1, 16
    mov     a6, a3              /* Linux takes the number in a2, the arguments in a6, a3, a4, a5 */
    mov     a3, a4
    mov     a4, a5
    syscall
    retw

/* void spill(int depth): has the registers of all callers in the stack, because the ring was turned once. */
    .align  4
    .type   spill, @function
spill:
    entry   a1, 32
    beqz    a2, 1f
    addi    a10, a2, -1
    call8   spill
1:  retw

/* The layout of jmp_buf is partly fixed by native code, which finds a4 in word 4:
 *     0 to 7     a0 to a7 of the function that called setjmp
 *     8 to 11    a0 to a3 of its caller, which move in the stack if it calls alloca() later
 *     12, 13     a0 and a1 of setjmp: where to return to, and the stack pointer above the words 0 to 3
 *     14         the stack pointer of the caller's caller, above the words 4 to 7
 */
    .macro  copy to, offset, from, start, scratch
    l32i    \scratch, \from, \start
    s32i    \scratch, \to, \offset
    l32i    \scratch, \from, \start + 4
    s32i    \scratch, \to, \offset + 4
    l32i    \scratch, \from, \start + 8
    s32i    \scratch, \to, \offset + 8
    l32i    \scratch, \from, \start + 12
    s32i    \scratch, \to, \offset + 12
    .endm

    .align  4
    .global setjmp
    .type   setjmp, @function
setjmp:
    entry   a1, 32
    movi    a10, NAREGS / 8
    call8   spill
    addi    a3, a1, -16         /* a0 to a3 of the caller; its a1 is the second of them */
    copy    a2, 0, a3, 0, a4
    l32i    a5, a3, 4
    addi    a5, a5, -16         /* a0 to a3 of the caller's caller */
    copy    a2, 32, a5, 0, a4
    l32i    a6, a5, 4
    s32i    a6, a2, 56
    addi    a6, a6, -32         /* a4 to a7 of the caller */
    copy    a2, 16, a6, 0, a4
    s32i    a0, a2, 48
    s32i    a1, a2, 52
    movi    a2, 0
    retw

    .align  4
    .global longjmp
    .type   longjmp, @function
longjmp:
    entry   a1, 32
    movi    a10, NAREGS / 8
    call8   spill               /* from here on the stack alone has the registers of the callers, as retw will find */
    l32i    a5, a2, 52
    addi    a6, a5, -16
    copy    a6, 0, a2, 0, a4
    l32i    a6, a2, 4
    addi    a6, a6, -16
    copy    a6, 0, a2, 32, a4
    l32i    a6, a2, 56
    addi    a6, a6, -32
    copy    a6, 0, a2, 16, a4
    l32i    a0, a2, 48
    movi    a4, 1
    moveqz  a3, a4, a3
    mov     a2, a3
    mov     a1, a5
    retw
