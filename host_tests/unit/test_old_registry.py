# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""D3: a registry is put back to an older copy. No member obeys an expelled device for long, and what the manager says is true."""

import asyncio
import shutil

import pytest

from dicectl.errors import CommandError
from dicectl.manager.operating.metrics import _Group
from dicectl.manager.registry import backup
from dicectl.manager.registry.file_marks import RESTORED, marks
from dicectl.manager.registry.sqlite import SqliteRegistry
from host_tests.bounds import connected_s
from host_tests.unit.test_recall import BACK_S, House


async def rekey(house):
    house.service.do({"do": "rekey", "group": "lamps"})
    await house.until(house.is_settled, 100)


def show(house):
    return house.service.do({"do": "show", "group": "lamps"})


def events(house):
    return [entry["event"] for entry in house.service.registry.audit()]


async def put_back(house, marked):
    """Kill the manager, put its backup back, and start it; wait until all nodes have a session."""
    await asyncio.sleep(1)
    house.kill()
    live = house.folder / "house.db"
    if marked:
        backup.restore(house.folder / "monday.db", live)
    else:
        shutil.copy(house.folder / "copy.db", live)
        shutil.copy(house.folder / "copy.db-wal", house.folder / "house.db-wal")
    await asyncio.sleep(5)
    await house.start()


def take(house):
    """Back up, by the command and by hand, with the log."""
    for name in ("monday.db", "copy.db", "copy.db-wal"):
        (house.folder / name).unlink(missing_ok=True)
    backup.make(house.folder / "house.db", house.folder / "monday.db")
    shutil.copy(house.folder / "house.db", house.folder / "copy.db")
    shutil.copy(house.folder / "house.db-wal", house.folder / "copy.db-wal")


@pytest.mark.parametrize("rekeys", [0, 1, 2, 3])
@pytest.mark.parametrize("marked", [True, False], ids=["restore", "copy"])
def test_d3_an_expulsion_after_a_restore_is_obeyed_by_all(tmp_path, marked, rekeys):
    """Members refused the epoch, and the manager said that they had it: they went on obeying the expelled."""

    async def scene(house):
        await house.add(4)
        take(house)
        for _ in range(rekeys):
            await rekey(house)
        await put_back(house, marked)
        for node in house.nodes.values():
            node.power_off()  # the tokens of the copy may be those of earlier sessions
            node.power_on()
        await house.until(lambda: house.back() == 4, BACK_S)
        await asyncio.sleep(2)
        shown = house.service.do({"do": "remove", "group": "lamps", "devices": ["n1"]})
        gone = house.nodes.pop(list(house.nodes)[1])
        await asyncio.sleep(connected_s(4) + 2)
        shown = show(house)
        assert shown["in_use"] and shown["settled"] and house.epochs() == {shown["epoch"]}
        await gone.managed.resume()
        await gone.send(b"open the door")
        sender, *others = house.nodes.values()
        for message in (b"first", b"on"):  # who does not know how far it has sent drops the first
            await sender.send(message)
        await asyncio.sleep(1)
        assert [{message for _, _, message in node.received} - {b"first"} for node in others] == [{b"on"}] * 2

    House(tmp_path).run(scene)


def test_d3_the_manager_says_that_its_registry_is_old_and_goes_on_by_itself(tmp_path):
    async def scene(house):
        await house.add(3)
        take(house)
        for _ in range(3):
            await rekey(house)
        before = show(house)["epoch"]
        await put_back(house, False)
        assert show(house)["epoch"] == before - 3 and show(house)["warnings"] == []
        for node in house.nodes.values():
            node.power_off()
            node.power_on()
        await house.until(house.is_settled, 60)
        shown = show(house)
        assert shown["epoch"] == before + 1 and house.epochs() == {before + 1}
        (warning,) = shown["warnings"]
        assert f"reports epoch {before} of lamps, and this registry was at {before - 3}: it is an old copy" in warning
        assert "expel them again" in warning and "old registry" in events(house)
        assert house.service.problems() == [] and 0 in _Group(house.service, house.service.managers["lamps"]).values
        house.service.managers["lamps"].rollback.note(next(iter(house.nodes)), 900, False, before + 1)
        assert any("reports epoch 900 of lamps" in text for text in house.service.problems())
        assert 900 - before in _Group(house.service, house.service.managers["lamps"]).values

    House(tmp_path).run(scene)


def test_d3_a_restored_registry_begins_new_keys_before_it_gives_any_and_says_so(tmp_path):
    """Once: a device that was added since the backup holds the keys of then."""

    async def scene(house):
        await house.add(3)
        take(house)
        house.service.do({"do": "provision", "name": "later", "groups": {"lamps": "listener"}})
        before = show(house)["epoch"]
        keys = {house.service.managers["lamps"].state.tgk}
        for _ in range(2):
            await put_back(house, True)
            state = house.service.managers["lamps"].state
            assert (state.epoch, state.grace_s) == (before + 1, 0) and state.tgk not in keys
            assert any("restored" in warning for warning in show(house)["warnings"]) and "restored" in events(house)
            keys.add(state.tgk)
        print(await house.until(lambda: house.back() == 3, BACK_S), "by the sessions of the former registry")
        await house.until(house.is_settled, 60)
        before = show(house)["epoch"] - 1
        house.kill()
        await house.start()
        assert show(house)["epoch"] == before + 1 and show(house)["warnings"] == []
        with pytest.raises(CommandError, match="there is no device later"):
            house.service.do({"do": "wipe", "name": "later"})

    House(tmp_path).run(scene)


def test_a_kill_while_a_restored_registry_begins_is_repeated(tmp_path):
    """The mark is removed when all groups have new keys."""

    async def scene(house):
        await house.add(2)
        take(house)
        house.kill()
        backup.restore(tmp_path / "monday.db", tmp_path / "house.db")
        registry = SqliteRegistry(tmp_path / "house.db")
        registry.close()
        before = registry.restored
        await house.start()
        assert before and not house.service.registry.restored and not marks(tmp_path / "house.db") & RESTORED

    House(tmp_path).run(scene)
