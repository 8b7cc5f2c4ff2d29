# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dicectl.resources alone knows where files are; host_tests/install tests it in an installed dicectl."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dicectl import resources
from dicectl.errors import USAGE, CommandError

TOOLS = resources.clone("this test") / "tools" / "dicectl"
# Modules that read their own source, which has a part in what they make.
OWN_SOURCE = {"firmware/fold.py", "firmware/recipe.py", "firmware/native.py"}


@pytest.mark.parametrize("name", ["LIB", "BOARDS", "FIRMWARE", "APP", "EXAMPLES", "ON_DEVICE"])
def test_folders_have_files(name):
    assert list(getattr(resources, name).glob("*.py"))


def test_a_clone_is_found():
    assert (resources.clone("this test") / "host_tests" / "unit" / Path(__file__).name).samefile(__file__)
    assert resources.FIGURES.exists()


def test_without_a_clone_the_message_says_what_needs_one(monkeypatch):
    monkeypatch.setattr(resources, "_CLONE", None)
    with pytest.raises(CommandError, match="footprint --write needs a clone of the repository") as caught:
        resources.clone("footprint --write")
    assert caught.value.exit_code == USAGE


def test_data_takes_precedence_over_a_clone(tmp_path):
    """The folder data/ makes an installed dicectl, wherever it is."""
    for name in ("__init__.py", "errors.py", "resources.py"):
        (tmp_path / "dicectl").mkdir(exist_ok=True)
        (tmp_path / "dicectl" / name).write_bytes((TOOLS / name).read_bytes())
    (tmp_path / "dicectl" / "data").mkdir()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom dicectl import resources\nprint(resources.LIB)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / "dicectl" / "data" / "lib"), done.stderr


@pytest.mark.parametrize("path", sorted(TOOLS.rglob("*.py")), ids=lambda path: path.relative_to(TOOLS).as_posix())
def test_no_other_module_knows_where_it_is(path):
    name = path.relative_to(TOOLS).as_posix()
    if name != "resources.py" and not name.startswith("on_device/"):
        text = path.read_text()
        assert name in OWN_SOURCE or not re.search(r"\b__file__\b", text)
        assert not re.search(r"__file__\)[^\n]*\.parent|importlib\.resources", text)
