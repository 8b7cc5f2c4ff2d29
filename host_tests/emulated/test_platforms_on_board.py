# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl deploy` and `dicectl doctor` with an emulated board, where modules of Linux are missing; see unit/test_platforms.py."""

import json

import pytest

from dicectl.emulator.board import EmulatedBoard
from host_tests.unit.test_platforms import SYSTEMS, succeeds


@pytest.mark.parametrize("system", SYSTEMS)
def test_deploy_and_doctor_work_on_other_systems(system, firmware, tmp_path):
    (tmp_path / "main.py").write_text("print('hello')\n")
    with EmulatedBoard(firmware, pty=True) as board:
        done = json.loads(succeeds(system, tmp_path, "deploy", "main.py", "--port", board.port, "--json"))
        assert done["copied"] == {"/main.py": 15}
        found = json.loads(succeeds(system, tmp_path, "doctor", "--port", board.port, "--json"))
        assert found["board"]["board"] == "RPI_PICO"
        assert board.files() == {"main.py": b"print('hello')\n"}
