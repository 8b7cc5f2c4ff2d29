# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Shell completion: in a real bash, and for zsh and fish by the protocol between their scripts and dicectl."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dicectl.reasons import SENTENCES

ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def script(shell):
    """Return the output of `dicectl completion`."""
    argv = [sys.executable, "-m", "dicectl", "completion", shell]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def bash(folder, *words):
    """Return the completions of the last word in bash."""
    (folder / "completion").write_text(script("bash"))
    quoted = " ".join(f"'{word}'" for word in ("dicectl", *words))
    code = f"source ./completion; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _dicectl_completion dicectl; "
    code += 'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", code], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


def test_bash_completes_commands_arguments_and_options(tmp_path):
    assert bash(tmp_path, "key") == ["keyring"]
    assert bash(tmp_path, "keyring", "add") == ["add-listener", "add-sender"]
    assert bash(tmp_path, "flash", "esp32_generic_s") == ["ESP32_GENERIC_S3", "ESP32_GENERIC_S2"]
    assert set(bash(tmp_path, "deploy", "--profile", "")) == {"full", "psk", "group", "none", "public-keys"}
    assert bash(tmp_path, "doctor", "E1") == [f"E{number}" for number in SENTENCES if str(number).startswith("1")]
    assert bash(tmp_path, "group", "add", "lamps", "lamp", "--role", "s") == ["sender"]
    assert bash(tmp_path, "completion", "") == ["bash", "zsh", "fish"]


def protocol(shell, words, incomplete):
    """Return the answer of dicectl to the completion script of a shell."""
    line = " ".join(["dicectl", *words, incomplete])
    wanted = {"COMP_WORDS": line, "COMP_CWORD": incomplete if shell == "fish" else str(len(words) + 1)}
    variables = {**ENVIRONMENT, **wanted, "_DICECTL_COMPLETE": f"{shell}_complete"}
    return subprocess.run([sys.executable, "-m", "dicectl"], env=variables, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_complete_commands_and_arguments(shell):
    assert "_DICECTL_COMPLETE" in script(shell) and f"{shell}_complete" in script(shell)
    assert "keyring" in protocol(shell, [], "key") and "build" not in protocol(shell, [], "key")
    assert "RPI_PICO2" in protocol(shell, ["build"], "rpi_pico2")
    sentence = protocol(shell, ["doctor"], "E33")
    assert "E33" in sentence and SENTENCES[33].partition(". ")[0].split(",")[0] in sentence


def test_serial_ports_are_completed(monkeypatch):
    from dicectl.board import raw_repl
    from dicectl.cli.options import complete_port

    monkeypatch.setattr(raw_repl, "found", lambda: ["/dev/ttyACM0", "/dev/ttyUSB0"])
    assert complete_port(None, None, "/dev/ttyU") == ["/dev/ttyUSB0"]
