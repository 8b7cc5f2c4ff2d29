# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Which AES-CCM dice.crypto takes: `_dice` of the right version, else CTR if cryptolib has it, else what all firmware has."""

import shutil
import subprocess

import pytest

from dicectl import resources
from dicectl.firmware import unix_port

SCRIPT = """
import sys
from dice import crypto
if "dice.crypto.native" in sys.modules and hasattr(sys.modules["dice.crypto.native"], "crypt"):
    print("native", "_dice" in sys.modules and crypto.crypt is getattr(sys.modules["_dice"], "crypt", None))
print([name[12:] for name in sorted(sys.modules) if name.startswith("dice.crypto.ccm")])
"""
RIGHT = "VERSION = 2\ndef crypt(*_):\n    pass\nseal = open = open_next = crypt\n"
# A cryptolib with the CTR mode, and one that refuses it as stock firmware does.
CTR = "def aes(key, mode, iv=None):\n    assert mode in (1, 2, 6)\n"
STOCK = "def aes(key, mode, iv=None):\n    if mode not in (1, 2):\n        raise ValueError('mode')\n"
CASES = {
    "stock": ({"cryptolib": STOCK}, ["['ccm_viper']"]),
    "ctr": ({"cryptolib": CTR}, ["native False", "['ccm_ctr']"]),
    "c": ({"_dice": RIGHT, "cryptolib": STOCK}, ["native True", "[]"]),
    "c and ctr": ({"_dice": RIGHT, "cryptolib": CTR}, ["native True", "[]"]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_best_that_the_firmware_has_is_taken(case, tmp_path):
    modules, wanted = CASES[case]
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
    environment = unix_port.environment(f"{tmp_path}:{resources.LIB}")
    done = subprocess.run([unix_port.find(), "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert (done.stderr, done.stdout.splitlines()) == ("", wanted)


@pytest.mark.parametrize("cryptolib", (STOCK, CTR))
@pytest.mark.parametrize("text", (RIGHT.replace("2", "1"), RIGHT.replace("2", "0"), "VERSION = 0\n", "", "VERSION = 2\n"))
def test_a_module_of_another_version_is_an_error(cryptolib, text, tmp_path):
    """Neither slower code nor what it lacks: the program ends."""
    (tmp_path / "_dice.py").write_text(text)
    (tmp_path / "cryptolib.py").write_text(cryptolib)
    environment = unix_port.environment(f"{tmp_path}:{resources.LIB}")
    done = subprocess.run([unix_port.find(), "-c", SCRIPT], env=environment, capture_output=True, text=True)
    wanted = "RuntimeError: _dice is of another version: deploy it again" if text not in ("", "VERSION = 2\n") else "AttributeError"
    assert done.returncode
    assert wanted in done.stdout + done.stderr


def test_without_the_module_that_chooses_it_is_what_all_firmware_has(tmp_path):
    """As on a board whose profile has no native.py, whatever else it has."""
    shutil.copytree(resources.LIB / "dice", tmp_path / "dice", ignore=shutil.ignore_patterns("native.py", "__pycache__"))
    (tmp_path / "_dice.py").write_text(RIGHT)
    environment = unix_port.environment(f"{tmp_path}:.frozen")
    done = subprocess.run([unix_port.find(), "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert (done.stderr, done.stdout.splitlines()) == ("", ["['ccm_viper']"])
