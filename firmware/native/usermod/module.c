// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// The module _dice in firmware of our own: core/ over the Mbed TLS of the firmware. The native .mpy for stock firmware has the same
// functions (natmod/).

#include "py/mperrno.h"
#include "py/runtime.h"

enum { n_kw = 0 };
#define FUNCTION(name) static mp_obj_t name(size_t n_args, const mp_obj_t *args)

#include "../binding.h"

// Of core/ccm.c.
__attribute__((noreturn)) void dice_aes_failed(void);

void dice_aes_failed(void) {
    mp_raise_OSError(MP_EIO);
}

// Of p256_mbedtls.c.
__attribute__((noreturn)) void dice_p256_failed(bool memory);

void dice_p256_failed(bool memory) {
    if (memory) {
        mp_raise_type(&mp_type_MemoryError);
    }
    mp_raise_OSError(MP_EIO);
}

static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(dice_public_obj, 1, 1, dice_public);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(dice_ecdh_obj, 2, 2, dice_ecdh);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(dice_sign_obj, 3, 3, dice_sign);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(dice_verify_obj, 3, 3, dice_verify);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(dice_crypt_obj, 9, 9, dice_crypt);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(dice_seal_obj, 7, 7, dice_seal);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(dice_open_obj, 4, 4, dice_open);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(dice_open_next_obj, 3, 3, dice_open_next);

static const mp_rom_map_elem_t globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__dice)},
    {MP_ROM_QSTR(MP_QSTR_VERSION), MP_ROM_INT(DICE_VERSION)},
    {MP_ROM_QSTR(MP_QSTR_public), MP_ROM_PTR(&dice_public_obj)},
    {MP_ROM_QSTR(MP_QSTR_ecdh), MP_ROM_PTR(&dice_ecdh_obj)},
    {MP_ROM_QSTR(MP_QSTR_sign), MP_ROM_PTR(&dice_sign_obj)},
    {MP_ROM_QSTR(MP_QSTR_verify), MP_ROM_PTR(&dice_verify_obj)},
    {MP_ROM_QSTR(MP_QSTR_crypt), MP_ROM_PTR(&dice_crypt_obj)},
    {MP_ROM_QSTR(MP_QSTR_seal), MP_ROM_PTR(&dice_seal_obj)},
    {MP_ROM_QSTR(MP_QSTR_open), MP_ROM_PTR(&dice_open_obj)},
    {MP_ROM_QSTR(MP_QSTR_open_next), MP_ROM_PTR(&dice_open_next_obj)},
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t dice_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&globals,
};

MP_REGISTER_MODULE(MP_QSTR__dice, dice_module);
