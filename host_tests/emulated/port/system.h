// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// What the rest of the port asks of the system below it.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int port_read(const char *path, void *buffer, size_t size); // the number of bytes read, or a negative error
bool port_write(const char *path, const void *data, size_t size);
int port_getc(void); // a byte of standard input, or -1 at its end
void port_puts(const char *data, size_t size);
void port_exit(int status) __attribute__((noreturn));
