// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// Start of a Cortex-M33, and Arm's semihosting, by which QEMU gives access to files of the host.

#include <string.h>

#include "system.h"

#define OPEN (0x01)
#define CLOSE (0x02)
#define WRITE (0x05)
#define READ (0x06)
#define GET_COMMAND_LINE (0x15)
#define EXIT_EXTENDED (0x20)
#define APPLICATION_EXIT (0x20026)
#define MODE_READ (1) // "rb"
#define MODE_WRITE (5) // "wb"
#define CPACR (*(volatile uint32_t *)0xe000ed88)
#define FLOATING_POINT (0xf << 20)

extern char stack_top;
int port_main(int argc, char **argv);
void port_reset(void);
static void fault(void);

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &stack_top, port_reset, fault, fault, fault, fault, fault, fault, 0, 0, 0, fault, fault, 0, fault, fault,
};

static int input, output;

static __attribute__((noinline)) int semihosting(int operation, const void *argument) {
    register int result __asm__("r0") = operation;
    register const void *block __asm__("r1") = argument;
    __asm volatile ("bkpt 0xab" : "+r" (result) : "r" (block) : "memory");
    return result;
}

static int open_file(const char *path, int mode) {
    const uintptr_t block[] = {(uintptr_t)path, mode, strlen(path)};
    return semihosting(OPEN, block);
}

static void close_file(int file) {
    const uintptr_t block[] = {file};
    semihosting(CLOSE, block);
}

// Returns how many bytes were neither read nor written.
static size_t transfer(int operation, int file, const void *data, size_t size) {
    const uintptr_t block[] = {file, (uintptr_t)data, size};
    return semihosting(operation, block);
}

void port_reset(void) {
    static char line[1024];
    static char *argv[4];
    int argc = 0;
    CPACR |= FLOATING_POINT;
    __asm volatile ("dsb\n isb");
    input = open_file("/dev/stdin", MODE_READ);
    output = open_file("/dev/stdout", MODE_WRITE);
    uintptr_t block[] = {(uintptr_t)line, sizeof(line)};
    semihosting(GET_COMMAND_LINE, block);
    for (char *word = line; *word && argc < 4; argc++) { // paths without spaces
        argv[argc] = word;
        while (*word && *word != ' ') {
            word++;
        }
        if (*word) {
            *word++ = 0;
        }
    }
    port_exit(port_main(argc, argv));
}

static void fault(void) {
    port_puts("the processor found a fault\n", 28);
    port_exit(3);
}

int port_read(const char *path, void *buffer, size_t size) {
    int file = open_file(path, MODE_READ);
    if (file < 0) {
        return file;
    }
    size_t left = transfer(READ, file, buffer, size);
    close_file(file);
    return size - left;
}

bool port_write(const char *path, const void *data, size_t size) {
    int file = open_file(path, MODE_WRITE);
    bool done = file >= 0 && transfer(WRITE, file, data, size) == 0;
    close_file(file);
    return done;
}

int port_getc(void) {
    unsigned char byte;
    return transfer(READ, input, &byte, 1) == 0 ? byte : -1;
}

void port_puts(const char *data, size_t size) {
    transfer(WRITE, output, data, size);
}

void port_exit(int status) {
    const uintptr_t block[] = {APPLICATION_EXIT, status};
    for (;;) {
        semihosting(EXIT_EXTENDED, block);
    }
}
