// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT

#include <stdlib.h>
#include <sys/random.h>

#include "esp_random.h"

void esp_fill_random(void *buffer, size_t size) {
    if (getrandom(buffer, size, 0) != (ssize_t)size) {
        abort();
    }
}
