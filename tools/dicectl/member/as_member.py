# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Commands send and ask as a member: through the resident member of the folder, or by joining for a moment if there is none."""

from dicectl import ending, line_socket
from dicectl.member import member_socket


def send(folder, group, message, network, report=None):
    """Send a message and return what is true then, a dict; raises CommandError.

    `network` has the interface and the hops, as far as they were given. `report(text)` gets what is waited for.
    """

    async def alone(member):
        _, away = await member.ready(group)
        return {**await member.send(group, message.encode()), "manager": "away" if away else "connected"}

    return _do(folder, group, network, alone, {"do": "send", "group": group, "message": message}, report)


def ask(folder, group, path, wait_ms, network, report=None):
    """GET a resource of all members and return {id: text of the answer}; raises CommandError."""

    async def alone(member):
        await member.ready(group)
        member.report(f"waiting {wait_ms / 1000:g} s for answers")
        return {"answers": await member.ask(group, path, wait_ms)}

    found = _do(folder, group, network, alone, {"do": "ask", "group": group, "path": path, "wait_ms": wait_ms}, report)
    return {int(who): text for who, text in found["answers"].items()}


def identity(folder):
    """Return the identity of a folder's member; raises CommandError."""
    from dicectl.member.host_member import HostMember

    return HostMember(folder, []).identity


def _do(folder, group, network, alone, request, report):
    network = {name: value for name, value in network.items() if value is not None}
    while True:
        try:
            return member_socket.request(folder, **request, **network)
        except line_socket.NobodyServes:
            found = _alone(folder, group, network, alone, report)
            if found:
                return found


def _alone(folder, group, network, work, report):
    """Be the member for a moment, and return what `await work(member)` returns; None if a resident member appears meanwhile."""
    from dice.errors import DiceError
    from dicectl.errors import FAILED, CommandError
    from dicectl.member.host_member import HostMember, ResidentAppeared, sentence

    async def main():
        member = HostMember(folder, [group], **network)
        member.report = report or member.report
        await member.lock()
        member.report("connecting to the manager")
        try:
            return await work(member)
        except (DiceError, OSError) as error:
            raise CommandError(sentence(error), FAILED)
        finally:
            await member.leave()

    try:
        return ending.run(main())
    except ResidentAppeared:
        return None
