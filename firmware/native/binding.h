// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// The functions of the module _dice, between MicroPython and core/; natmod/ and usermod/ include it. Nothing outside
// of a buffer is read or written, whatever Python passes. lib/dice/suites.py says what crypt() does, lib/dice/record.py what seal()
// and open() do, lib/dice/group/native.py what open_next() is for, lib/dice/crypto/curve.py what the others do.
//
// FUNCTION(name) begins a function of n_args arguments, args; in a native .mpy it has n_kw too, which is 0 elsewhere.

#include <string.h>

#include "dice.h"

enum { ON_STACK = 256 }; // bytes of a plaintext; a larger one takes memory of the heap until it is a bytes object
enum { HEADER = 13, DTLS_1_2 = 0xFEFD, APPLICATION_DATA = 23, NUMBER_AT = 3 }; // of a record
enum { RECORD_MIN = 21, DATAGRAM_MAX = 1232 };                                // as in lib/dice/limits.py

static const uint8_t *in_bytes(mp_obj_t object, size_t *size) {
    mp_buffer_info_t info;
    if (mp_obj_get_type(object) == &mp_type_str) {
        mp_raise_TypeError(MP_ERROR_TEXT("a str is not bytes"));
    }
    mp_get_buffer_raise(object, &info, MP_BUFFER_READ);
    *size = info.len;
    return info.buf;
}

static const uint8_t *exactly(mp_obj_t object, size_t wanted) {
    size_t size;
    const uint8_t *bytes = in_bytes(object, &size);
    if (size != wanted) {
        mp_raise_ValueError(MP_ERROR_TEXT("wrong length"));
    }
    return bytes;
}

// A number of bytes or an offset into bytes: not negative, and not large.
static size_t small(mp_obj_t object) {
    if (!mp_obj_is_small_int(object)) {
        mp_raise_TypeError(MP_ERROR_TEXT("not a small integer"));
    }
    mp_int_t value = MP_OBJ_SMALL_INT_VALUE(object);
    if (value < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("negative"));
    }
    return value;
}

static mp_obj_t checked(int status, const uint8_t *bytes, size_t size) {
    if (status) {
        mp_raise_ValueError(MP_ERROR_TEXT("not a key of P-256"));
    }
    return mp_obj_new_bytes(bytes, size);
}

// public(private) -> point
FUNCTION(dice_public) {
    uint8_t point[65];
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    return checked(dice_p256_public(point, exactly(args[0], 32)), point, sizeof point);
}

// ecdh(private, point) -> the shared secret
FUNCTION(dice_ecdh) {
    uint8_t shared[32];
    mp_arg_check_num(n_args, n_kw, 2, 2, false);
    mp_obj_t result = checked(dice_p256_ecdh(shared, exactly(args[0], 32), exactly(args[1], 65)), shared, sizeof shared);
    dice_wipe(shared, sizeof shared);
    return result;
}

// sign(private, digest, k) -> r | s, or None if another k is needed
FUNCTION(dice_sign) {
    uint8_t signature[64];
    mp_arg_check_num(n_args, n_kw, 3, 3, false);
    const uint8_t *private_key = exactly(args[0], 32), *digest = exactly(args[1], 32), *nonce = exactly(args[2], 32);
    switch (dice_p256_sign(signature, private_key, digest, nonce)) {
        case 0:
            return mp_obj_new_bytes(signature, sizeof signature);
        case DICE_ANOTHER_NONCE:
            return mp_const_none;
    }
    return checked(-1, NULL, 0);
}

// verify(point, digest, r | s) -> bool
FUNCTION(dice_verify) {
    mp_arg_check_num(n_args, n_kw, 3, 3, false);
    size_t point_bytes, signature_bytes;
    const uint8_t *point = in_bytes(args[0], &point_bytes), *digest = exactly(args[1], 32);
    const uint8_t *signature = in_bytes(args[2], &signature_bytes);
    return mp_obj_new_bool(point_bytes == 65 && signature_bytes == 64 && !dice_p256_verify(point, digest, signature));
}

static mp_obj_t opened(const dice_ccm *ccm, const uint8_t *ciphertext, size_t length) {
    uint8_t buffer[ON_STACK], *plaintext = length > ON_STACK ? m_new(uint8_t, length) : buffer;
    bool authentic = dice_ccm_open(ccm, plaintext, ciphertext, length);
    mp_obj_t result = authentic ? mp_obj_new_bytes(plaintext, length) : mp_const_none;
    dice_wipe(plaintext, length);
    if (plaintext != buffer) {
        m_del(uint8_t, plaintext, length);
    }
    return result;
}

// The additional data of a record of `length` bytes: epoch | sequence number | type | version | length.
static void header_is_aad(dice_ccm *ccm, uint8_t aad[HEADER], const uint8_t *header, size_t length) {
    memcpy(aad, header + 3, 8);
    memcpy(aad + 8, header, 3);
    aad[11] = length >> 8;
    aad[12] = length;
    ccm->aad = aad;
    ccm->aad_bytes = HEADER;
}

// crypt(start, salt, tag_bytes, number, at, key, data, aad, plaintext)
FUNCTION(dice_crypt) {
    dice_ccm ccm;
    mp_buffer_info_t data;
    uint8_t of_record[HEADER];
    size_t numbers;
    mp_arg_check_num(n_args, n_kw, 9, 9, false);
    size_t start = small(args[0]);
    ccm.salt = exactly(args[1], DICE_SALT);
    ccm.tag_bytes = small(args[2]);
    if (ccm.tag_bytes < 4 || ccm.tag_bytes > 16 || ccm.tag_bytes & 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("tag_bytes"));
    }
    ccm.number = in_bytes(args[3], &numbers);
    size_t at = small(args[4]);
    if (numbers < DICE_NUMBER || at > numbers - DICE_NUMBER) {
        mp_raise_ValueError(MP_ERROR_TEXT("number is too short"));
    }
    ccm.number += at;
    ccm.key = exactly(args[5], DICE_KEY);
    bool opening = args[8] == mp_const_none;
    if (opening) {
        data.buf = (void *)in_bytes(args[6], &data.len);
    } else {
        mp_get_buffer_raise(args[6], &data, MP_BUFFER_WRITE);
    }
    if (data.len < ccm.tag_bytes || start > data.len - ccm.tag_bytes) {
        return mp_const_none;
    }
    size_t length = data.len - ccm.tag_bytes - start;
    if (length > DICE_TEXT_MAX) {
        mp_raise_ValueError(MP_ERROR_TEXT("too long"));
    }
    uint8_t *text = (uint8_t *)data.buf + start;
    if (args[7] == mp_const_none) {
        if (data.len < HEADER) {
            mp_raise_ValueError(MP_ERROR_TEXT("no header"));
        }
        header_is_aad(&ccm, of_record, data.buf, length);
    } else {
        ccm.aad = in_bytes(args[7], &ccm.aad_bytes);
        if (ccm.aad_bytes > DICE_AAD_MAX) {
            mp_raise_ValueError(MP_ERROR_TEXT("aad is too long"));
        }
    }
    if (opening) {
        return opened(&ccm, text, length);
    }
    dice_ccm_seal(&ccm, text, exactly(args[8], length), length);
    return mp_const_none;
}

// An unsigned integer of at most 48 bits.
static uint64_t number48(mp_obj_t object) {
    size_t high = 0;
    uint32_t low = mp_obj_get_int_truncated(object);
    if (!mp_obj_is_small_int(object) || (sizeof(mp_int_t) > 4 && MP_OBJ_SMALL_INT_VALUE(object) >> 31)) {
        high = small(mp_binary_op(MP_BINARY_OP_RSHIFT, object, MP_OBJ_NEW_SMALL_INT(32)));
    } else {
        low = small(object);
    }
    if (high > 0xFFFF) {
        mp_raise_ValueError(MP_ERROR_TEXT("too large"));
    }
    return (uint64_t)high << 32 | low;
}

static uint8_t *big_endian(uint8_t *to, uint64_t value, size_t bytes) {
    for (size_t i = bytes; i--; value >>= 8) {
        to[i] = value;
    }
    return to + bytes;
}

// What seal() and open() need of the cipher of a suite.
static mp_obj_t *parts_of(mp_obj_t cipher) {
    size_t count;
    mp_obj_t *parts;
    mp_obj_get_array(cipher, &count, &parts);
    if (count < 6) {
        mp_raise_ValueError(MP_ERROR_TEXT("cipher"));
    }
    return parts;
}

// seal(cipher, key, salt, content_type, epoch, sequence, plaintext) -> a bytearray
FUNCTION(dice_seal) {
    mp_arg_check_num(n_args, n_kw, 7, 7, false);
    uint64_t sequence = number48(args[5]); // first: the method of an object that is no int may change a list
    mp_obj_t *parts = parts_of(args[0]);
    size_t start = small(parts[1]), tag_bytes = small(parts[3]), length, content_type = small(args[3]), epoch = small(args[4]);
    in_bytes(args[6], &length);
    if (content_type > 0xFF || epoch > 0xFFFF || start < HEADER || start > 0xFF || tag_bytes > 0xFF || length > 0xFFFF) {
        mp_raise_ValueError(MP_ERROR_TEXT("too large"));
    }
    size_t size = start + length + tag_bytes;
    if (size - HEADER > 0xFFFF) {
        mp_raise_ValueError(MP_ERROR_TEXT("too large"));
    }
    uint8_t *datagram = m_new(uint8_t, size), *at = datagram;
    memset(datagram, 0, size);
    mp_obj_t result = mp_obj_new_bytearray_by_ref(size, datagram);
    *at++ = content_type;
    at = big_endian(at, DTLS_1_2, 2);
    at = big_endian(at, (uint64_t)epoch << 48 | sequence, 8);
    at = big_endian(at, size - HEADER, 2);
    if (start - HEADER >= 8) { // the explicit nonce
        big_endian(at, (uint64_t)epoch << 48 | sequence, 8);
    }
    mp_obj_t of_crypt[9] = {parts[1], args[2], parts[3], result, MP_OBJ_NEW_SMALL_INT(NUMBER_AT), args[1], result, mp_const_none, args[6]};
    mp_call_function_n_kw(parts[0], 9, 0, of_crypt);
    return result;
}

// open(cipher, key, salt, datagram) -> bytes, or None
FUNCTION(dice_open) {
    mp_arg_check_num(n_args, n_kw, 4, 4, false);
    mp_obj_t *parts = parts_of(args[0]);
    mp_obj_t of_crypt[9] = {parts[1], args[2], parts[3], args[3], parts[2], args[1], args[3], mp_const_none, mp_const_none};
    return mp_call_function_n_kw(parts[0], 9, 0, of_crypt);
}

static size_t two_bytes(const uint8_t *from) {
    return from[0] << 8 | from[1];
}

// The Sender of a group record in lib/dice/group/context.py, and its SenderID, if it is well-formed, of the epoch of the Context, from
// another device, and the next in order of its sender; else MP_OBJ_NULL.
static mp_obj_t sender_of(mp_obj_t context, const uint8_t *datagram, size_t size, mp_obj_t *sender_id) {
    if (size < RECORD_MIN || size > DATAGRAM_MAX || datagram[0] != APPLICATION_DATA || two_bytes(datagram + 1) != DTLS_1_2
        || two_bytes(datagram + 11) != size - HEADER || two_bytes(datagram + NUMBER_AT) != small(mp_load_attr(context, MP_QSTR_epoch))) {
        return MP_OBJ_NULL;
    }
    size_t id = datagram[5], sequence = 0, i = 6;
    if (small(mp_load_attr(context, MP_QSTR_id_bytes)) == 2) {
        id = id << 8 | datagram[i++];
    }
    for (; i < 11; i++) {
        if (sequence >> 21) { // it would not be a small integer on a board; no sender seals as many
            return MP_OBJ_NULL;
        }
        sequence = sequence << 8 | datagram[i];
    }
    *sender_id = MP_OBJ_NEW_SMALL_INT(id);
    if (mp_load_attr(context, MP_QSTR_own_id) == *sender_id) {
        return MP_OBJ_NULL;
    }
    mp_obj_t call[3];
    mp_load_method(mp_load_attr(context, MP_QSTR_senders), MP_QSTR_get, call);
    call[2] = *sender_id;
    mp_obj_t sender = mp_call_method_n_kw(1, 0, call);
    if (sender == mp_const_none || mp_load_attr(sender, MP_QSTR_next) != MP_OBJ_NEW_SMALL_INT(sequence)) {
        return MP_OBJ_NULL;
    }
    return sender;
}

// open_next(crypt, context, datagram) -> (its Sender, its SenderID, plaintext), with None for one whose tag does not verify. None if
// the record is not what sender_of() describes, or the suite of the Context is not AES-CCM by `crypt`.
FUNCTION(dice_open_next) {
    mp_arg_check_num(n_args, n_kw, 3, 3, false);
    size_t size, again, state_bytes;
    const uint8_t *datagram = in_bytes(args[2], &size);
    uint8_t aad[HEADER];
    mp_obj_t found[3];
    if (size < HEADER) {
        return mp_const_none;
    }
    memcpy(aad, datagram, HEADER); // methods of a Context that is another object may change its bytes, and all that it has
    found[0] = sender_of(args[1], aad, size, &found[1]);
    if (found[0] == MP_OBJ_NULL) {
        return mp_const_none;
    }
    mp_obj_t cipher = mp_load_attr(args[1], MP_QSTR_cipher), state_of = mp_load_attr(args[1], MP_QSTR_state);
    size_t at = small(mp_load_attr(found[0], MP_QSTR_at));
    datagram = in_bytes(args[2], &again);
    mp_obj_t *parts = parts_of(cipher);
    if (again != size || parts[0] != args[0]) {
        return mp_const_none;
    }
    dice_ccm ccm;
    size_t start = small(parts[1]), number_at = small(parts[2]);
    ccm.tag_bytes = small(parts[3]);
    const uint8_t *state = in_bytes(state_of, &state_bytes);
    if (small(parts[4]) != DICE_SALT || small(parts[5]) != DICE_KEY + DICE_SALT || ccm.tag_bytes < 4 || ccm.tag_bytes > 16
        || ccm.tag_bytes & 1 || start < HEADER || start > size - ccm.tag_bytes || number_at > size - DICE_NUMBER || at > state_bytes
        || at < DICE_KEY + DICE_SALT) {
        return mp_const_none;
    }
    size_t length = size - ccm.tag_bytes - start;
    ccm.salt = state + at - DICE_SALT;
    ccm.key = ccm.salt - DICE_KEY;
    ccm.number = datagram + number_at;
    header_is_aad(&ccm, aad, datagram, length);
    found[2] = opened(&ccm, datagram + start, length);
    return mp_obj_new_tuple(3, found);
}
