# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests of `dicectl group` to the manager, and for how long it waits; the manager is a double."""

import json

import pytest
from click.testing import CliRunner

from dicectl.cli import group
from dicectl.errors import CommandError
from dicectl.manager import control, host_member


@pytest.fixture
def ask(monkeypatch):
    """Return a function that runs a command; it returns (output, requests). `answers`: the manager's, the last stays."""

    def run(*arguments, answers):
        requests = []

        def call(_registry, do, **request):
            requests.append({"do": do, **request})
            return answers.pop(0) if len(answers) > 1 else answers[0]

        monkeypatch.setattr(control, "call", call)
        monkeypatch.setattr(group, "_POLL_S", 0)
        result = CliRunner().invoke(group.command, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output, requests

    return run


def shown(**changes):
    """Return a group as the manager shows it."""
    fields = {"name": "lamps", "epoch": 2, "active": True, "members": 2, "senders": 0, "missing": [], "untold": [], "error": ""}
    return {**fields, **changes}


DAY = 86_400


@pytest.mark.parametrize(
    "options, lifetime_s, rekey_s",
    [
        ((), 7 * DAY, 0),
        (("--lifetime", "0"), 0, 0),
        (("--lifetime", "12h"), DAY // 2, 0),
        (("--rekey-every", "30d"), 60 * DAY, 30 * DAY),
        (("--rekey-every", "1d"), 7 * DAY, DAY),
        (("--lifetime", "0", "--rekey-every", "30d"), 0, 30 * DAY),
    ],
)
def test_keys_have_a_lifetime_unless_the_operator_says_none(ask, options, lifetime_s, rekey_s):
    """So that a device that never reaches its manager stops obeying the expelled."""
    _, (request,) = ask("new", "lamps", *options, answers=[shown(epoch=0, active=False)])
    assert (request["lifetime_s"], request["rekey_s"]) == (lifetime_s, rekey_s)


def test_an_expulsion_waits_until_all_connected_members_have_entered_the_epoch(ask):
    """F1, F2: listeners too, and also when the last sender was expelled."""
    waiting = [shown(active=False, untold=["lamp"]), shown(untold=["lamp", "fan"]), shown(untold=["fan"]), shown()]
    output, requests = ask("remove", "lamps", "switch", "--json", answers=waiting)
    assert [request["do"] for request in requests] == ["remove", "show", "show", "show"]
    assert json.loads(output)["untold"] == []
    output, requests = ask("remove", "lamps", "switch", "--no-wait", answers=[shown(untold=["lamp"])])
    assert len(requests) == 1 and "is being delivered" in output


@pytest.mark.parametrize("wrong", [{"key": "zz"}, {"key": 5}, {"key": None}, {"identity": 5}, {"identity": "x" * 300}], ids=repr)
def test_a_node_json_that_is_damaged_gives_one_line(tmp_path, wrong):
    settings = {"manager": {"host": "x", "port": 1}, "identity": "a", "key": "00", **wrong}
    (tmp_path / "node.json").write_text(json.dumps(settings))
    with pytest.raises(CommandError, match="is damaged"):
        host_member.HostMember(tmp_path, "lamps")
