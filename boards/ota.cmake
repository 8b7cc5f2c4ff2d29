# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# BOARD_VARIANT=OTA of the ESP32 boards: two places for the firmware, of which esp32.Partition can write the one that is not in use.
# DICE_FLASH is the size of the flash, 4MiB or 8MiB. NVS stays where MicroPython's own tables have it, so the counters in it outlive
# the change of the table; the file system does not.
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.ota
    "CONFIG_PARTITION_TABLE_CUSTOM=y\n"
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${CMAKE_CURRENT_LIST_DIR}/partitions-${DICE_FLASH}-ota.csv\"\n"
    "CONFIG_COMPILER_OPTIMIZATION_SIZE=y\n"
    "CONFIG_COMPILER_OPTIMIZATION_PERF=n\n"
)
list(APPEND SDKCONFIG_DEFAULTS ${CMAKE_BINARY_DIR}/sdkconfig.ota)
