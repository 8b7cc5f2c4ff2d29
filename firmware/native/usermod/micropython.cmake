# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# The module _dice in firmware that is built with CMake, for ESP32 and RP2: USER_C_MODULES=(this file).
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
if(DEFINED IDF_TARGET)
    target_compile_definitions(usermod_dice INTERFACE DICE_P256_MBEDTLS=1)
endif()
target_link_libraries(usermod INTERFACE usermod_dice)
