# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A missing crypto back end is an error on both interpreters; it is never replaced by a slower or leakier one."""

import importlib
import os
import subprocess
import sys
import types

import pytest

from dice.codes import NATIVE_VERSION
from dicectl import resources
from dicectl.firmware import unix_port

HIDE = """
import sys
class Nothing: pass
sys.modules[{name!r}] = {nothing}
try:
    import dice.crypto
except ImportError as error:
    print("ImportError", {name!r})
else:
    print("imported", dice.crypto.name())
"""


def printed(argv, environment):
    """Return the output of a command."""
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("name", ["cryptography", "cryptography.hazmat.primitives.ciphers"])
def test_cpython_without_the_cryptography_package_raises(name):
    environment = {**os.environ, "PYTHONPATH": str(resources.LIB)}
    assert printed([sys.executable, "-c", HIDE.format(name=name, nothing=None)], environment) == ["ImportError", name]


@pytest.mark.parametrize("name", ["cryptolib", "hashlib"])
def test_micropython_without_its_ciphers_raises(name):
    """A firmware without them lacks these names in a module, or the module."""
    argv = [unix_port.find(), "-c", HIDE.format(name=name, nothing="Nothing()")]
    assert printed(argv, unix_port.environment()) == ["ImportError", name]


def test_the_back_end_is_imported_if_nothing_is_missing():
    """Without this the tests above would prove nothing."""
    program = HIDE.format(name="teapot", nothing=None)
    environment = {**os.environ, "PYTHONPATH": str(resources.LIB)}
    assert printed([sys.executable, "-c", program], environment)[:2] == ["imported", "host"]
    assert printed([unix_port.find(), "-c", program], unix_port.environment())[:2] == ["imported", "device"]


def test_the_back_end_of_p256(tmp_path):
    """A native module of this version is used; one of another version is an error, and not replaced by slower, leakier code."""
    functions = "def public(): pass\necdh = sign = verify = crypt = seal = open = open_next = public\n"

    def said(version):
        if version is not None:
            (tmp_path / "_dice.py").write_text(f"VERSION = {version}\n{functions}")
        environment = unix_port.environment(f"{resources.LIB}:{tmp_path}")
        return printed([unix_port.find(), "-c", "from dice.crypto import curve\nprint(curve.name())"], environment)

    assert said(None) == ["pure"]
    assert said(NATIVE_VERSION) == ["native"]
    with pytest.raises(subprocess.CalledProcessError) as error:
        said(NATIVE_VERSION + 1)
    assert "Error: _dice is of another version" in error.value.stdout + error.value.stderr


@pytest.mark.parametrize("platform", ["esp32", "rp2"])
@pytest.mark.parametrize("as_file", [True, False])
def test_an_accelerator_is_preferred_to_a_file_that_computes_in_software(monkeypatch, platform, as_file):
    """Only a `_dice` of the firmware of an ESP32 uses it. Doubles stand for all that a board has."""
    module = types.ModuleType("_dice")
    module.VERSION, module.crypt = NATIVE_VERSION, "crypt of _dice"
    module.seal, module.open, module.open_next = "seal", "open", "open_next"
    if as_file:
        module.__file__ = "/lib/_dice.mpy"
    doubles = {"_dice": module, "cryptolib": types.SimpleNamespace(aes=lambda *_: None)}
    doubles["dice.crypto.ccm_ctr"] = types.SimpleNamespace(crypt="crypt of ccm_ctr")
    for name, double in doubles.items():
        monkeypatch.setitem(sys.modules, name, double)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delitem(sys.modules, "dice.crypto.native", raising=False)
    native = importlib.import_module("dice.crypto.native")
    monkeypatch.delitem(sys.modules, "dice.crypto.native")
    in_hardware = platform == "esp32" and as_file
    assert native.crypt == ("crypt of ccm_ctr" if in_hardware else "crypt of _dice")
    assert hasattr(native, "seal") != in_hardware
