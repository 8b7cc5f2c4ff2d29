// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// See stdint.h. No function of this header is called.

#ifndef DICE_STDLIB_H
#define DICE_STDLIB_H

#include <stddef.h>

void free(void *memory);
void *calloc(size_t count, size_t size);
void exit(int status);

#endif
