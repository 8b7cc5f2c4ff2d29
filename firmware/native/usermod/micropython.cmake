# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# The module _dice in firmware that is built with CMake, for ESP32 and RP2: USER_C_MODULES=(this file).
#
# DICE_P256 chooses P-256 (p256.c); by default it is mbedtls on an ESP32, and small elsewhere. For fast, set DICE_BEARSSL to BearSSL's
# source, and DICE_COMB to a folder with comb.h; `dicectl build` sets all three.
if(NOT DEFINED DICE_P256)
    if(DEFINED IDF_TARGET)
        set(DICE_P256 mbedtls)
    else()
        set(DICE_P256 small)
    endif()
endif()
add_library(usermod_dice INTERFACE)
target_sources(usermod_dice INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/module.c
    ${CMAKE_CURRENT_LIST_DIR}/aes.c
    ${CMAKE_CURRENT_LIST_DIR}/p256.c
)
target_include_directories(usermod_dice INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/../core
    ${MICROPY_DIR}/lib/mbedtls/3rdparty/p256-m/p256-m
)
# The rest of the firmware is compiled for size. (An optimize pragma switches on what GCC has off for a Cortex-M0+: 40 % slower.)
set_source_files_properties(
    ${CMAKE_CURRENT_LIST_DIR}/aes.c
    ${CMAKE_CURRENT_LIST_DIR}/p256.c
    PROPERTIES COMPILE_OPTIONS "-O2;-fno-strict-aliasing"
)
if(DICE_P256 STREQUAL mbedtls)
    target_compile_definitions(usermod_dice INTERFACE DICE_P256_MBEDTLS=1)
elseif(DICE_P256 STREQUAL fast)
    target_compile_definitions(usermod_dice INTERFACE DICE_FAST=1)
    target_include_directories(usermod_dice INTERFACE ${DICE_COMB} ${DICE_BEARSSL}/inc ${DICE_BEARSSL}/src)
elseif(NOT DICE_P256 STREQUAL small)
    message(FATAL_ERROR "DICE_P256 is ${DICE_P256}: it must be small, fast or mbedtls")
endif()
target_link_libraries(usermod INTERFACE usermod_dice)
