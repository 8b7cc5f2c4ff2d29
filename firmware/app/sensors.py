# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The sensors of a node: functions that return text as bytes, such as b"21.4"; make() returns the one of app.json."""

_LM75 = 0x48  # and of compatible chips such as the TMP102


def chip():
    """Return the temperature of the chip in degrees Celsius: an RP2040, RP2350 or ESP32."""
    try:
        from esp32 import mcu_temperature
    except ImportError:
        from machine import ADC

        volts = ADC(4).read_u16() * 3.3 / 65535
        return b"%.1f" % (27 - (volts - 0.706) / 0.001721)
    return b"%d" % mcu_temperature()


def lm75(options):
    """Return the function of an LM75 on I2C: {"sensor": "lm75", "i2c": 0, "scl": 5, "sda": 4, "i2c_address": 72}."""
    from machine import I2C, Pin

    bus = I2C(options.get("i2c", 0), scl=Pin(options["scl"]), sda=Pin(options["sda"]))
    address = options.get("i2c_address", _LM75)

    def read():
        high, low = bus.readfrom_mem(address, 0, 2)
        return b"%.1f" % ((high - 256 * (high >> 7)) + (low >> 7) / 2)

    return read


def simulated(options):
    """Return the function of a made-up sensor, which rises and falls between 20.0 and 21.9."""
    state = [0]

    def read():
        state[0] = (state[0] + 1) % 40
        return b"%.1f" % (20 + min(state[0], 39 - state[0]) / 10)

    return read


def make(name, options):
    """Return the function of the sensor that app.json names: "chip", "lm75" or "simulated"."""
    if name == "chip":
        return chip
    return {"lm75": lm75, "simulated": simulated}[name](options)
