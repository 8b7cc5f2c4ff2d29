// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// See stdint.h.

#define assert(condition) ((void)0)
#ifndef __cplusplus
#define static_assert _Static_assert
#endif
