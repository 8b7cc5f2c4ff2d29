# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Runs files of host_tests/portable on each row of the table of targets, with the machine code of that processor.

By default a sample that takes a stated time on each; `make targets` runs all and writes docs/boards.md.
"""

import re

import pytest

from dicectl import resources
from dicectl.emulator.board import ScriptError
from dicectl.firmware import mpy
from host_tests import vectors
from host_tests.emulated import files, results
from host_tests.emulated.targets import TABLE
from host_tests.emulated.targets.base import NAMES, PORTABLE, vector_files
from host_tests.emulated.targets.built import cpu_seconds


def cases():
    """Yield a parameter for each test module on each target; those outside of its sample are on demand."""
    for row in TABLE.values():
        names = [name for name in NAMES if name not in row.lacks]
        sample = results.sample(row, names)
        for name in names:
            marks = [] if name in sample else [pytest.mark.on_demand]
            if not results.wanted():  # one process compiles the files of a target; a run of all has more use for both cores
                marks.append(pytest.mark.xdist_group(f"portable-{row.name}"))
            yield pytest.param(row.name, name, marks=marks, id=f"{row.name}-{name}")


IN_QEMU = [name for name, row in TABLE.items() if row.system_call]


def on_each_target():
    """Parametrize with all rows."""
    return pytest.mark.parametrize("target", TABLE, indirect=True)


@pytest.mark.parametrize("target, name", list(cases()), indirect=["target"])
def test_portable_tests_pass(target, name, record_property):
    target.flash(name)  # compiled here, so that its time does not count
    start = cpu_seconds()
    version, output, status = target.suite(name)
    assert status == "0", output
    passed = re.search(rf"^{name}: ([1-9]\d*) tests, 0 failed$", output, re.MULTILINE)
    assert passed, output
    record_property("outcome", (target.name, version, name, int(passed[1]), cpu_seconds() - start))


@on_each_target()
def test_a_failure_names_its_file_and_test(target):
    broken = b"def test_right():\n    pass\n\n\ndef test_wrong():\n    assert 1 << 40 == 1\n"
    _, output, status = target.suite("test_wire", "test_broken", more={"test_broken.py": broken})
    assert status == "1"
    assert "FAILED test_broken test_wrong" in output
    assert re.search(r"^AssertionError:", output, re.MULTILINE)
    assert re.search(r"^test_broken: 2 tests, 1 failed$", output, re.MULTILINE)
    assert re.search(r"^test_wire: [1-9]\d* tests, 0 failed$", output, re.MULTILINE)


@on_each_target()
def test_it_runs_machine_code_of_its_processor(target):
    code = "import sys\nfrom dice import crypto\nfrom dice.crypto import ccm_viper\n"
    code += "print(sys.implementation._mpy, crypto.crypt is ccm_viper.crypt)\n"
    flavour, used = target.run(code, target.flash("test_ccm"))[-1].split()
    assert mpy.Flavour(int(flavour)).architecture == target.architecture
    assert used == "True"


@pytest.mark.parametrize("target", IN_QEMU, indirect=True)
def test_firmware_with_the_ctr_mode_uses_it(target):
    """As in firmware of ours for an ESP32: dice.crypto takes it by crypto/native, and the messages are the same."""
    more = files.compiled(resources.LIB, "dice/crypto/native.py", architecture=target.architecture)
    code = "from dice import crypto\nfrom dice.crypto import ccm_ctr\nprint(crypto.crypt is ccm_ctr.crypt)"
    assert target.run(code, {**target.flash("test_ccm"), **more})[-1] == "True"
    for name in ("test_ccm", "test_vectors_ccm", "test_bulk_calls"):
        _, output, status = target.suite(name, more=more)
        assert status == "0", output


@on_each_target()
def test_a_script_that_fails_or_hangs_is_ended(target):
    with pytest.raises(ScriptError, match="KeyError: absent"):
        target.run("{}['absent']", {})
    with pytest.raises(ScriptError, match="has not ended in time"):
        target.run("while True:\n    pass", {}, timeout_s=3)


def test_what_a_target_lacks_exists_and_has_a_reason():
    for row in TABLE.values():
        assert set(row.lacks) < set(NAMES) and all(row.lacks.values()), row.name


def test_the_gate_installs_the_packages_of_all_targets():
    gate = set((resources.ROOT / ".ci" / "run").read_text().replace('"', " ").split())
    for row in TABLE.values():
        assert set(row.packages()) - {"apt", "dpkg", "gcc", "make"} <= gate, row.name


def test_the_page_has_the_table_of_the_last_run():
    listed, made = results.listed().splitlines(), results.table(TABLE.values(), NAMES).splitlines()
    cells = [[line.split("|")[:-2] for line in lines] for lines in (listed, made)]  # the last one changes with each new module
    assert cells[0] == cells[1], "run: make targets"


def test_the_results_are_of_the_tests_that_there_are():
    """A test module that was never measured is in the last column; one that has other tests now was measured too long ago."""
    tests = {name: len(re.findall("^def test_", (PORTABLE / f"{name}.py").read_text(), re.MULTILINE)) for name in NAMES}
    measured = {(name, figures["tests"]) for row in results.load().values() for name, figures in row["files"].items()}
    stale = sorted({name for name, count in measured if count != tests.get(name)})
    assert not stale, f"run: make targets TARGET='{' or '.join(stale)}'"


def test_a_board_gets_the_vectors_that_its_tests_read_and_no_others():
    """The certificates alone take 106 of the 352 blocks of a Pico's file system."""
    read = {file for name in NAMES for file in vector_files(name)}
    assert read == {f"vectors/{path.name}" for path in vectors.extract().iterdir()}
    assert list(vector_files("test_x509_chain")) == ["vectors/certificates.txt"] and not vector_files("test_kx_rpk")
