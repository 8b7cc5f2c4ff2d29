# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests of `dicectl group` to the manager, and for how long it waits; the manager is a double."""

import asyncio
import json
import re
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from dice.errors import PeerError, UsageError
from dice.reasons import E_ALERT, E_NOT_CONNECTED, E_REFUSED
from dicectl.cli import group, group_state
from dicectl.errors import CommandError
from dicectl.manager import control
from dicectl.manager.presence_words import span
from dicectl.member import as_member, host_member


@pytest.fixture
def ask(monkeypatch):
    """Return a function that runs a command; it returns (output, requests). `answers`: the manager's, the last stays."""

    def run(*arguments, answers, status=0):
        requests = []

        def call(_registry, do, **request):
            requests.append({"do": do, **request})
            return answers.pop(0) if len(answers) > 1 else answers[0]

        monkeypatch.setattr(control, "call", call)
        monkeypatch.setattr(group_state, "_POLL_S", 0)
        result = CliRunner().invoke(group.command, arguments, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result.output, requests

    return run


def shown(**changes):
    """Return a group as the manager shows it."""
    fields = {"name": "lamps", "epoch": 2, "active": True, "members": 2, "senders": 0, "missing": [], "untold": [], "error": ""}
    return {**fields, "lifetime_s": 604_800, **changes}


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


def test_a_command_that_waits_asks_for_counts_and_few_names(ask):
    """The manager named each of 5,000 members five times a second, and did little else meanwhile."""
    lamps = [f"lamp-{number}" for number in range(5)]
    counts = {"missing": 0, "untold": 4000, "awake": 5000, "away": 0, "returning": 0}
    poll = shown(members=5000, untold=lamps, counts=counts, cut=True)
    done = shown(members=5000, awake=lamps, counts={**counts, "untold": 0}, cut=True)
    whole = shown(members=5000, awake=[f"lamp-{number}" for number in range(5000)])
    output, requests = ask("rekey", "lamps", "--json", answers=[shown(active=False, members=5000), poll, done, whole])
    assert [request.get("names_max") for request in requests] == [None, 5, 5, None]
    assert len(json.loads(output)["awake"]) == 5000


def member(device, state="connected", heard_s=3, back_s=None, has_epoch=False):
    """Return a member as the manager shows it."""
    return {"device": device, "state": state, "heard_s": heard_s, "back_s": back_s, "has_epoch": has_epoch}


AWAY = [member("lamp-4", "silent", 720), member("cat", "asleep", 60, 240), member("new", "never seen", None)]
TRUTHS = {
    "epoch 2 in use": shown(awake=["lamp", "fan"]),
    "epoch 2 in use by all 1 that are awake; 1 will fetch it later: lamp-4 (silent for 12 min)": shown(
        awake=["fan"], away=AWAY[:1]
    ),
    "epoch 2 in use by all 2 that are awake; 3 will fetch it later: lamp-4 (silent for 12 min), new (never seen), "
    "cat (asleep, back in 4 min)": shown(members=5, away=AWAY),
    "epoch 2 in use; 1 is away: lamp-4 (silent for 12 min)": shown(away=[{**AWAY[0], "has_epoch": True}]),
    "nobody is awake; 2 will fetch epoch 2 later: lamp-4 (silent for 12 min), cat (asleep, back in 4 min)": shown(
        active=False, away=AWAY[:2]
    ),
    "epoch 2 is being delivered, 1 without it: fan": shown(active=False, untold=["fan"], missing=["fan"]),
    "epoch 2: nobody is connected yet (started 2 s ago): 2 members are called back; the old keys are in use until they are here: "
    "lamp, fan": shown(
        active=False, missing=["lamp", "fan"], untold=["lamp", "fan"], awake=["lamp", "fan"], returning=["lamp", "fan"], started_s=2
    ),
    "epoch 2: 1 of 2 are connected (started 12 s ago): 1 member is called back; they have epoch 2: fan": shown(
        untold=["fan"], awake=["lamp", "fan"], returning=["fan"], started_s=12
    ),
    "epoch 0 none yet": shown(epoch=0, active=False),
}


@pytest.mark.parametrize("truth", TRUTHS)
def test_what_is_said_of_a_group_is_what_is_true(ask, truth):
    """D2, D13: an epoch was "in use" when nobody had it, and "handed out" as long as somebody was dead."""
    output, _ = ask("show", "lamps", answers=[{**TRUTHS[truth], "since": 0, "rekey_s": 0, "gid": "", "address": "", "port": 1}])
    line, *_ = output.splitlines()
    assert line.partition("; ")[2] == truth


@pytest.mark.parametrize("truth", [truth for truth in TRUTHS if TRUTHS[truth]["epoch"]])
@pytest.mark.parametrize("command", [("rekey", "lamps"), ("remove", "lamps", "gone"), ("add", "lamps", "fan")], ids=lambda c: c[0])
def test_a_command_that_waits_ends_with_1_unless_the_epoch_is_in_use(ask, monkeypatch, truth, command):
    """D17, D13: it ended with 0 after 90 s."""
    monkeypatch.setattr(group_state, "_WAIT_S", 0)
    monkeypatch.setattr(group_state, "_WAIT_EACH_S", 0)
    done = "being delivered" not in truth and "called back" not in truth
    output, _ = ask(*command, answers=[TRUTHS[truth]], status=0 if done else 1)
    output = re.sub(r"[│─╭╮╰╯\s]+", " ", output)  # the frame of an error
    assert ("goes on; dicectl group show lamps tells" in output) == (not done)
    obeyed = command[0] == "remove" and ("later" in truth or "old keys" in truth or "delivered" in truth)
    assert ("until then they obey gone" in output) == obeyed
    ask(*command, "--no-wait", answers=[TRUTHS[truth]])
    output, _ = ask(*command, "--json", answers=[TRUTHS[truth]], status=0 if done else 1)
    assert json.loads(output.splitlines()[0]) == TRUTHS[truth]


def test_members_are_listed_with_when_they_were_heard(ask):
    """D1."""
    found = [
        {**member, "connected": member["state"] == "connected", "role": "listener", "id": None, "epoch": 2, "identity": "x"}
        for member in (member("fan"), *AWAY, member("bell", "left", 7200), member("door", "returning", 9))
    ]
    output, _ = ask("members", "lamps", answers=[found])
    states = ["connected, heard 3 s ago", "silent for 12 min", "asleep, back in 4 min", "never seen", "left 2 h ago"]
    for line, state in zip(output.splitlines(), [*states, "called back, heard 9 s ago"], strict=True):
        assert line.endswith(state), line
    output, _ = ask("members", "lamps", "--offline", "--json", answers=[found])
    assert [member["device"] for member in json.loads(output)] == ["lamp-4", "door", "new", "bell", "cat"]


@pytest.mark.parametrize("seconds, text", [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (172_800, "2 days")])
def test_times_are_as_people_say_them(seconds, text):
    assert span(seconds) == text


DAMAGE = [
    *({"key": "zz"}, {"key": 5}, {"key": None}, {"identity": 5}, {"identity": "x" * 300}, {"groups": [5]}),
    *({"next": 7}, {"next": {"identity": 4, "key": 5}}, {"before": [5]}, {"manager": {"host": 1, "port": 1}}),
]


@pytest.mark.parametrize("wrong", DAMAGE, ids=repr)
def test_a_node_json_that_is_damaged_gives_one_line(tmp_path, wrong):
    settings = {"manager": {"host": "x", "port": 1}, "identity": "a", "key": "00", **wrong}
    (tmp_path / "node.json").write_text(json.dumps(settings))
    (tmp_path / "node.json").chmod(0o600)
    with pytest.raises(CommandError, match="is damaged"):
        host_member.HostMember(tmp_path, ["lamps"])


@pytest.mark.parametrize("ended, joined", [([True, False], 2), ([True, True], 2), ([False], 1)], ids=repr)
def test_a_session_that_ends_before_a_member_has_joined_is_opened_once_more(tmp_path, monkeypatch, ended, joined):
    """As the manager ends it after it has offered a new key: the message was not sent, and E19 said nothing of that."""
    (tmp_path / "node.json").write_text(json.dumps({"manager": {"host": "x", "port": 1}, "identity": "a", "key": "00"}))
    (tmp_path / "node.json").chmod(0o600)
    member = host_member.HostMember(tmp_path, [])
    sessions = iter(ended)
    joins = []

    async def connect(timeout_s=0):
        member.coap = SimpleNamespace(connection=SimpleNamespace(ended=next(sessions)))

    async def resume():
        pass

    async def join(coap):
        joins.append(coap)
        if coap.connection.ended or joined == 1:
            raise UsageError(E_NOT_CONNECTED)
        return "the group"

    member.connect = connect
    member.managed["lamps"] = SimpleNamespace(resume=resume, join=join)
    if ended[-1] or joined == 1:
        with pytest.raises(CommandError, match="E19"):
            asyncio.run(member.ready("lamps"))
    else:
        assert asyncio.run(member.ready("lamps")) == ("the group", None)
    assert len(joins) == joined


@pytest.fixture
def desk(tmp_path):
    """Return a member of a folder of that name."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "node.json").write_text(json.dumps({"manager": {"host": "x", "port": 1}, "identity": "a", "key": "00"}))
    (folder / "node.json").chmod(0o600)
    return host_member.HostMember(folder, [])


def test_a_member_that_the_manager_refuses_says_in_which_groups_it_is(desk):
    """`group send lamp --as desk`, of a member of lamps: it was "Add it to the group"."""
    refused = PeerError(None, E_REFUSED)
    where = "Look at the name with dicectl group list, or dicectl group add lamp desk"
    assert desk.why_not("lamp", refused) == f"E61: desk is not in lamp. {where}"
    for name in ("lamps", "fans"):
        desk.path(name).touch()
    assert desk.why_not("lamp", refused) == "E61: desk is not in lamp. It is in: fans, lamps"


@pytest.mark.parametrize(
    "alert, remedy", [(20, "provision replace"), (46, "provision replace"), (51, "provision replace"), (80, "log")]
)
def test_a_manager_that_ends_the_session_says_why_without_an_exception_to_print(desk, alert, remedy):
    """A user of the command line has no exception whose `alert` could be printed. 51: node.json has another key."""

    async def connect(timeout_s=0):
        raise PeerError(alert, E_ALERT)

    async def resume():
        pass

    desk.connect = connect
    desk.managed["lamps"] = SimpleNamespace(resume=resume)
    with pytest.raises(CommandError, match=rf"^E50 \(alert {alert}\): The manager .*{remedy}") as raised:
        asyncio.run(desk.ready("lamps"))
    assert "exception" not in raised.value.message


def test_periods_are_shown_as_options_write_them(ask):
    """D17: it was "re-key 30 days, 0:00:00"."""
    answer = shown(since=0, rekey_s=30 * DAY, lifetime_s=DAY // 2, gid="", address="", port=1)
    output, _ = ask("show", "lamps", answers=[answer])
    assert output.endswith(", re-key every 30d, lifetime of keys 12h\n")


@pytest.mark.parametrize("manager, more", [("connected", ""), ("away", ", with the keys that were kept: the manager is away")])
def test_a_message_that_was_sent_is_confirmed_with_its_number(monkeypatch, tmp_path, manager, more):
    """D17: nothing was printed if it had worked."""
    monkeypatch.setattr(as_member, "send", lambda *_: {"epoch": 3, "number": 7, "manager": manager})
    result = CliRunner().invoke(group.command, ["send", "lamps", "on", "--as", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (0, f"sent to lamps: epoch 3, number 7{more}\n")
