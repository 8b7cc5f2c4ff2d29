# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The measurements of `dicectl footprint`: flash, heap and time of dice, on the board's own instruction set.

collect() returns all of them. Heap and time come from the emulated RPI_PICO. For other boards only the sizes of files are measured.
"""

import ast
import subprocess
import tempfile
from pathlib import Path

from dicectl import resources
from dicectl.emulator import runner
from dicectl.emulator.board import check, firmware
from dicectl.errors import USAGE, CommandError
from dicectl.firmware import bundle, fold, mpy, profiles, recipe, unix_port
from dicectl.measure import speed

EMULATED = "RPI_PICO"
_HEAP_MAX_KB = 256
_BLOCK_BYTES = 4096  # of the file systems of RP2 and ESP32
_MODULE = "heap_of_a_member"
# The modules that a capability adds to a PSK client: to serve others, and to be a node of a managed group.
_SERVER = tuple(f"dice/dtls/{name}.py" for name in ("server", "listener", "resumption", "kx_psk_server"))
# To be a client with a raw public key, and to be a server of such clients, besides P-256 itself.
_RPK = ("dice/crypto/curve.py", "dice/crypto/ecdsa.py", *(f"dice/dtls/{name}.py" for name in ("ecdhe", "kx_ecdsa", "kx_rpk")))
_P256 = ("dice/crypto/p256.py", "dice/crypto/p256_viper.py")
_RPK_SERVER = ("dice/dtls/kx_ecdsa_server.py", "dice/dtls/kx_rpk_server.py")
# Certificates in addition to these, of a client alone.
_CERT = ("dice/dtls/kx_cert.py", *(f"dice/x509/{name}.py" for name in ("__init__", "certificate", "chain", "der")))
# PSKs with forward secrecy, of a client; the choice of a server among key exchanges; cached certificates, of both.
_PUBLIC_KEYS = {
    "p256_mpy": _P256,
    "rpk_mpy": _RPK,
    "rpk_server_mpy": _RPK_SERVER,
    "cert_mpy": _CERT,
    "ecdhe_psk_mpy": ("dice/crypto/curve.py", "dice/dtls/ecdhe.py", "dice/dtls/kx_ecdhe_psk.py"),
    "any_mpy": ("dice/dtls/kx_ecdhe_psk_server.py", "dice/dtls/kx_any.py"),
    "contact_mpy": ("dice/dtls/contact.py", "dice/aio/contact.py"),
    "cached_mpy": ("dice/dtls/cached_info.py", "dice/dtls/cached_info_server.py"),
}
_NODE = (
    *(f"dice/aio/{name}.py" for name in ("__init__", "wait", "session", "coap", "group", "managed")),
    *(f"dice/coap/{name}.py" for name in ("__init__", "message", "exchange", "resource")),
    *(f"dice/transport/{name}.py" for name in ("__init__", "udp")),
    "dice/stores.py",
)
# Where the imports of firmware/examples/lamp.py begin: dice.join, which uses sockets, and dice.DiceError.
_LAMP = ("dice/names.py", "dice/errors.py", "dice/aio/group.py", "dice/transport/udp.py")
# The modules that only an ESP32 loads: its stores, and AES-CCM of firmware with the CTR mode.
_ESP32 = {"esp32_mpy": ("store_nvs", "store_rtc"), "ctr_mpy": ("crypto/native", "crypto/ccm_ctr")}
_SCENARIOS = {  # description: (module of on_device/, its arguments, its output if it succeeds)
    "a member joins, receives from the others of eight senders, and sends": (_MODULE, ["pass"], '"sent": 93'),
    "both ends of a PSK handshake, and data": ("session_cost", [], '"record": 29'),
}


def module_name(file):
    """Return the module of a file: "dice.group" for "dice/group/__init__.py"."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def mpy_bytes(board, profile):
    """Return {file: bytes of its .mpy} of a profile, as on the board."""
    return {name: _mpy(name, board) for name in in_order(_files(profile))}


def _mpy(name, board):
    return len(mpy.compile_here(resources.LIB / name, name, board.mpy_arch))


def _files(profile):
    """Return the files of a profile as `dicectl deploy` copies them; all boards of boards.toml can run native code."""
    return profiles.files(profile, native=True, esp32=False)  # the modules of an ESP32's store have a budget of their own


def in_order(files):
    """Return the files of dice in the order of import: each after those that it imports."""
    known = {module_name(file): file for file in sorted(files)}
    done = {}

    def visit(file):
        if file not in done:
            done[file] = None
            for module in _imports(resources.LIB / file):
                if module in known:
                    visit(known[module])
            done.pop(file)
            done[file] = None

    for file in sorted(files):
        visit(file)
    return list(done)


def closure(roots, files):
    """Return those of `files` that the import of the files `roots` imports, these included."""
    known = {module_name(file): file for file in files}
    waiting, found = list(roots), set()
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [known[module] for module in _imports(resources.LIB / file) if module in known]
    return found


def lamp_files():
    """Return the files of dice that firmware/examples/lamp.py imports on a board with sockets, which is no ESP32."""
    return closure(("dice/__init__.py", *_LAMP), _files("full"))


def named(node, path):
    """Return the absolute names, such as "dice.errors.PeerError", that an ImportFrom in a file of lib/ imports."""
    above = path.relative_to(resources.LIB).parts[: -node.level] if node.level else ()
    return [".".join(filter(None, (*above, node.module, alias.name))) for alias in node.names]


def _imports(path):
    """Yield the modules that the import of a file may import, packages before their modules."""
    waiting = [ast.parse(fold.fold(path.read_text(), path))]
    names = []
    for node in waiting:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += named(node, path)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "_TYPING":
            pass  # type checkers alone import what is below it
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def used(files):
    """Return the files that MicroPython imports if everything is imported; of alternatives, it imports one."""
    imported = {module for file in files for module in _imports(resources.LIB / file)}
    roots = [module_name(file) for file in files if module_name(file) not in imported]
    code = f"import sys\nfor name in {roots!r}: __import__(name)\nprint(' '.join(sys.modules))"
    done = subprocess.run([unix_port.find(), "-c", code], env=unix_port.environment(), capture_output=True, text=True)
    if done.returncode:
        raise CommandError(f"dice cannot be imported on the unix port: {done.stderr.strip()}")
    return [file for file in files if module_name(file) in done.stdout.split()]


def elf_bytes(profile, progress, with_tls=False):
    """Return the flash of the linked firmware of the emulated board: text and data."""
    elf = recipe.firmware(EMULATED, profile=profile, with_tls=with_tls, progress=progress) / "firmware.elf"
    done = subprocess.run(["arm-none-eabi-size", str(elf)], capture_output=True, text=True)
    if done.returncode:
        raise CommandError(f"arm-none-eabi-size failed: {done.stderr.strip()}")
    text, data, *_ = done.stdout.splitlines()[1].split()
    return int(text) + int(data)


def import_heap(board, files, frozen, progress):
    """Return {file: bytes of heap} for the import of each, frozen in the firmware or from a bundle as `dicectl deploy` makes it."""
    if frozen:
        uf2, flash = firmware(), {}
    else:
        uf2 = recipe.firmware(EMULATED, profile="none", progress=progress) / "firmware.uf2"
        flash = {bundle.FILE: bundle.make(files, mpy.flavour_here(board.mpy_arch), mpy.cross_version())}
    names = [module_name(file) for file in files]
    progress(f"importing {'frozen modules' if frozen else '.mpy files'} on the board")
    (result,) = runner.lines(uf2, "heap_of_imports.py", names, flash)
    return {file: result["heap"][module_name(file)] for file in files if module_name(file) in result["heap"]}


def times_us(progress):
    """Return {operation: microseconds on the board} of the operations that have a budget."""
    progress("timing on the board")
    return budgeted(speed.rp2040(True))


def budgeted(lines):
    """Return the same from the lines that on_device/bench.py prints."""
    us = {(line["name"], line["size"]): line["us"] for line in lines if "us" in line}
    return {"seal and open": us["seal", 64] + us["open", 64], "group open": us["group open", 64]}


def p256(progress):
    """Return what p256_cost.py says of P-256 in Python, in files on the board."""
    progress("P-256 on the board")
    files = {name.replace(".py", ".mpy"): mpy.compile_here(resources.LIB / name, name, "armv6m") for name in _files("public-keys")}
    (result,) = runner.lines(firmware(), "p256_cost.py", files=files)
    return result


def tls(progress):
    """Return {"linked", "session_bytes", "record_us", "suite"} of MicroPython's own tls, in one firmware with dice."""
    progress("MicroPython's own tls on the board, for half a minute")
    uf2 = recipe.firmware(EMULATED, with_tls=True, progress=progress) / "firmware.uf2"
    first, *rest = runner.lines(uf2, "tls_dtls.py", files=runner.certificate())
    us = {line["name"]: line["us"] for line in rest}
    size = elf_bytes("full", progress, with_tls=True) - elf_bytes("full", progress)
    record_us = us["tls: seal"] + us["tls: open"]
    return {"linked": size, "session_bytes": first["session_bytes"], "record_us": record_us, "suite": first["suite"]}


def member_heap(progress):
    """Return {"idle", "heard", "opening": bytes of heap} of a member on the board, see on_device/heap_of_a_member.py."""
    progress("a member with 8 senders on the board")
    (result,) = runner.lines(firmware(), f"{_MODULE}.py", ["brief"])
    return {name: result[name] for name in ("idle", "heard", "opening")}


def session(progress):
    """Return the result of on_device/session_cost.py on the board: heap, time and bytes of a session and its handshake."""
    progress("a DTLS session on the board")
    (result,) = runner.lines(firmware(), "session_cost.py")
    return result


def smallest_heaps(progress):
    """Return {scenario: bytes of the smallest heap of the unix port with which it passes}."""
    with tempfile.TemporaryDirectory(prefix="dice-") as folder:
        unix_port.compile_to(Path(folder))

        def passes(kilobytes, module, arguments, output):
            progress(f"trying a heap of {kilobytes} KB on the unix port")
            command = [*unix_port.run_module(module, f"{kilobytes}k"), *arguments]
            done = subprocess.run(command, env=unix_port.environment(folder), cwd=folder, capture_output=True, text=True)
            return done.returncode == 0 and output in done.stdout

        return {
            name: bisect(lambda kilobytes, how=how: passes(kilobytes, *how), _HEAP_MAX_KB) * 1024
            for name, how in _SCENARIOS.items()
        }


def bisect(passes, most):
    """Return the smallest number from 1 to `most` that passes; all larger ones pass too. Raises CommandError if `most` fails."""
    if not passes(most):
        raise CommandError(f"the scenario fails even with a heap of {most} KB")
    least = 1
    while least < most:
        middle = (least + most) // 2
        if passes(middle):
            most = middle
        else:
            least = middle + 1
    return most


def _flash(board, files, mpy_bytes):
    """Return the bytes of flash that the bundle of some files takes, in whole blocks; what it contains is known by its sizes."""
    flavour = mpy.flavour_here(board.mpy_arch)
    parts = bundle.parts(files, flavour, mpy.cross_version(), lambda _path, name, *_: bytes(mpy_bytes[name]))
    return bundle.blocks(len(bundle.joined(parts)), _BLOCK_BYTES) * _BLOCK_BYTES


def _handshakes():
    """Return the figures of the last `dicectl bench --keys --write`, which takes longer than all of these."""
    from dicectl.measure import key_handshakes

    return key_handshakes.load()


def static(board, profile):
    """Return the figures that need no board: the files of profile "group", the bytes of files, profiles and a managed member.

    Those of the emulated board contain the handshakes that were measured before.
    """
    sizes = mpy_bytes(board, profile)
    smaller = [name for name in profiles.names() if name != "none" and set(_files(name)) <= set(sizes)]
    group = [name for name in sizes if name in _files("group")]
    figures = {"group": group, "mpy": sizes, "mpy_total": {name: sum(sizes[file] for file in _files(name)) for name in smaller}}
    figures["file_system"] = {name: _flash(board, _files(name), sizes) for name in smaller}
    if set(sizes) >= {*_SERVER, *_NODE}:
        figures["lamp_file_system"] = _flash(board, in_order(lamp_files()), sizes)
        figures["managed_mpy"] = figures["mpy_total"]["group"] + sizes["dice/aio/managed.py"]
        figures["server_mpy"] = sum(sizes[name] for name in _SERVER)
        figures["node_mpy"] = sum(sizes[name] for name in _NODE)
        for name, modules in _ESP32.items():
            figures[name] = sum(_mpy(f"dice/{module}.py", board) for module in modules)
        for name, files in _PUBLIC_KEYS.items():
            figures[name] = sum(_mpy(file, board) for file in files)
        if board.name == EMULATED:
            figures["handshakes"] = _handshakes()
    return figures


def collect(board, profile, progress, linked=(), with_tls=False):
    """Return all figures of a board and profile; only those of files if the board is not the emulated one.

    `linked` names the profiles to measure in linked firmware. `with_tls` also measures MicroPython's own tls. Calls progress(text).
    """
    if profile not in profiles.names() or profile == "none":
        raise CommandError(f"there is no profile {profile} to measure", USAGE)
    figures = {"board": board.name, "profile": profile, **static(board, profile)}
    if board.name != EMULATED:
        return figures
    check()
    files = used(figures["mpy"])
    figures["linked"] = {name: elf_bytes(name, progress) - elf_bytes("none", progress) for name in linked}
    figures["import_frozen"] = import_heap(board, files, True, progress)
    figures["import_files"] = import_heap(board, files, False, progress)
    figures["member"] = member_heap(progress)
    figures["session"] = session(progress)
    figures["time_us"] = times_us(progress)
    figures["p256"] = p256(progress)
    figures["smallest_heap"] = smallest_heaps(progress)
    if with_tls:
        figures["tls"] = tls(progress)
    return figures
