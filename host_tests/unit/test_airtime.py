# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The airtime of messages: the formulas against numbers that others have published, and the command that prints them."""

import json
from math import ceil, isclose

from click.testing import CliRunner

from dicectl.cli import bench
from dicectl.measure import airtime


def test_the_formula_of_lora_gives_a_published_time():
    """A calculator of the LoRa modem designer's guide (AN1200.13) says: 13 bytes with SF9 are 28 symbols, 164.864 ms."""
    assert isclose(airtime.lora_ms(13, 9), 164.864)


def test_the_formula_of_lora_agrees_with_that_of_another_chip():
    """Written down a second time, in the form of the manual of the LR1110, section 8.2.2.4: bits without CRC and header."""
    for size in (0, 9, 16, 31, 51, 255):
        for factor in range(7, 13):
            bits = max(8 * size + 16 - 4 * factor + 8 + 20, 0)
            symbols = 8 + 4.25 + 8 + ceil(bits / (4 * factor if factor < 11 else 4 * (factor - 2))) * 5
            assert isclose(airtime.lora_ms(size, factor), 2**factor / 125 * symbols), (size, factor)


def test_frames_of_the_other_links_have_the_sizes_of_their_standards():
    """The longest ones: 127 bytes behind preamble, SFD and length; an ESP-NOW action frame of 293 bytes; 10 bits a byte."""
    assert isclose(airtime.ieee802154_ms(127 - 11), (6 + 127) * 0.032)
    assert isclose(airtime.espnow_ms(250), 0.192 + 293 * 0.008)
    assert isclose(airtime.serial_ms(1150), 100)


def test_a_command_of_2_bytes_has_16_bytes_instead_of_31_and_the_sizes_of_others():
    assert list(airtime.sizes().values()) == [31, 16, 9, 38, 23, 91]


def test_the_command_prints_the_table_and_json():
    """The page has the same figures: tools/generate.py writes them there."""
    printed = CliRunner().invoke(bench.command, ["--airtime"], catch_exceptions=False).output
    assert [line.split("  ")[0] for line in printed.splitlines()[3:]] == list(airtime.sizes())
    found = json.loads(CliRunner().invoke(bench.command, ["--airtime", "--json"], catch_exceptions=False).output)
    assert found == airtime.figures()


def test_what_the_page_says_of_the_gain():
    """15 % on ESP-NOW, 31 % on IEEE 802.15.4, and a quarter to a third on LoRa."""
    whole, recoded = (airtime.figures()[f"`dice`, {how}"] for how in ("whole", "recoded"))
    gain = {link: round(100 - 100 * recoded[link] / whole[link]) for link in whole}
    assert (gain["espnow"], gain["802.15.4"]) == (15, 31)
    assert all(25 <= gain[f"lora_sf{factor}"] <= 34 for factor in range(7, 13))
