// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// System calls of Linux on Xtensa, as qemu-xtensa takes them.

#include "system.h"

#define OPEN (8)
#define CLOSE (9)
#define READ (12)
#define WRITE (13)
#define EXIT (118)
#define CREATE_AND_TRUNCATE (01 | 0100 | 01000)

long port_syscall(long number, long first, long second, long third);
int port_main(int argc, char **argv);

__attribute__((used)) void port_start(long *stack) {
    port_exit(port_main(stack[0], (char **)(stack + 1)));
}

int port_read(const char *path, void *buffer, size_t size) {
    long file = port_syscall(OPEN, (long)path, 0, 0);
    if (file < 0) {
        return file;
    }
    size_t count = 0;
    while (count < size) {
        long result = port_syscall(READ, file, (long)buffer + count, size - count);
        if (result <= 0) {
            break;
        }
        count += result;
    }
    port_syscall(CLOSE, file, 0, 0);
    return count;
}

static bool write_all(long file, const char *data, size_t size) {
    while (size) {
        long result = port_syscall(WRITE, file, (long)data, size);
        if (result <= 0) {
            return false;
        }
        data += result;
        size -= result;
    }
    return true;
}

bool port_write(const char *path, const void *data, size_t size) {
    long file = port_syscall(OPEN, (long)path, CREATE_AND_TRUNCATE, 0644);
    bool done = file >= 0 && write_all(file, data, size);
    port_syscall(CLOSE, file, 0, 0);
    return done;
}

int port_getc(void) {
    unsigned char byte;
    return port_syscall(READ, 0, (long)&byte, 1) == 1 ? byte : -1;
}

void port_puts(const char *data, size_t size) {
    write_all(1, data, size);
}

void port_exit(int status) {
    for (;;) {
        port_syscall(EXIT, status, 0, 0);
    }
}
