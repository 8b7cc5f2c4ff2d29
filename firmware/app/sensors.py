# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The sensors of a node: functions that return text as bytes, such as b"21.4"; make() returns the one of app.json.

A sensor that this board has not, or that app.json describes wrongly, raises when it is read: it costs the node nothing else.
"""

import errno
import sys

import pins

_LM75 = 0x48  # and of compatible chips such as the TMP102
_RP2040_CHANNEL = 4  # and of an RP2350 with 60 pins; firmware before ADC.CORE_TEMP knows no other


def chip():
    """Return the temperature of the chip in degrees Celsius: an RP2040, RP2350, or any ESP32. Others raise OSError."""
    try:
        import esp32
    except ImportError:
        esp32 = None
    if hasattr(esp32, "mcu_temperature"):
        return b"%d" % esp32.mcu_temperature()
    if hasattr(esp32, "raw_temperature"):  # the original ESP32, in degrees Fahrenheit
        return b"%.1f" % ((esp32.raw_temperature() - 32) / 1.8)
    if sys.platform != "rp2":
        raise OSError(errno.ENODEV, "this chip's temperature cannot be read: choose another sensor in app.json")
    from machine import ADC

    volts = ADC(getattr(ADC, "CORE_TEMP", _RP2040_CHANNEL)).read_u16() * 3.3 / 65535
    return b"%.1f" % (27 - (volts - 0.706) / 0.001721)


def lm75(options):
    """Return the function of an LM75 on I2C: {"sensor": "lm75", "i2c": 0, "scl": 5, "sda": 4, "i2c_address": 72}."""
    buses = []

    def read():
        if not buses:
            buses.append(_i2c(options))
        high, low = buses[0].readfrom_mem(options.get("i2c_address", _LM75), 0, 2)
        return b"%.1f" % ((high - 256 * (high >> 7)) + (low >> 7) / 2)

    return read


def _i2c(options):
    from machine import I2C, Pin

    return I2C(options.get("i2c", 0), scl=Pin(pins.find(options["scl"])), sda=Pin(pins.find(options["sda"])))


def simulated(options):
    """Return the function of a made-up sensor, which rises and falls between 20.0 and 21.9."""
    state = [0]

    def read():
        state[0] = (state[0] + 1) % 40
        return b"%.1f" % (20 + min(state[0], 39 - state[0]) / 10)

    return read


def make(name, options):
    """Return the function of the sensor that app.json names: "chip", "lm75" or "simulated"."""
    if name == "lm75":
        return lm75(options)
    if name == "simulated":
        return simulated(options)

    def unknown():
        raise OSError(errno.ENODEV, "app.json names no sensor: %s is neither chip, lm75 nor simulated" % name)

    return chip if name == "chip" else unknown
