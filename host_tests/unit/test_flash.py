# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl flash`: the real esptool with a simulated boot loader (rom_loader.py), boot drives that are folders, and refusals."""

import json
import os
import random
import shlex
import struct
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest

from dicectl.board import bootdrive
from dicectl.errors import CommandError
from dicectl.firmware.boards import load
from host_tests.unit.rom_loader import FLASH_BYTES, RomLoader

ESP_CHIPS = {"esp32": 0, "esp32s2": 2, "esp32c3": 5, "esp32s3": 9, "esp32c6": 13, "esp32h2": 16, "esp32p4": 18, "esp32c5": 23}
ESP_BOARDS = [board.name for board in load().values() if board.flashed_by == "esptool"]
INFO = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n"


@pytest.fixture
def run(tmp_path):
    """Return a function that runs dicectl in an empty folder, with only Python's tools on PATH."""

    def run(*arguments, path=""):
        environment = {**os.environ, "PATH": path}
        argv = [sys.executable, "-m", "dicectl", *map(str, arguments)]
        return subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


def esp_image(path, chip, size=50_000):
    """Write a file that begins like firmware for an ESP32; half of the rest is compressible, as code is."""
    noise = random.Random(size)
    body = b"".join(noise.randbytes(64) + bytes(64) for _ in range(size // 128))
    path.write_bytes(bytes((0xE9, 1, 2, 0x20)) + bytes(8) + struct.pack("<H", ESP_CHIPS[chip]) + bytes(10) + body)
    return path


def uf2_image(path, family=0xE48BFF56, blocks=5):
    """Write a UF2 file."""
    data = b""
    for i in range(blocks):
        data += struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, 0x10000000 + 256 * i, 256, i, blocks, family)
        data += bytes([i]) * 476 + (0x0AB16F30).to_bytes(4, "little")
    path.write_bytes(data)
    return path


def failed(done, status):
    """Assert the exit status and a single line of output; return that line."""
    assert done.returncode == status, done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("dicectl: ")
    return done.stderr


@pytest.mark.parametrize("name", ESP_BOARDS)
def test_an_esp32_is_erased_written_and_verified(run, tmp_path, name):
    """The image is written at the chip's offset. The rest of the flash is erased."""
    board = load()[name]
    path = esp_image(tmp_path / "firmware.bin", board.chip)
    offset, end = board.flash_offset, board.flash_offset + path.stat().st_size
    with RomLoader(board.chip) as loader:
        done = run("flash", name, "--port", loader.port, "--firmware", path, "--erase")
        assert done.returncode == 0, done
        assert loader.flash[offset:end] == path.read_bytes()
        assert loader.flash[:offset].count(0xFF) == offset
        assert loader.flash[end:].count(0xFF) == FLASH_BYTES - end
    assert "done: written and verified" in done.stdout
    assert loader.commands.count(0x13) == 2  # MD5 of the written data: once by write-flash, once by verify-flash


def test_a_board_without_firmware_of_ours_is_not_flashed(run):
    line = failed(run("flash", "stm32", "--port", "/dev/null"), 2)
    assert "no firmware of dice for STM32" in line and "dicectl deploy" in line


def test_without_firmware_the_way_that_needs_no_sources_is_named_first(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = failed(run("flash", "RPI_PICO_W"), 2)
    assert 0 < line.index("dicectl flash RPI_PICO_W --download") < line.index("dicectl build RPI_PICO_W")


MPFLASH = """#!/bin/sh
# A double of mpflash: it copies a file instead of downloading one. It ends with 0 when it cannot connect, as mpflash 1.29.0 does.
[ -n "$OFFLINE" ] && { echo "ERROR    | Could not connect to micropython.org" >&2; exit 0; }
[ "$1 $2 $3 $4" = "download --board ESP32_GENERIC_C6 --version" ] || { echo "no such firmware" >&2; exit 1; }
mkdir -p "$MPFLASH_FIRMWARE/esp32"
for name in C6-v1.26.1 C6-v1.9.9 C6-OTA-v1.27.0 C6-v1.27.0-preview C3-v1.27.0; do
  cp "$FIRMWARE" "$MPFLASH_FIRMWARE/esp32/ESP32_GENERIC_$name.bin"
done
"""


def test_micropythons_own_firmware_is_downloaded_by_mpflash(run, tmp_path, monkeypatch):
    monkeypatch.setenv("DICE_CACHE", str(tmp_path / "cache"))
    path = f"{tmp_path}:/usr/bin:/bin"
    assert "pip install mpflash" in failed(run("flash", "ESP32_GENERIC_C6", "--download", "--dry-run"), 2)
    program = tmp_path / "mpflash"
    program.write_text(MPFLASH)
    program.chmod(0o755)
    monkeypatch.setenv("FIRMWARE", str(esp_image(tmp_path / "image", "esp32c6")))
    done = run("flash", "ESP32_GENERIC_C6", "--download", "--dry-run", "--json", path=path)
    assert done.returncode == 0, done
    shown = json.loads(done.stdout)
    assert shown["firmware"].endswith("ESP32_GENERIC_C6-v1.26.1.bin") and shown["offset"] == 0
    assert list((tmp_path / "cache" / "mpflash").iterdir()) == [Path(shown["firmware"])], "and nothing else is left"
    assert "(no such firmware): download it" in failed(run("flash", "RPI_PICO", "--download", "--dry-run", path=path), 1)
    monkeypatch.setenv("OFFLINE", "1")
    line = failed(run("flash", "ESP32_GENERIC_C6", "--download", "--dry-run", path=path), 1)
    assert "Could not connect to micropython.org): download it" in line, "an earlier version is not the newest"
    assert line.rstrip().endswith(f"{shown['firmware']} is of an earlier download")
    assert "exclude" in failed(run("flash", "RPI_PICO", "--download", "--firmware", "x"), 2)


def test_without_erase_the_rest_of_the_flash_is_kept(run, tmp_path):
    """Files and counters are stored after the firmware."""
    path = esp_image(tmp_path / "firmware.bin", "esp32")
    end = 0x1000 + path.stat().st_size
    with RomLoader("esp32") as loader:
        before = bytes(loader.flash)
        done = run("flash", "esp32_generic", "--port", loader.port, "--firmware", path, "--no-reset", "--json")
        assert done.returncode == 0, done
        assert loader.flash[:0x1000] == before[:0x1000]
        assert loader.flash[0x1000:end] == path.read_bytes()
        assert loader.flash[(end | 0xFFF) + 1 :] == before[(end | 0xFFF) + 1 :]
        assert 0xD0 not in loader.commands
    shown = json.loads(done.stdout)
    assert (shown["board"], shown["offset"], shown["dry_run"]) == ("ESP32_GENERIC", 0x1000, False)


def test_a_worn_flash_cell_is_detected(run, tmp_path):
    with RomLoader("esp32c3") as loader:
        loader.damage = 20_000
        path = esp_image(tmp_path / "firmware.bin", "esp32c3")
        line = failed(run("flash", "ESP32_GENERIC_C3", "--port", loader.port, "--firmware", path), 1)
    assert "MD5" in line


def test_another_chip_is_refused_by_esptool(run, tmp_path):
    with RomLoader("esp32") as loader:
        before = bytes(loader.flash)
        path = esp_image(tmp_path / "firmware.bin", "esp32c3")
        line = failed(run("flash", "ESP32_GENERIC_C3", "--port", loader.port, "--firmware", path), 1)
        assert loader.flash == before
    assert "This chip is ESP32, not ESP32-C3" in line


@pytest.mark.long
def test_a_silent_or_missing_port_exits_with_3(run, tmp_path):
    path = esp_image(tmp_path / "firmware.bin", "esp32")
    master, slave = os.openpty()
    try:
        line = failed(run("flash", "ESP32_GENERIC", "--port", os.ttyname(slave), "--firmware", path), 3)
    finally:
        os.close(master)
        os.close(slave)
    assert "hold BOOT" in line
    assert "there is no /dev/" in failed(run("flash", "ESP32_GENERIC", "--port", "/dev/no-such", "--firmware", path), 3)


@pytest.mark.parametrize("name", sorted(name for name, board in load().items() if board.flashed_by))
def test_a_dry_run_needs_no_board(run, tmp_path, name):
    """It checks the firmware and prints the steps. Those for an ESP32 are commands that can be typed."""
    board = load()[name]
    path = tmp_path / "firmware"
    esp = board.flashed_by == "esptool"
    esp_image(path, board.chip) if esp else uf2_image(path, board.uf2_family)
    done = run("flash", name, "--firmware", path, "--dry-run", "--json")
    assert done.returncode == 0, done
    shown = json.loads(done.stdout)
    assert shown["dry_run"]
    if esp:
        words = shlex.split(shown["steps"][0])
        assert words[:5] == ["python", "-m", "esptool", "--chip", board.chip]
        assert words[-2:] == [f"{board.flash_offset:#x}", str(path)]
    else:
        assert shown["steps"] == [f"copy {path} to the boot drive"]


@pytest.fixture
def drive(tmp_path):
    """Return a folder that acts as a boot drive: it disappears when a complete file has been copied, as its board restarts."""
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / "INFO_UF2.TXT").write_text(INFO)
    stop = threading.Event()

    def restart():
        while not stop.wait(0.02):
            path = folder / "firmware.uf2"
            if path.exists() and path.stat().st_size == 5 * 512:
                (folder / "INFO_UF2.TXT").unlink(missing_ok=True)

    thread = threading.Thread(target=restart)
    thread.start()
    yield folder
    stop.set()
    thread.join()


def test_an_rp2_is_flashed_through_its_boot_drive(run, tmp_path, drive):
    path = uf2_image(tmp_path / "f.uf2")
    done = run("flash", "RPI_PICO", "--port", drive, "--firmware", path)
    assert done.returncode == 0, done
    assert (drive / "firmware.uf2").read_bytes() == path.read_bytes()
    assert "restarts" in done.stdout


def test_the_boot_drive_is_found_among_the_mounts(tmp_path, drive, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr(bootdrive, "mounts", lambda: [str(tmp_path), str(drive), str(other)])
    assert bootdrive.find(load()["RPI_PICO"], None) == drive
    with pytest.raises(CommandError, match="is not the drive of") as caught:
        bootdrive.find(load()["RPI_PICO2_W"], None)
    assert caught.value.exit_code == 1
    (other / "INFO_UF2.TXT").write_text(INFO)
    with pytest.raises(CommandError, match="choose one") as caught:
        bootdrive.find(load()["RPI_PICO"], None)
    assert caught.value.exit_code == 2
    monkeypatch.setattr(bootdrive, "mounts", list)
    with pytest.raises(CommandError, match="hold BOOTSEL") as caught:
        bootdrive.find(load()["RPI_PICO"], None)
    assert caught.value.exit_code == 3
    assert isinstance(bootdrive.mounts(), list)


def test_a_board_that_does_not_restart_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "INFO_UF2.TXT").write_text(INFO)
    slept = []
    clock = types.SimpleNamespace(sleep=slept.append, monotonic=lambda: sum(slept))
    monkeypatch.setattr(bootdrive, "time", clock)
    (step,) = bootdrive.steps(load()["RPI_PICO"], str(tmp_path), uf2_image(tmp_path / "f.uf2"), False, False)
    with pytest.raises(CommandError, match="did not accept all"):
        step.run(quiet=True)
    assert 5 < sum(slept) < 60


def test_picotool_is_used_if_installed(run, tmp_path):
    """A shell script acts as picotool: it records its arguments; then it finds no board, or fails."""
    path = uf2_image(tmp_path / "f.uf2")
    tool = tmp_path / "bin" / "picotool"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    tool.chmod(0o755)
    assert run("flash", "RPI_PICO", "--firmware", path, "--erase", path=str(tool.parent)).returncode == 0
    assert (tmp_path / "calls").read_text().splitlines() == ["erase -a", f"load -v -x {path}"]
    tool.write_text('#!/bin/sh\necho "No accessible RP-series devices in BOOTSEL mode were found."\nexit 249\n')
    assert "hold BOOTSEL" in failed(run("flash", "RPI_PICO", "--firmware", path, path=str(tool.parent)), 3)
    tool.write_text('#!/bin/sh\necho "ERROR: verify failed" >&2\nexit 1\n')
    assert "verify failed" in failed(run("flash", "RPI_PICO", "--firmware", path, path=str(tool.parent)), 1)


def test_invalid_firmware_is_refused(run, tmp_path):
    """Before the board is accessed."""
    esp = esp_image(tmp_path / "esp.bin", "esp32")
    uf2 = uf2_image(tmp_path / "pico.uf2")
    cut = tmp_path / "cut.uf2"
    cut.write_bytes(uf2.read_bytes()[:-512])
    ragged = tmp_path / "ragged.uf2"
    ragged.write_bytes(uf2.read_bytes()[:-100])
    huge = tmp_path / "huge.bin"
    huge.write_bytes(esp.read_bytes() + bytes(4 << 20))
    assert "build/RPI_PICO/firmware.uf2" in failed(run("flash", "RPI_PICO"), 2)
    assert "dicectl build ESP32_GENERIC" in failed(run("flash", "ESP32_GENERIC"), 2)
    assert "has esp32s3" in failed(run("flash", "ESP32_GENERIC_S3", "--firmware", esp), 1)
    assert "not firmware for an ESP32" in failed(run("flash", "ESP32_GENERIC", "--firmware", uf2), 1)
    assert "not a UF2 file" in failed(run("flash", "RPI_PICO", "--firmware", esp), 1)
    assert "has rp2350" in failed(run("flash", "RPI_PICO2_W", "--firmware", uf2), 1)
    assert "1 of 5 blocks" in failed(run("flash", "RPI_PICO", "--firmware", cut), 1)
    assert "is truncated" in failed(run("flash", "RPI_PICO", "--firmware", ragged), 1)
    assert "is larger than" in failed(run("flash", "ESP32_GENERIC", "--firmware", huge), 1)
    assert "there is no board" in failed(run("flash", "TEAPOT", "--firmware", uf2), 2)
    assert "cannot erase" in failed(run("flash", "RPI_PICO", "--firmware", uf2, "--erase"), 2)
    assert "hold BOOTSEL" in failed(run("flash", "RPI_PICO", "--firmware", uf2, "--port", tmp_path), 3)
