# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl build` names missing parts, changes nothing in a dry run, reuses finished builds, and calls MicroPython's make.

The checkouts here are doubles: a Makefile that writes its variables. host_tests/emulated/test_firmware.py uses a real one.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dice import __version__
from dicectl import resources, subprocess_log
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.firmware import boards, debian, recipe

VERSIONS = {"micropython": "1.25.0+ds-1"}
MAKEFILE = """\
all:
	@test -n "$(FAIL)" && { echo "CMake Error at CMakeLists.txt:1 (message):"; echo "   No radio"; exit 1; } || true
	@mkdir -p $(BUILD)
	@echo "[ 50%] Building"
	@printf '%s\\n' "$(BOARD_DIR)" "$(BOARD_VARIANT)" "$(MAKELEVEL)" > $(BUILD)/RESULT
	@cp $(FROZEN_MANIFEST) $(BUILD)/ELF
"""
RESULT = {"esp32": ("firmware.bin", "micropython.elf"), "rp2": ("firmware.uf2", "firmware.elf")}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Return the path of an empty cache."""
    monkeypatch.setenv("DICE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Return a folder that is all of PATH, with only a few commands of the shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "make", "mkdir", "cp", "printf", "test", "echo"):
        if shutil.which(name):
            (folder / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def checkout(tmp_path):
    """Return a double of a checkout of MicroPython."""
    folder = tmp_path / "micropython"
    for port, needed in recipe._NEEDED.items():
        (folder / "ports" / port).mkdir(parents=True)
        text = MAKEFILE.replace("RESULT", RESULT[port][0]).replace("ELF", RESULT[port][1])
        (folder / "ports" / port / "Makefile").write_text(text)
        for name in needed:
            (folder / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "lib" / name).touch()
    (folder / "mpy-cross").mkdir()
    (folder / "mpy-cross" / "Makefile").write_text("all:\n")
    (folder / "py").mkdir()
    numbers = {"MAJOR": 1, "MINOR": 99, "MICRO": 0}
    text = "".join(f"#define MICROPY_VERSION_{name} {number}\n" for name, number in numbers.items())
    (folder / "py" / "mpconfig.h").write_text(text)
    return folder


def dicectl(*arguments, **environment):
    command = [sys.executable, "-m", "dicectl", "build", *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["RPI_PICO"], "choose the MicroPython to build: --micropython DIR or --from-debian"),
        (["RPI_PICO", "--from-debian", "--micropython", "."], "choose the MicroPython to build"),
        (["PYBV11", "--from-debian"], "there is no board PYBV11; there are ESP32_GENERIC, "),
        (["RPI_PICO", "--from-debian", "--profile", "rpk"], "there is no profile rpk; there are none, group, psk, full"),
        (["RPI_PICO_W", "--from-debian"], "Debian's packages lack parts of RPI_PICO_W; build from a checkout: --micropython DIR"),
        (["ESP32_GENERIC", "--from-debian"], "Debian's packages lack parts of ESP32_GENERIC"),
        (["RPI_PICO_W", "--micropython", ".", "--with-tls"], "RPI_PICO_W has MicroPython's tls anyway: leave out --with-tls"),
        (["ESP32_GENERIC", "--micropython", ".", "--native", "small"], "no --native small; it has mbedtls, none"),
        (["RPI_PICO", "--micropython", "host_tests"], "host_tests is not a checkout of MicroPython"),
    ],
)
def test_wrong_arguments_exit_with_2_and_one_line(arguments, message):
    done = dicectl(*arguments)
    assert done.returncode == USAGE
    assert message in done.stderr
    assert done.stderr.startswith("dicectl: ")
    assert len(done.stderr.splitlines()) == 1


def test_all_missing_compilers_are_named_at_once(commands):
    (commands / "make").unlink()
    with pytest.raises(CommandError) as caught:
        recipe.firmware("RPI_PICO")
    message = str(caught.value.message)
    assert message == (
        "missing: make, cmake, gcc, arm-none-eabi-gcc; "
        "install with: apt-get install --no-install-recommends make cmake gcc gcc-arm-none-eabi"
    )
    assert caught.value.exit_code == FAILED


def write_command(folder, name, script):
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_missing_library_of_the_compiler_is_named(commands):
    for name in ("cmake", "gcc"):
        write_command(commands, name, "exit 1")
    write_command(commands, "arm-none-eabi-gcc", 'echo "${1#-print-file-name=}"')
    with pytest.raises(CommandError, match=r"missing: nosys\.specs for ARM; .* libnewlib-arm-none-eabi"):
        recipe.firmware("RPI_PICO")


def test_a_system_without_apt_is_referred_to_a_checkout(commands):
    with pytest.raises(CommandError, match="no apt-get here; build from a checkout of MicroPython: --micropython DIR"):
        debian.tree(recipe.quiet)


def test_a_missing_esp_idf_is_named(commands, checkout):
    with pytest.raises(CommandError, match=r"missing: idf.py; install the ESP-IDF"):
        recipe.firmware("ESP32_GENERIC", micropython=checkout)


def test_missing_submodules_are_named_with_the_command_that_fetches_them(checkout):
    shutil.rmtree(checkout / "lib" / "pico-sdk")
    with pytest.raises(CommandError, match=r"no submodules: make -C .*/ports/rp2 BOARD_DIR=.*boards/RPI_PICO submodules"):
        recipe.firmware("RPI_PICO", micropython=checkout)


def test_every_package_is_installed_by_the_gate_and_named_on_the_page():
    gate, page = ((resources.ROOT / name).read_text().split() for name in (".ci/run", "docs/boards.md"))
    given = {"make", "gcc"}  # installed on the machine that runs .ci/run
    assert set(recipe.PACKAGES) - given <= set(" ".join(gate).replace('"', " ").split())
    assert set(recipe.PACKAGES) <= set(page)


def test_a_dry_run_prints_the_steps_and_changes_nothing(cache, checkout, tmp_path):
    output = tmp_path / "output"
    done = dicectl("RPI_PICO", "--from-debian", "--dry-run", "--output", output)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("fetch MicroPython and its parts from Debian trixie into ")
    done = dicectl("ESP32_GENERIC", "--micropython", checkout, "--profile", "group", "--dry-run", "--json", "--output", output)
    steps = json.loads(done.stdout)["would"]
    assert "profile='group', bare=False, app=False" in steps[0]
    assert steps[2].startswith(f"make -C {checkout}/ports/esp32 -j")
    assert f"BOARD_DIR={resources.ROOT}/boards/ESP32_GENERIC" in steps[2]
    assert steps[-1] == f"copy the results to {output}"
    assert not cache.exists()
    assert not output.exists()


def test_a_checkout_is_built_for_an_esp32(commands, checkout, tmp_path, monkeypatch):
    write_command(commands, "idf.py", "exit 0")
    monkeypatch.setenv("MAKELEVEL", "7")
    reported = []
    folder = recipe.firmware("ESP32_GENERIC_C3", "group", micropython=checkout, progress=lambda *said: reported.append(said))
    assert (folder / "firmware.bin").read_text().splitlines() == [f"{resources.ROOT}/boards/ESP32_GENERIC_C3", "", "0"]
    assert (
        folder / "firmware.elf"
    ).read_text() == "include(\"$(BOARD_DIR)/manifest.py\", profile='group', bare=False, app=False)\n"
    assert ("building ESP32_GENERIC_C3-group", 0.5) in reported
    facts = json.loads((folder / "facts.json").read_text())
    assert (facts["board"], facts["profile"], facts["micropython"]) == ("ESP32_GENERIC_C3", "group", "1.99.0")
    assert facts["dice"] == __version__
    assert facts["bytes"]["firmware.bin"] == (folder / "firmware.bin").stat().st_size


def test_a_checkout_is_built_for_an_rp2_with_tls(commands, checkout):
    for name in ("cmake", "gcc"):
        write_command(commands, name, "exit 1")
    write_command(commands, "arm-none-eabi-gcc", 'echo "/found/${1#-print-file-name=}"')
    folder = recipe.firmware("RPI_PICO", "none", True, checkout)
    assert (folder / "firmware.uf2").read_text().splitlines()[:2] == [f"{resources.ROOT}/boards/RPI_PICO", "TLS"]
    assert folder.name.startswith("RPI_PICO-none-tls-")


def test_a_variant_of_the_board_is_built(commands, checkout, tmp_path):
    write_command(commands, "idf.py", "exit 0")
    made = []
    for options in ((), ("--variant", "OTA")):
        done = dicectl("ESP32_GENERIC", "--micropython", checkout, *options, "--output", tmp_path / str(options), "--json")
        assert done.returncode == 0, done.stderr
        made.append((json.loads(done.stdout)["variant"], (tmp_path / str(options) / "firmware.bin").read_text().splitlines()[1]))
    assert made == [(None, ""), ("OTA", "OTA")]
    names = [
        recipe.Recipe(boards.find("ESP32_GENERIC"), "full", False, checkout, True, None, variant).name for variant in (None, "OTA")
    ]
    assert names == ["ESP32_GENERIC", "ESP32_GENERIC-ota"]


@pytest.mark.parametrize(
    "board, options, message",
    [
        ("ESP32_GENERIC", ("--variant", "FLASH_4M"), "ESP32_GENERIC has no variant FLASH_4M; it has OTA"),
        ("ESP32_GENERIC_S3", ("--variant", "ota"), "ESP32_GENERIC_S3 has no variant ota; it has FLASH_4M, OTA"),
        ("RPI_PICO2", ("--variant", "OTA"), "RPI_PICO2 has no variant OTA; it has none"),
        ("RPI_PICO", ("--with-tls", "--variant", "TLS"), "--with-tls is a variant itself: leave out --variant"),
    ],
)
def test_a_variant_that_the_board_has_not_is_refused(checkout, board, options, message):
    done = dicectl(board, "--micropython", checkout, *options)
    assert (done.returncode, done.stderr) == (2, f"dicectl: {message}\n")


def test_the_results_are_copied_and_the_steps_reported(checkout, commands, tmp_path):
    write_command(commands, "idf.py", "exit 0")
    done = dicectl("ESP32_GENERIC", "--micropython", checkout, "--output", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["folder"] == str(tmp_path / "out")
    assert {"firmware.bin", "firmware.elf", "facts.json", "build.log"} == {path.name for path in (tmp_path / "out").iterdir()}
    assert done.stderr.splitlines() == ["building mpy-cross ...", "building ESP32_GENERIC ..."]
    assert "\x1b" not in done.stdout + done.stderr
    assert "app=True" in (tmp_path / "out" / "firmware.elf").read_text()
    done = dicectl("ESP32_GENERIC", "--micropython", checkout, "--no-app", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "app=False" in (tmp_path / "out" / "firmware.elf").read_text()


@pytest.mark.parametrize("port, usual", (("esp32", "mbedtls"), ("rp2", "fast")))
def test_firmware_with_public_keys_has_the_module_in_c_and_other_firmware_if_it_is_asked_for(checkout, port, usual):
    board = boards.find({"esp32": "ESP32_GENERIC", "rp2": "RPI_PICO"}[port])

    def made(profile, native=None):
        wanted = recipe.Recipe(board, profile, False, checkout, native=native)
        wanted.check()
        argv = wanted.commands(checkout, 1)[1][1]
        assert any(word.startswith("USER_C_MODULES=") for word in argv) == bool(wanted.c_module)
        assert wanted.manifest().endswith(", c_module=True)\n") == bool(wanted.c_module)
        assert wanted.c_module is None or f'"{wanted.c_module}"' in wanted.module(checkout)
        return wanted.c_module, wanted.name.removeprefix(board.name)

    assert made("public-keys") == made("public-keys", usual) == (usual, "-public-keys")
    assert made("public-keys", "none") == (None, "-public-keys-native-none")
    assert made("group") == made("group", "none") == (None, "-group")
    assert made("group", "mbedtls") == ("mbedtls", "-group-native-mbedtls")


def test_a_checkout_is_rebuilt_each_time(checkout, commands):
    write_command(commands, "idf.py", "exit 0")
    folder = recipe.firmware("ESP32_GENERIC", micropython=checkout)
    (folder / "firmware.bin").write_text("old")
    assert recipe.firmware("ESP32_GENERIC", micropython=checkout) == folder
    assert (folder / "firmware.bin").read_text() != "old"


def test_a_failed_build_names_its_cause_and_log(checkout, commands, monkeypatch, cache):
    write_command(commands, "idf.py", "exit 0")
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(
        CommandError, match=r"building ESP32_GENERIC-full failed: No radio .*the whole log is .*build\.log"
    ) as caught:
        recipe.firmware("ESP32_GENERIC", micropython=checkout)
    log = Path(caught.value.message.split()[-1])
    assert "CMake Error" in log.read_text()
    assert log.is_relative_to(cache)
    assert not list(cache.glob("firmware/*"))


def test_a_finished_build_is_reused(cache, commands):
    folder = recipe.Recipe(boards.find("RPI_PICO"), "full", False, None, True).folder(VERSIONS)
    (cache / f"debian-{debian.SUITE}").mkdir(parents=True)
    (cache / f"debian-{debian.SUITE}" / "versions.json").write_text(json.dumps(VERSIONS))
    with pytest.raises(CommandError, match="missing: cmake"):
        recipe.firmware("RPI_PICO", app=True)
    folder.mkdir(parents=True)
    (folder / "facts.json").write_text("{}")
    assert recipe.firmware("RPI_PICO", app=True) == folder
    assert dicectl("RPI_PICO", "--from-debian", "--dry-run").stdout.startswith(f"nothing: {folder} was built from the same inputs")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a copy of the repository's lib/, boards/ and firmware/."""
    folder = tmp_path / "copy"
    for name in ("lib", "boards", "firmware"):
        shutil.copytree(resources.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(resources, "ROOT", folder)
    monkeypatch.setattr(resources, "BOARDS", folder / "boards")
    return folder


def test_the_key_of_a_build_depends_on_all_its_inputs(root):
    pico = boards.find("RPI_PICO")

    def key(profile="full", with_tls=False, micropython=None, versions=VERSIONS, app=False, native=None):
        return recipe.Recipe(pico, profile, with_tls, micropython, app, native).folder(versions)

    assert key("group", app=True) == key("group")
    keys = [
        key(),
        key(app=True),
        key("group"),
        key(with_tls=True),
        key(native="small"),
        key(native="fast"),
        key(micropython=root),
        key(versions={"micropython": "1.26.0+ds-1"}),
    ]
    changed = (
        "lib/dice/wire.py",
        "lib/manifest.py",
        "boards/manifest.py",
        "boards/common.cmake",
        "firmware/manifest.py",
        "firmware/app/node.py",
        "boards/RPI_PICO/mpconfigboard.h",
    )
    for name in changed:
        with (root / name).open("a") as file:
            file.write("\n")
        keys.append(key())
    assert len(set(keys)) == len(keys)
    (root / "lib" / "dice" / "py.typed").unlink()
    (root / "lib" / "dice" / "__pycache__").mkdir()
    (root / "lib" / "dice" / "__pycache__" / "wire.pyc").write_text("")
    (root / "boards" / "RPI_PICO_W" / "mpconfigboard.h").write_text("")
    (root / "boards" / "boards.toml").touch()
    assert key() == keys[-1]


DEB822 = """\
# a comment
Types: deb
# http://snapshot.example.org/
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example.org/debian
Suites: bookworm
Components: main
"""


def test_apt_sources_are_derived_from_those_of_the_machine(tmp_path):
    parts = tmp_path / "apt" / "sources.list.d"
    parts.mkdir(parents=True)
    with pytest.raises(CommandError, match=r"no Debian archive in .* build from a checkout"):
        debian.derive_sources(tmp_path)
    (parts / "debian.sources").write_text(DEB822)
    (parts / "other.list").write_text("deb https://other.example.com/apt cloud-sdk-bookworm main\n")
    expected = "Types: deb deb-src\nURIs: http://mirror.example.org/debian\nSuites: trixie\nComponents: main\n"
    assert debian.derive_sources(tmp_path) == expected + "Signed-By: /usr/share/keyrings/debian.gpg\n"
    (parts / "debian.sources").write_text(DEB822.replace(" /usr/share/keyrings/debian.gpg", "\n -----BEGIN\n .\n -----END"))
    assert debian.derive_sources(tmp_path) == expected + "Signed-By:\n -----BEGIN\n .\n -----END\n"
    (parts / "debian.sources").unlink()
    line = "deb [arch=amd64 signed-by=/a/key.gpg] http://mirror.example.org/debian bookworm main\n"
    (tmp_path / "apt" / "sources.list").write_text("# deb http://no.example.org/debian bookworm main\n" + line)
    assert debian.derive_sources(tmp_path) == expected + "Signed-By: /a/key.gpg\n"


def test_the_cause_of_a_failure_is_found_in_its_log():
    assert subprocess_log._cause(["E: Unable to fetch", "W: whatever"]) == "E: Unable to fetch"
    assert subprocess_log._cause(["a.c:1:2: error: no b", "make: *** [all] Error 1"]) == "a.c:1:2: error: no b"
    assert subprocess_log._cause(["x", "last", ""]) == "last"
    assert subprocess_log._cause([]) == ""


def test_packages_of_an_interrupted_attempt_are_fetched_again(tmp_path, monkeypatch):
    """apt-get --print-uris says nothing of a file that is in the folder already."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "micropython_1.dsc").touch()
    monkeypatch.setattr(debian, "_configure", lambda folder, suite: folder)

    class Apt:
        def run(self, what, command, cwd, environment):
            known = (cwd / "micropython_1.dsc").exists()
            return "" if known or "--print-uris" not in command else "'http://example.org/micropython_1.dsc' micropython_1.dsc 7 x"

    assert debian.fetch(tmp_path, "trixie", ["micropython"], [], Apt(), recipe.quiet) == ["micropython_1.dsc"]
