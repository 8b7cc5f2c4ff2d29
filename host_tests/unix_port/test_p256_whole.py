# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""All vectors of P-256 on the unix port, whose heap is that of a board; the sample for boards in plain Python."""

import re
import subprocess

from dicectl import resources
from dicectl.firmware import unix_port
from host_tests import vectors, vectors_p256

PORTABLE = resources.ROOT / "host_tests" / "portable"
COUNTS = {"ecdh": 380, "verify": 277, "der": 484, "sign": 15, "points": 12, "keys": 10}
# Firmware without a native code emitter imports this module instead of machine code.
PLAIN = "import dice.crypto.p256_plain, sys\nsys.modules['dice.crypto.p256_viper'] = sys.modules['dice.crypto.p256_plain']\n"
RUN = "import run, sys\nsys.exit(run.main(['test_vectors_p256']))"


def counted(folder, before=""):
    """Return {file: cases} of a run with the vectors in a folder."""
    environment = unix_port.environment(f"{PORTABLE}:{resources.LIB}")
    environment.update(DICE_VECTORS=str(folder))
    argv = [unix_port.find(), "-X", "heapsize=256k", "-c", before + RUN]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: int(count) for name, count in re.findall(r"^p256_(\w+)\.txt: (\d+) cases$", done.stdout, re.MULTILINE)}


def test_all_vectors_in_machine_code():
    assert counted(vectors_p256.whole()) == COUNTS


def test_a_sample_in_plain_python():
    """As in firmware that takes no native code."""
    assert counted(vectors.extract(), PLAIN).keys() == COUNTS.keys()
