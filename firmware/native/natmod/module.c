// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// The module _dice for stock firmware of MicroPython: core/ in a native .mpy.

#include "py/dynruntime.h"

#ifndef mp_call_method_n_kw // the table of functions has it, dynruntime.h of 1.25 does not
#define mp_call_method_n_kw(n_args, n_kw, args) (mp_fun_table.call_method_n_kw((n_args), (n_kw), (args)))
#endif
#define FUNCTION(name) static mp_obj_t name(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args)

#include "../binding.h"

__attribute__((used, externally_visible)) mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    mp_store_global(MP_QSTR_VERSION, MP_OBJ_NEW_SMALL_INT(DICE_VERSION));
    mp_store_global(MP_QSTR_public, MP_DYNRUNTIME_MAKE_FUNCTION(dice_public));
    mp_store_global(MP_QSTR_ecdh, MP_DYNRUNTIME_MAKE_FUNCTION(dice_ecdh));
    mp_store_global(MP_QSTR_sign, MP_DYNRUNTIME_MAKE_FUNCTION(dice_sign));
    mp_store_global(MP_QSTR_verify, MP_DYNRUNTIME_MAKE_FUNCTION(dice_verify));
    mp_store_global(MP_QSTR_crypt, MP_DYNRUNTIME_MAKE_FUNCTION(dice_crypt));
    mp_store_global(MP_QSTR_seal, MP_DYNRUNTIME_MAKE_FUNCTION(dice_seal));
    mp_store_global(MP_QSTR_open, MP_DYNRUNTIME_MAKE_FUNCTION(dice_open));
    mp_store_global(MP_QSTR_open_next, MP_DYNRUNTIME_MAKE_FUNCTION(dice_open_next));
    MP_DYNRUNTIME_INIT_EXIT
}
