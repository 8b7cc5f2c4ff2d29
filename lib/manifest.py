# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The modules of each profile of dice, for MicroPython's manifests and for dicectl.

    include("path/to/lib/manifest.py")                      # everything that works with pre-shared keys
    include("path/to/lib/manifest.py", profile="public-keys")   # the same, and raw public keys and certificates
    include("path/to/lib/manifest.py", profile="group")     # a member of a group, sans-IO: no network, no asyncio
    include("path/to/lib/manifest.py", profile="psk")       # the same, and a DTLS client with a pre-shared key
    include("path/to/lib/manifest.py", unix=True)           # everything, for MicroPython's unix port
    include("path/to/lib/manifest.py", native=True)         # for firmware that runs native code (False: that does not)
    include("path/to/lib/manifest.py", esp32=False)         # without what only an ESP32 loads
    include("path/to/lib/manifest.py", ctr=False)           # without what needs the CTR mode, which stock firmware lacks
    include("path/to/lib/manifest.py", c_module=True)       # for firmware with the module `_dice`, which is in C

Modules are compiled with -O3: without line numbers in tracebacks, which saves flash. The manifest freezes a temporary copy of these
sources, constants folded, private names shortened (dicectl/firmware/fold.py). With fold=False it only lists the files, for a tool
that folds them.
"""

import atexit
import os
import runpy
import shutil
import tempfile

_CONSTANTS = ("_typing.py", "codes.py", "limits.py", "reasons.py")  # folded away
_HOST = ("_cpython.py", "aio/_cpython.py", "crypto/host.py", "crypto/host_p256.py", "dtls/session_index.py")  # CPython only
# The group manager, which is not a board.
_MANAGER = tuple(
    f"group/{name}.py"
    for name in ("device_ids", "gsa_encode", "group_state", "manager", "presence", "progress", "ration", "rollback")
) + ("aio/kdc.py", "aio/key_delivery.py")
_UNIX = ("_posix.py", "transport/udp_network.py", "transport/udp_system.py") + _MANAGER  # for firmware on an operating system
_PLAIN = ("crypto/ccm.py", "crypto/p256_plain.py")  # for firmware without native code
_NATIVE = ("crypto/ccm_viper.py", "crypto/p256_viper.py")  # for firmware with native code
_ESP32 = ("store_nvs.py", "store_rtc.py")  # for an ESP32 alone
_CTR = ("crypto/ccm_ctr.py",)  # for firmware of ours for an ESP32, whose cryptolib has the CTR mode
_C_MODULE = ("crypto/native.py",)  # for a board with the module `_dice`, which is in C, and for the same
_C_RECORDS = ("group/native.py",)  # for a board with the module `_dice` alone

# For raw public keys and certificates: in profile `public-keys` alone.
_PUBLIC_KEYS = (
    tuple(f"crypto/{name}.py" for name in ("curve", "ecdsa", "p256", "p256_plain", "p256_viper"))
    + tuple(f"dtls/{name}.py" for name in ("ecdhe", "kx_ecdhe_psk", "kx_ecdhe_psk_server", "kx_any"))
    + ("dtls/cached_info.py", "dtls/cached_info_server.py")
)
_PUBLIC_KEYS += tuple(f"dtls/{name}.py" for name in ("kx_ecdsa", "kx_ecdsa_server", "kx_rpk", "kx_rpk_server"))
_PUBLIC_KEYS += ("dtls/kx_cert.py", "dtls/kx_cert_server.py", "dtls/contact.py", "aio/contact.py")
_PUBLIC_KEYS += tuple(f"x509/{name}.py" for name in ("__init__", "certificate", "chain", "der"))

_GROUP = (
    "__init__.py",
    "_compat.py",
    "errors.py",
    "replay.py",
    "store.py",
    "crypto/__init__.py",
    "crypto/ccm.py",
    "crypto/ccm_viper.py",
    "crypto/hmac.py",
    "suites.py",
    "record.py",
    "group/__init__.py",
    "group/context.py",
    "group/gsa.py",
    "group/counters.py",
    "group/member.py",
    *_ESP32,
    *_CTR,
    *_C_MODULE,
    *_C_RECORDS,
)

# In addition to _GROUP, for a client with a pre-shared key.
_PSK = (
    "dtls/__init__.py",
    "dtls/client.py",
    "dtls/extensions.py",
    "dtls/flights.py",
    "dtls/handshake.py",
    "dtls/kx_psk.py",
    "dtls/messages.py",
    "dtls/record_layer.py",
    "dtls/session.py",
    "wire.py",
)


def _everything():
    """Return all modules that boards may need."""
    found = []
    for folder, _, names in os.walk("dice"):
        found += [os.path.join(folder, name)[len("dice/") :].replace(os.sep, "/") for name in names]
    return tuple(sorted(name for name in found if name.endswith(".py") and name not in _CONSTANTS + _HOST + _UNIX))


def _version():
    """Return dice.__version__ without importing dice."""
    with open("dice/__init__.py") as file:
        return next(line.split('"')[1] for line in file if line.startswith("__version__ = "))


def _folded(files):
    """Return a temporary folder with folded copies of these files; their modification times let make see what has changed."""
    places = ("../tools/dicectl/firmware/fold.py", "../../firmware/fold.py")  # in the repository; in an installed dicectl
    tool = next((place for place in places if os.path.exists(place)), None)
    if tool is None:
        raise ValueError("no fold.py for dice's lib/: it must stay in its repository, or in an installed dicectl")
    target = tempfile.mkdtemp(prefix="dice-folded-")
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    runpy.run_path(tool)["copy"](".", ["dice/" + name for name in files], target)
    return target


# When firmware is built, a version given here would be appended to every module, MicroPython's own included.
if "freeze" not in globals():
    metadata(version=_version(), description="DTLS In Constrained Environments", license="MIT", author="The dice authors")

options.defaults(profile="full", unix=False, native=None, esp32=None, ctr=None, c_module=None, fold=True)
_full = tuple(name for name in _everything() if name not in _PUBLIC_KEYS)
_profiles = {"none": (), "group": _GROUP, "psk": _GROUP + _PSK, "full": _full, "public-keys": _everything()}
if options.profile not in _profiles:
    raise ValueError("dice has no profile %s; it has %s" % (options.profile, ", ".join(_profiles)))
_files = tuple(_profiles[options.profile]) + (_UNIX if options.unix and options.profile != "none" else ())
_needless = () if options.native is None else _PLAIN if options.native else _NATIVE
_needless += () if options.esp32 is not False else _ESP32
_any_board = options.ctr is None and options.esp32 is None
_ctr = options.ctr or _any_board
_needless += () if _ctr else _CTR
_with_c = options.c_module is not False and (options.c_module or options.profile == "public-keys" or _any_board)
_needless += () if _with_c or (_ctr and options.c_module is not False) else _C_MODULE
_needless += () if _with_c else _C_RECORDS
_files = tuple(name for name in _files if name not in _needless)
package("dice", files=_files, base_path=_folded(_files) if options.fold and _files else ".", opt=3)
