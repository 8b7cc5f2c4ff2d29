# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Runs the measuring scripts of on_device/ on the emulated RP2040, compiled as for a board; says which firmware is available."""

import json
import os
import queue
import tempfile
import threading
from pathlib import Path

from dicectl.emulator.board import EmulatedBoard, check
from dicectl.errors import CommandError
from dicectl.firmware import boards, debian, mpy, recipe
from dicectl.resources import ON_DEVICE

_SECONDS_MAX = 1800  # of real time


def is_built(board, profile, with_tls=False):
    """Return whether the firmware that recipe.firmware() would return is in the cache."""
    versions = debian.versions()
    wanted = recipe.Recipe(boards.with_firmware(board), profile, with_tls, None)
    return bool(versions) and (wanted.folder(versions) / "facts.json").exists()


def at_hand(with_tls):
    """Return whether a script can run without a build: the emulator is installed, and a firmware with dice (and tls) exists.

    $DICE_FIRMWARE counts unless tls is needed.
    """
    try:
        check()
    except CommandError:
        return False
    return (not with_tls and bool(os.environ.get("DICE_FIRMWARE"))) or is_built("RPI_PICO", "full", with_tls)


def lines(firmware, script, arguments=(), files=None):
    """Boot `firmware`, run a script of on_device/, and yield its JSON lines as they come; `files` are in the flash."""
    name = script.removesuffix(".py")
    files = {**(files or {}), f"{name}.mpy": mpy.compile_here(ON_DEVICE / script, script, "armv6m")}
    text = f"import sys\nsys.argv[:] = {[name, *arguments]!r}\nimport {name}\n"
    pieces = queue.Queue()
    with EmulatedBoard(firmware, files, paced=False, name=f"{script} on the emulated board") as board:

        def work():
            try:
                board.run(text, _SECONDS_MAX, echo=pieces.put)
                pieces.put(None)
            except BaseException as error:
                pieces.put(error)

        threading.Thread(target=work, daemon=True).start()
        rest = ""
        while isinstance(piece := pieces.get(), str):
            *whole, rest = (rest + piece).split("\n")
            yield from (json.loads(line) for line in whole if line.startswith("{"))
        if piece:
            raise piece


def certificate():
    """Return {file: bytes} of a new self-signed P-256 certificate and its key, in the form that MicroPython's `tls` reads."""
    from datetime import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "board")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2040, 1, 1)).sign(key, hashes.SHA256())
    der, plain = serialization.Encoding.DER, serialization.NoEncryption()
    return {
        "tls_cert.der": made.public_bytes(der),
        "tls_key.der": key.private_bytes(der, serialization.PrivateFormat.TraditionalOpenSSL, plain),
    }


def in_folder(files):
    """Return a temporary folder with `files`, {name: bytes}; it is deleted with the object."""
    folder = tempfile.TemporaryDirectory(prefix="dice-")
    for name, data in files.items():
        (Path(folder.name) / name).write_bytes(data)
    return folder
