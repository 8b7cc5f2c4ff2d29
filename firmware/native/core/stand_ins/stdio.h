// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// See stdint.h. No function of this header is called.
