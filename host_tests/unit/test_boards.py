# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The folders of boards/ agree with boards.toml, profiles are complete, and generated files are up to date."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dice import __version__
from dicectl import resources
from dicectl.errors import USAGE, CommandError
from dicectl.firmware import boards, profiles
from dicectl.measure import footprint

ROOT = resources.clone("a test")
BOARDS = [board for board in boards.load().values() if board.flashed_by]
WITHOUT_FIRMWARE = [board for board in boards.load().values() if not board.flashed_by]
FIELDS = {
    "deploy",
    "docs",
    "features",
    "images",
    "mcu",
    "product",
    "thumbnail",
    "url",
    "vendor",
}  # the fields of each board.json of MicroPython
CONSTANTS = {"dice/_typing.py", "dice/codes.py", "dice/limits.py", "dice/reasons.py"}  # folded, so not shipped
HOST_ONLY = {"dice/_cpython.py", "dice/_posix.py", "dice/aio/_cpython.py", "dice/crypto/host.py", "dice/transport/udp_system.py"}
HOST_ONLY |= {"dice/crypto/host_p256.py", "dice/dtls/session_index.py"}
ESP32 = {"dice/store_nvs.py", "dice/store_rtc.py"}
CTR = {"dice/crypto/ccm_ctr.py", "dice/crypto/native.py"}
UNIX = {"dice/_posix.py", "dice/transport/udp_network.py", "dice/transport/udp_system.py"}
MANAGER = {f"dice/group/{name}.py" for name in ("device_ids", "gsa_encode", "group_state", "manager", "presence", "progress")}
MANAGER |= {"dice/group/ration.py", "dice/group/rollback.py", "dice/aio/kdc.py", "dice/aio/key_delivery.py"}
C_RECORDS = {"dice/group/native.py"}
PUBLIC_KEYS = {f"dice/crypto/{name}.py" for name in ("curve", "ecdsa", "p256", "p256_plain", "p256_viper")}
PUBLIC_KEYS |= {f"dice/dtls/{name}.py" for name in ("ecdhe", "kx_ecdhe_psk", "kx_ecdhe_psk_server", "kx_any")}
PUBLIC_KEYS |= {"dice/dtls/cached_info.py", "dice/dtls/cached_info_server.py"}
PUBLIC_KEYS |= {f"dice/x509/{name}.py" for name in ("__init__", "certificate", "chain", "der")}
PUBLIC_KEYS |= {"dice/dtls/kx_cert.py", "dice/dtls/kx_cert_server.py", "dice/dtls/contact.py", "dice/aio/contact.py"}
PUBLIC_KEYS |= {f"dice/dtls/{name}.py" for name in ("kx_ecdsa", "kx_ecdsa_server", "kx_rpk", "kx_rpk_server")}
_NETWORK = {"dice/names.py"}  # offers dice.join() and connect(), which need modules of other profiles
LATE = {"group": _NETWORK, "psk": _NETWORK, "full": set(), "public-keys": set()}

each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)


def described(board):
    return json.loads((board.folder / "board.json").read_text())


def test_every_folder_has_an_entry_in_boards_toml():
    assert {board.name for board in BOARDS} == {path.name for path in resources.BOARDS.iterdir() if path.is_dir()}
    assert len(BOARDS) == 12


@each_board
def test_each_folder_has_the_layout_of_a_custom_board(board):
    needed = {"board.json", "manifest.py", "mpconfigboard.cmake", "mpconfigboard.h"}
    names = {path.name for path in board.folder.iterdir() if path.is_file()}
    variants = {name for name in names if re.fullmatch(r"mpconfigvariant(_\w+)?\.cmake", name)}
    assert names - variants == needed
    listed = {f"mpconfigvariant_{name}.cmake" for name in described(board).get("variants", {})}
    assert variants - {"mpconfigvariant.cmake"} == listed


@each_board
def test_each_definition_is_of_the_board_in_its_name(board):
    for name in ("mpconfigboard.cmake", "mpconfigboard.h"):
        assert set(re.findall(r"boards/((?:ESP32|RPI)\w+)", (board.folder / name).read_text())) == {board.name}
    code = [line for line in (board.folder / "mpconfigboard.h").read_text().splitlines() if not line.startswith("//")]
    assert code == [f'#include "boards/{board.name}/mpconfigboard.h"']


@each_board
def test_firmware_that_is_replaced_over_the_network_has_two_places(board, tmp_path):
    """Of each variant OTA: what cmake makes of it, and the table that it names."""
    if board.port != "esp32":
        assert not (board.folder / "mpconfigvariant_OTA.cmake").exists()
        return
    script = tmp_path / "script.cmake"
    script.write_text(
        f"set(CMAKE_BINARY_DIR {tmp_path})\nset(SDKCONFIG_DEFAULTS boards/sdkconfig.base)\n"
        f'include({board.folder}/mpconfigvariant_OTA.cmake)\nmessage(NOTICE "${{SDKCONFIG_DEFAULTS}}")\n'
    )
    said = subprocess.run(["cmake", "-P", script], capture_output=True, text=True, check=True).stderr
    assert said.strip() == f"boards/sdkconfig.base;{tmp_path}/sdkconfig.ota"
    table = re.search(r'^CONFIG_PARTITION_TABLE_CUSTOM_FILENAME="(.*)"$', (tmp_path / "sdkconfig.ota").read_text(), re.M)[1]
    rows = [[field.strip() for field in line.split(",")] for line in Path(table).read_text().splitlines() if line[0] != "#"]
    places = {name: (int(start, 0), int(size, 0)) for name, _, _, start, size, _ in rows}
    assert places["nvs"] == (0x9000, 0x6000)  # of MicroPython's own tables: the counters in it are not lost with a change of tables
    assert places["ota_0"][0] == 0x10000 and places["ota_0"][1] == places["ota_1"][1] >= 0x1A0000
    assert all(start % 0x10000 == 0 for name, (start, _) in places.items() if name.startswith("ota_")), "an app begins at 64 KB"
    end = 0x9000
    for start, size in places.values():
        assert start == end and size % 0x1000 == 0
        end = start + size
    assert end == board.flash_bytes


@each_board
def test_each_board_json_agrees_with_boards_toml(board):
    said = described(board)
    assert FIELDS <= set(said) <= FIELDS | {"deploy_options", "variants"}
    assert said["mcu"] == board.chip
    assert ("WiFi" in said["features"]) == board.network
    assert said["deploy"] == [f"../deploy_{board.port}.md"]
    assert (resources.BOARDS / f"deploy_{board.port}.md").is_file()
    if board.flashed_by == "esptool":
        assert int(said["deploy_options"]["flash_offset"], 0) == board.flash_offset


@each_board
def test_the_facts_of_each_board_are_plausible(board):
    assert board.flashed_by == {"esp32": "esptool", "rp2": "uf2"}[board.port]
    assert board.aes == ("hardware" if board.port == "esp32" else "software")  # as reported by dice.crypto.name()
    assert (board.uf2_family is not None) == (board.flashed_by == "uf2")
    assert board.mpy_arch in ("armv6m", "armv7m", "xtensawin", "rv32imc")
    assert board.shown
    assert set(board.shown) <= set(boards.SHOWN)
    assert board.note.endswith(".")
    assert board.flash_bytes % 0x100000 == 0
    assert 200 << 10 < board.ram_bytes < 1 << 20
    assert type(board.network) is bool
    assert ("built" in board.shown) == board.from_debian


def test_boards_without_firmware_of_ours_say_so():
    assert [board.name for board in WITHOUT_FIRMWARE] == ["STM32", "NRF52840", "SAMD51"]
    for board in WITHOUT_FIRMWARE:
        assert boards.find(board.name) is board and board.mpy_arch == "armv7m" and board.note.endswith(".")
        with pytest.raises(CommandError, match=r"no firmware of dice for \w+: flash MicroPython's own .* dicectl deploy"):
            boards.with_firmware(board.name)
        assert boards.of_machine("") is None


def test_boards_are_found_by_name_or_machine():
    assert boards.find("rpi_pico").name == "RPI_PICO"
    with pytest.raises(CommandError, match="no board PYBV11; there are ESP32_GENERIC, ") as caught:
        boards.find("PYBV11")
    assert caught.value.exit_code == USAGE
    assert boards.of_machine("Raspberry Pi Pico with RP2040").name == "RPI_PICO"
    assert boards.of_machine("Raspberry Pi Pico") is None
    for chip in ("ESP32C6", "ESP32-C6"):  # MicroPython changed the spelling
        assert boards.of_machine(f"ESP32C6 module with {chip}").name == "ESP32_GENERIC_C6"


def imported(name):
    """Return the files of dice that a file of lib/ imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse((resources.LIB / name).read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = footprint.named(node, resources.LIB / name)
            found.update([*names, *(found_name.rpartition(".")[0] for found_name in names)])
    paths = [module.replace(".", "/") for module in found]
    candidates = {f"{path}.py" for path in paths} | {f"{path}/__init__.py" for path in paths}
    return {path for path in candidates if path.startswith("dice/") and (resources.LIB / path).is_file()}


@pytest.mark.parametrize("profile", [name for name in profiles.names() if name != "none"])
def test_each_profile_contains_the_modules_that_it_imports(profile):
    files = set(profiles.files(profile))
    needed = set().union(*(imported(name) for name in files))
    late = (
        set()
        if profile == "public-keys"
        else {"dice/crypto/host_p256.py"}
        if profile == "full"
        else {"dice/aio/_cpython.py", "dice/crypto/host_p256.py", "dice/transport/udp_system.py", "dice/dtls/session_index.py"}
    )
    assert needed - files - CONSTANTS == LATE[profile] | (HOST_ONLY - late)
    assert imported("dice/group/member.py") > {"dice/group/context.py", "dice/errors.py"}


def test_profiles_contain_each_other():
    everything = {path.relative_to(resources.LIB).as_posix() for path in (resources.LIB / "dice").rglob("*.py")}
    assert profiles.names() == ("none", "group", "psk", "full", "public-keys")
    assert profiles.files("none") == []
    assert set(profiles.files("public-keys")) == everything - CONSTANTS - HOST_ONLY - UNIX - MANAGER
    assert set(profiles.files("public-keys", unix=True)) == everything - CONSTANTS - (HOST_ONLY - UNIX)
    assert set(profiles.files("public-keys")) - set(profiles.files("full")) == PUBLIC_KEYS
    assert set(profiles.files("group")) < set(profiles.files("psk")) < set(profiles.files("full"))
    assert len(set(profiles.files("group"))) == len(profiles.files("group"))
    ways = {"dice/crypto/ccm.py", "dice/crypto/ccm_viper.py"}
    assert set(profiles.files("group")) - set(profiles.files("group", native=True)) == {"dice/crypto/ccm.py"}
    assert set(profiles.files("group")) - set(profiles.files("group", native=False)) == ways - {"dice/crypto/ccm.py"}
    assert set(profiles.files("group")) - set(profiles.files("group", esp32=False)) == ESP32 | CTR | C_RECORDS
    assert set(profiles.files("group", esp32=True)) - set(profiles.files("group", esp32=False)) == ESP32
    assert set(profiles.files("group", esp32=True, ctr=True)) - set(profiles.files("group", esp32=True)) == CTR
    with_c = {"dice/crypto/native.py"} | C_RECORDS
    assert set(profiles.files("group", esp32=False, c_module=True)) - set(profiles.files("group", esp32=False)) == with_c
    assert set(profiles.files("public-keys", esp32=False)) >= with_c
    assert set(profiles.files("public-keys")) - set(profiles.files("public-keys", c_module=False)) == with_c
    with pytest.raises(CommandError, match="no profile rpk; it has none, group, psk, full, public-keys"):
        profiles.files("rpk")


def test_metadata_has_version_and_licence():
    assert profiles.metadata()["version"] == __version__
    assert profiles.metadata()["license"] == "MIT"


def test_package_json_lists_every_file():
    said = json.loads((ROOT / "package.json").read_text())
    assert sorted(said["urls"]) == sorted([name, f"lib/mip/{name}"] for name in profiles.files("full", unix=True))
    assert said["deps"] == []
    assert said["version"] == __version__


@pytest.mark.parametrize("profile", [name for name in profiles.names() if name not in ("none", "full")])
def test_each_profile_has_a_package_of_sources_that_are_there(profile):
    said = json.loads((ROOT / "lib" / "mip" / f"{profile}.json").read_text())
    assert said["urls"] == [[name, name] for name in sorted(profiles.files(profile))]
    assert [name for name, _ in said["urls"] if not (ROOT / "lib" / "mip" / name).is_file()] == []
    assert f"`./lib/mip/{profile}.json`" in (ROOT / "docs" / "boards.md").read_text()


def test_the_boards_page_says_which_boards_were_not_run_on_hardware():
    rows = re.findall(r"^\| `(\w+)` .*", (ROOT / "docs" / "boards.md").read_text(), re.MULTILINE)
    assert rows == list(boards.load())
    for board in boards.load().values():
        row = re.search(rf"^\| `{board.name}` .*", (ROOT / "docs" / "boards.md").read_text(), re.MULTILINE)[0]
        assert ("not run on hardware" in row) == ("hardware" not in board.shown)
        assert ("emulator" in row) == ("emulated" in board.shown)


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the files that tools/generate.py reads and writes."""
    for name in ("lib", "boards", "docs", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "package.json", tmp_path)
    return tmp_path


def generate(folder, *arguments):
    command = [sys.executable, folder / "tools" / "generate.py", *arguments]
    return subprocess.run(command, env={"PYTHONPATH": f"{folder / 'tools'}:{folder / 'lib'}"}, capture_output=True, text=True)


def test_no_generated_file_is_stale():
    done = generate(ROOT, "--check")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}run python tools/generate.py"


def test_generate_reports_and_updates_stale_files(copy):
    (copy / "lib" / "dice" / "extra.py").write_text("# one\n# two\nfrom .limits import GRACE_MS\n")
    (copy / "lib" / "mip" / "dice" / "gone.py").write_text("")
    facts = (copy / "boards" / "boards.toml").read_text()
    (copy / "boards" / "boards.toml").write_text(facts.replace('"emulated"', '"emulated", "hardware"'))
    done = generate(copy, "--check")
    assert (done.returncode, done.stdout) == (
        1,
        "package.json: stale\nlib/mip/public-keys.json: stale\nlib/mip/dice/extra.py: stale\ndocs/boards.md: stale\n"
        "docs/architecture.md: stale\nlib/mip/dice/gone.py: stale\n",
    )
    assert generate(copy).returncode == 0
    assert generate(copy, "--check").returncode == 0
    assert ["dice/extra.py", "lib/mip/dice/extra.py"] in json.loads((copy / "package.json").read_text())["urls"]
    assert (copy / "lib" / "mip" / "dice" / "extra.py").read_text().endswith("do not edit.\n_GRACE_MS = const(60_000)\n")
    assert not (copy / "lib" / "mip" / "dice" / "gone.py").exists()
    assert "**run on hardware**" in (copy / "docs" / "boards.md").read_text()


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake: apt-get install cmake")
@each_board
def test_an_esp32_has_the_ctr_mode_and_other_boards_are_as_micropython_has_them(board, tmp_path):
    """As the port's CMakeLists.txt does it: the board's file is included, then MICROPY_DEF_BOARD is defined for the compiler."""
    upstream = tmp_path / "boards" / board.name
    upstream.mkdir(parents=True)
    lines = ["list(APPEND MICROPY_DEF_BOARD OF_ITS_OWN=1)"] + ([f"set(IDF_TARGET {board.chip})"] if board.port == "esp32" else [])
    (upstream / "mpconfigboard.cmake").write_text("\n".join(lines))
    script = tmp_path / "CMakeLists.cmake"
    script.write_text(
        f"set(CMAKE_CURRENT_SOURCE_DIR {tmp_path})\nset(MICROPY_BOARD_DIR {board.folder})\n"
        f'include({board.folder}/mpconfigboard.cmake)\nmessage("${{MICROPY_DEF_BOARD}}")\n'
    )
    done = subprocess.run(["cmake", "-P", script], capture_output=True, text=True, cwd=tmp_path)
    wanted = ["OF_ITS_OWN=1"] + (["MICROPY_PY_CRYPTOLIB_CTR=1"] if board.port == "esp32" else [])
    assert (done.returncode, done.stderr.strip().split(";")) == (0, wanted)
