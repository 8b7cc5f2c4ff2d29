# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Prints [path, bytes] of each file at or below the paths in its arguments, one a line; those that do not exist are left out."""

import json
import os
import sys


def main(path):
    """Print a file, or what is below a folder."""
    try:
        entries = list(os.ilistdir(path))
    except OSError:
        try:
            print(json.dumps([path, os.stat(path)[6]]))
        except OSError:
            pass
        return
    for entry in entries:
        main("%s/%s" % (path, entry[0]))


for name in sys.argv[1:]:
    main(name)
