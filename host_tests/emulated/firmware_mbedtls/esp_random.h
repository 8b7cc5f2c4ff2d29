// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// ESP-IDF's header of this name has the same function.

#include <stddef.h>

void esp_fill_random(void *buffer, size_t size);
