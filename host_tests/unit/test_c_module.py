# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl deploy` puts the module `_dice` for the board's processor beside dice, and removes one that is not the wanted one."""

import runpy
import shutil
import sys
from types import SimpleNamespace

import pytest

from dicectl import resources
from dicectl.board import sync
from dicectl.errors import CommandError
from dicectl.firmware import native, prebuilt, profiles
from host_tests.unit import test_bundle

OLD = b"a module of an earlier dice"


@pytest.fixture
def found(monkeypatch):
    """Stand in for compilers and wheels; return the calls."""
    calls = []

    def find(architecture, variant, *_):
        calls.append((architecture, variant))
        return f"{architecture} {variant}".encode()

    monkeypatch.setattr(prebuilt, "find", find)
    return calls


class Board(test_bundle.Board):
    """A board with `_dice` in its firmware, or without."""

    built_in = esp32 = ctr = False

    def call(self, function, *arguments):
        if function in ("c_module", "ctr"):
            return [True] * (self.built_in if function == "c_module" else self.ctr)
        result = super().call(function, *arguments)
        return (
            [result[0] | {"platform": "esp32", "mpy": 6 | 3 << 8 | 10 << 10}] if function == "identity" and self.esp32 else result
        )


def deploy(place, profile, variant=None, built_in=False):
    device = Board(place)
    device.built_in = built_in
    plan = sync.plan(device, {}, "", profile, False, False, native=variant)
    sync.apply(device, plan, lambda *_: None)
    return plan


def test_public_keys_come_with_the_fast_one_and_other_profiles_with_none(found, tmp_path):
    plan = deploy(tmp_path, "public-keys")
    assert found == [("armv6m", "fast")]
    assert (tmp_path / native.NAME).read_bytes() == b"armv6m fast"
    assert plan.notes == [] and deploy(tmp_path, "public-keys").copies == {}
    other = tmp_path / "other"
    other.mkdir()
    for profile in ("group", "psk", "full"):
        deploy(other, profile)
        assert [path.name for path in other.iterdir()] == ["dice.mpy"]


@pytest.mark.parametrize("profile", ("group", "public-keys"))
@pytest.mark.parametrize("variant", ("small", "fast"))
def test_a_variant_can_be_chosen_and_dice_gets_what_loads_it(found, tmp_path, variant, profile):
    deploy(tmp_path, profile, variant)
    assert (tmp_path / native.NAME).read_bytes() == f"armv6m {variant}".encode()
    assert b"\n/crypto/native " in (tmp_path / "dice.mpy").read_bytes()
    deploy(tmp_path, "group", "none")
    assert not (tmp_path / native.NAME).exists()
    assert b"\n/crypto/native " not in (tmp_path / "dice.mpy").read_bytes()


@pytest.mark.parametrize("place", ("_dice.mpy", "lib/_dice.mpy", "lib/_dice.py"))
@pytest.mark.parametrize("profile", ("group", "psk", "public-keys"))
def test_an_old_one_goes_or_is_replaced_wherever_the_board_finds_it(found, tmp_path, place, profile):
    old = tmp_path / place
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(OLD)
    plan = deploy(tmp_path, profile)
    assert not old.exists() or old.read_bytes() == b"armv6m fast"
    assert f"/{place}" in {*plan.removals, *plan.copies}
    assert (tmp_path / native.NAME).exists() == (profile == "public-keys")


def test_without_dice_nothing_of_it_changes(found, tmp_path):
    (tmp_path / native.NAME).write_bytes(OLD)
    deploy(tmp_path, "none")
    assert (tmp_path / native.NAME).read_bytes() == OLD and found == []


def test_firmware_that_has_it_gets_none_and_loses_an_old_file(found, tmp_path):
    (tmp_path / native.NAME).write_bytes(OLD)
    deploy(tmp_path, "public-keys", built_in=True)
    assert found == [] and not (tmp_path / native.NAME).exists()
    deploy(tmp_path, "group", built_in=True)
    assert b"\n/crypto/native " in (tmp_path / "dice.mpy").read_bytes()


@pytest.mark.parametrize("ctr", (False, True))
def test_an_esp32_gets_ctr_if_its_firmware_has_the_mode(found, tmp_path, ctr):
    device = Board(tmp_path)
    device.esp32, device.ctr = True, ctr
    sync.apply(device, sync.plan(device, {}, "", "group", False), lambda *_: None)
    index = (tmp_path / "dice.mpy").read_bytes()
    assert (b"\n/crypto/native " in index, b"\n/crypto/ccm_ctr " in index) == (ctr, ctr)
    assert b"\n/crypto/ccm_viper " in index and b"\n/store_nvs " in index


def test_what_cannot_be_built_is_a_note_or_an_error_if_it_was_asked_for(monkeypatch, tmp_path):
    def find(*_):
        raise CommandError("missing: a compiler")

    monkeypatch.setattr(prebuilt, "find", find)
    (note,) = deploy(tmp_path, "public-keys").notes
    assert note == "without the module _dice, P-256 and AES-CCM are Python: missing: a compiler"
    with pytest.raises(CommandError, match="missing: a compiler"):
        deploy(tmp_path, "public-keys", "small")


def test_each_board_gets_code_that_its_processor_runs():
    wanted = {name: name for name in native.ARCHITECTURES}
    wanted |= {"armv7em": "armv7m", "armv7emdp": "armv7emsp", "xtensa": None, "x86": None, None: None}
    assert {name: prebuilt.architecture_for(name) for name in wanted} == wanted


def test_an_installed_dicectl_takes_what_it_carries(monkeypatch, tmp_path):
    def build(*_):
        raise CommandError("no compiler")

    monkeypatch.setattr(native, "build", build)
    monkeypatch.setattr(resources, "is_clone", lambda: False)
    monkeypatch.setattr(resources, "PREBUILT", tmp_path)
    (tmp_path / "armv7m-fast.mpy").write_bytes(b"M")
    assert prebuilt.find("armv7em", "fast") == b"M"
    with pytest.raises(CommandError) as caught:
        prebuilt.find("armv6m", "fast")
    assert caught.value.format_message() == (
        "this dicectl was packaged without _dice.mpy for armv6m: install a released wheel, or a compiler (no compiler)"
    )
    with pytest.raises(CommandError, match="no native code for xtensa; there is for armv6m, "):
        prebuilt.find("xtensa")


def test_a_wheel_takes_the_modules_of_its_sources_alone(monkeypatch, tmp_path, capsys):
    """As setup.py runs, which has setuptools and nothing of dicectl."""
    for name in ("setuptools", "setuptools.command", "setuptools.command.build_py"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(setup=lambda **_: None, build_py=object))
    setup = runpy.run_path(str(resources.clone("a test") / "setup.py"))
    shutil.copytree(native.FOLDER, tmp_path / "firmware" / "native")
    for tool in prebuilt.TOOLS:
        (tmp_path / tool).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(resources.ROOT / tool, tmp_path / tool)
    monkeypatch.chdir(tmp_path)
    assert setup["prebuilt"]() == [] and "they are not compiled" in capsys.readouterr().out
    folder = tmp_path / setup["PREBUILT"]
    folder.mkdir(parents=True)
    (folder / "armv6m-small.mpy").write_bytes(b"M")
    assert setup["prebuilt"]() == [] and "they are of other sources" in capsys.readouterr().out
    (folder / prebuilt.SOURCES).write_text(prebuilt.sources_hash() + "\n")
    assert setup["prebuilt"]() == [setup["PREBUILT"] / "armv6m-small.mpy"]
    for changed in (tmp_path / "firmware" / "native" / "core" / "ccm.c", tmp_path / prebuilt.TOOLS[0]):
        before = changed.read_text()
        changed.write_text("")
        assert setup["prebuilt"]() == [] and "they are of other sources" in capsys.readouterr().out
        changed.write_text(before)
    (folder / prebuilt.SOURCES).unlink()
    assert setup["prebuilt"]() == [] and "`make native` compiles them" in capsys.readouterr().out


def test_the_profiles_that_have_what_loads_it():
    assert "dice/crypto/native.py" in profiles.files("group", native=True, esp32=False, c_module=True)
