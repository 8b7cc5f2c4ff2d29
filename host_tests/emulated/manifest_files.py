# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Prints what MicroPython's manifestfile.py makes of a manifest, [[target, path, opt], ...], and its version; for test_firmware.

The argument is [folder of manifestfile.py, variables, mode, manifest, folder or ""]: see evaluate() there.
"""

import json
import runpy
import shutil
import sys
from pathlib import Path


def copied(lib, names, target):
    """Stand in for fold.copy()."""
    for name in names:
        Path(target, name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(lib, name), Path(target, name))


tools, variables, mode, text, keep = json.loads(sys.argv[1])
if not keep:
    runpy.run_path = lambda path: {"copy": copied}
sys.path.insert(0, tools)
manifestfile = __import__("manifestfile")
manifest = manifestfile.ManifestFile(getattr(manifestfile, mode), variables)
manifest.execute(text)
if keep:
    for number, file in enumerate(manifest.files()):
        Path(keep, str(number)).write_bytes(Path(file.full_path).read_bytes())
print(json.dumps([[file.target_path, file.full_path, file.opt] for file in manifest.files()]))
print(manifest.metadata().version)
