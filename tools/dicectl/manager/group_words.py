# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The state of a group as a sentence: what is true now, and what is still to come.

A group is a dict, as the request "show" answers it. An epoch is in use if all members that are awake have entered it.
"""

from dicectl.manager.presence_words import rank, span, words
from dicectl.text import counted

_NAMES_MAX = 5


def count(shown, kind):
    """Return how many members of one kind there are, of which an answer to a poll names only the first."""
    return shown["counts"][kind] if "counts" in shown else len(shown.get(kind, ()))


def is_done(shown):
    """Return whether nothing is to be waited for: the epoch is in use, or nobody is awake to whom it could be delivered."""
    nobody = count(shown, "away") == shown["members"] and not count(shown, "returning")
    return nobody or bool(shown["active"] and not count(shown, "untold"))


def sentence(shown, expelled=()):
    """Return what is true of a group now. `expelled`: names of devices that members obey until they have the epoch."""
    return f"{shown['name']}: {counted(shown['members'], 'member')}, {shown['senders']} may send; {_epoch(shown, expelled)}"


def _epoch(shown, expelled):
    epoch = f"epoch {shown['epoch']}"
    late = [member for member in shown.get("away", ()) if not member["has_epoch"]]
    returning = shown.get("returning", ())
    if not shown["epoch"]:
        return f"{epoch} none yet"
    if returning:
        return _after_start(shown, returning, expelled)
    if len(shown.get("away", ())) == shown["members"]:
        return f"nobody is awake; {_later(late, epoch, expelled)}" if late else f"{epoch}; nobody is awake"
    if not is_done(shown):
        waiting = shown["untold"] or shown["missing"]
        return f"{epoch} is being delivered, {len(waiting)} without it: {_list(waiting)}{_until(expelled)}"
    if late:
        awake = shown["members"] - len(shown["away"])
        return f"{epoch} in use by all {awake} that are awake; {_later(late, 'it', expelled)}"
    away = shown.get("away", ())
    return f"{epoch} in use" + (f"; {len(away)} {'is' if len(away) == 1 else 'are'} away: {_named(away)}" if away else "")


def _after_start(shown, returning, expelled):
    """Return what is true as long as some have not come back since the manager started."""
    here = len(shown["awake"]) - len(returning)
    found = f"{here} of {len(shown['awake'])} are connected" if here else "nobody is connected yet"
    called = f"{len(returning)} {'member is' if len(returning) == 1 else 'members are'} called back"
    old = set(returning) & set(shown["missing"])
    keys = "the old keys are in use until they are here" if old else f"they have epoch {shown['epoch']}"
    text = f"{found} (started {span(shown['started_s'])} ago): {called}; {keys}: {_list(returning)}"
    late = [member for member in shown.get("away", ()) if not member["has_epoch"]]
    ending = f"; {_later(late, 'it', ())}" if late else ""
    return f"epoch {shown['epoch']}: {text}{_until(expelled) if old else ''}{ending}"


def _later(late, what, expelled):
    return f"{len(late)} will fetch {what} later: {_named(late)}{_until(expelled)}"


def _named(members):
    return _list([f"{member['device']} ({words(member)})" for member in sorted(members, key=rank)])


def _until(expelled):
    return f" (until then they obey {', '.join(expelled)})" if expelled else ""


def _list(names):
    return ", ".join(names[:_NAMES_MAX]) + (f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else "")
