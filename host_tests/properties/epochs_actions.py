# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The actions that change a group (epochs_world.World), by the operator, the network, an adversary, power, and time.

An action is (name, ...); `apply(world, action)` returns the next state, `told(action)` says it.
Messages take no time. Time passes only in "wait", when no request of the manager is under way: it reaches who is connected.
"""

from dice.errors import DiceError
from dice.group.group_state import Change
from dice.group.manager import LISTENER, SENDER
from dice.limits import MISSED_EPOCH_MIN_S
from host_tests.properties.epochs_properties import bound_ms, check
from host_tests.properties.epochs_world import LONG_MS, Device, ManagerSide, Sent, World, violated
from host_tests.properties.stepped import CLOCK, Lost, Session, connect, disconnect, run

WHILE_MS = 120_000


class Suspended(Exception):
    """A join() whose response is still under way."""


def first_world(roles, budget, lifetime_s=0, outside=()):
    """Return the state in which all devices of `roles`, {name: role}, are connected and in epoch 1; `outside` are not members."""
    world = World()
    CLOCK[0] = 0
    world.add(World.MANAGER, ManagerSide(lifetime_s))
    for role in (SENDER, LISTENER):
        names = [name.encode() for name, its_role in roles.items() if its_role == role]
        if names:
            world.manager.manager.add(names, role, 0)
    for name in [*roles, *outside]:
        device = Device(name)
        world.add(name, device)
        device.power_on()
    world.settle()
    for name in roles:
        world = apply(world, ("connect", name))
    for _ in range(20):
        pushed = [("push arrives", name) for name, (_, due) in world.facts[World.MANAGER].pushes.items() if due is None]
        if pushed:
            world = apply(world, pushed[0])
        elif not world.facts[World.MANAGER].settled:
            world = apply(world, ("wait",))
    assert world.facts[World.MANAGER].settled
    world.now = CLOCK[0]
    world.budget = dict(budget)
    return world


# The operator, and the manager's process.


def _remove(world, name):
    """Expel a device. It sends once more: the adversary delivers this to anybody, at any time (epochs_properties.check)."""
    side = world.manager
    if world.facts[name].own_id is not None and world.facts[name].awake:
        _send(world, name)
    side.manager.remove([name.encode()], world.now)
    world.expelled[name] = (world.now, side.manager.state.epoch)
    _disconnect(world, name)  # its session is no use to it any more
    side.work()


def _rekey(world):
    side = world.manager
    side.manager.rekey(world.now)
    side.work()


def _add(world, name, role):
    side = world.manager
    side.manager.add([name.encode()], role, world.now)
    side.work()


def _kill(world):
    """Requests that it has sent may still arrive, responses are lost."""
    world.manager.start()
    world.since.clear()
    for name in world.devices():
        if world.facts[name].joining:
            world.part(name).joining = None


def _backup(world):
    registry = world.manager.registry
    registry.backup = registry.state.copy()


def _restore(world, marked):
    """The registry is put back, by `dicectl manager restore` (marked) or by a copy of its file, and the manager starts.

    Devices that were expelled since are members again. Those that were added since are not; only a registry that is marked shuts
    them out at once, by a new epoch.
    """
    side = world.manager
    epoch = side.registry.backup.epoch
    for name in world.devices():
        since = name.encode() in side.registry.state.members or world.expelled.get(name, (0, 0))[1] > epoch
        if name.encode() in side.registry.backup.members or since:
            world.expelled.pop(name, None)
        if since and marked and name.encode() not in side.registry.backup.members:
            world.expelled[name] = (world.now, epoch + 1)
    side.restore()
    world.restored = True
    world.copied = None if marked else epoch
    for name in world.devices():
        _disconnect(world, name)
    _kill(world)
    if marked:
        side.manager.begin(Change(), world.now, True)
        side.work()


# Key deliveries. A request of the manager arrives or is lost; so does its response.


def _push(world, name, arrives, answered):
    side = world.manager
    push = side.pushes[name.encode()]
    answer = Lost()
    if arrives:
        response = world.part(name).handle(push.ask)
        answer = response if answered else answer
    else:
        world.part(name).late.append(push.ask)
    if not answered:
        world.since[name] = world.now
    push.resume(side.delivery, answer)
    side.work()


def _push_arrives(world, name):
    _push(world, name, True, True)


def _response_lost(world, name):
    _push(world, name, True, False)


def _push_lost(world, name):
    _push(world, name, False, False)


def _push_late(world, name):
    device = world.part(name)
    device.handle(device.late.pop(0))


# Sessions, power, sleep.


def _disconnect(world, name):
    side = world.manager
    identity = name.encode()
    world.since.pop(name, None)
    if identity in side.kdc.connected:
        push = side.pushes.get(identity)
        if push and push.due is None:
            push.resume(side.delivery, Lost())
        disconnect(side.kdc, identity)
    world.part(name).late = []
    world.part(name).joining = None


def _connect(world, name, answered=9, handled=True):
    """Connect and join; the session breaks after `answered` responses, and the next request is `handled` or not."""
    side = world.manager
    connect(side.kdc, name.encode())
    world.since[name] = world.now
    side.work()
    _join(world, name, [], answered, handled)
    if answered != 9:
        _disconnect(world, name)


def _join(world, name, responses, answered, handled, suspend_at=None, sent_before=None):
    """Run ManagedGroup.join(): the responses that have arrived before, then those of now."""
    side, device = world.manager, world.part(name)
    given = []

    def answer(ask):
        number = len(given)
        if number < len(responses):
            given.append(responses[number])
            return responses[number]
        if number < answered or (number == answered and handled):
            given.append(side.handle(device.identity, ask))
        if number == suspend_at:
            raise Suspended
        if number >= answered:
            raise Lost
        return given[-1]

    device.use()
    try:
        run(device.managed.join(Session()), answer)
        device.missed = False
    except Suspended:
        device.joining = (given, len(world.sent))
    except DiceError:
        pass
    device.done(len(world.sent) if sent_before is None else sent_before)
    side.work()


def _join_late(world, name):
    """Connect; the response to the request for the GSA is still under way."""
    side = world.manager
    connect(side.kdc, name.encode())
    world.since[name] = world.now
    side.work()
    _join(world, name, [], 9, True, suspend_at=0)


def _join_ends(world, name):
    responses, sent_before = world.part(name).joining
    world.part(name).joining = None
    _join(world, name, responses, 9, True, sent_before=sent_before)
    world.since[name] = world.now


def _power_off(world, name):
    _disconnect(world, name)
    world.part(name).power_off()


def _power_on(world, name):
    world.part(name).power_on()
    world.awake_since[name] = world.now


def _sleep(world, name):
    _disconnect(world, name)
    world.part(name).awake = False


def _wake(world, name):
    device = world.part(name)
    device.awake = True
    if device.member:
        device.run_timers(world.now, world.now)
    CLOCK[0] = world.awake_since[name] = world.now


# Records.


def _send(world, name):
    device = world.part(name)
    member = device.member
    try:
        member.send(b"%d" % len(world.sent), world.now)
    except DiceError:
        return
    context = member._context
    datagram = bytes(member.transmit())
    key = bytes(context.secret(context.own_id)[:16])
    for record in world.sent:
        if record.key == key and record.datagram[:11] == datagram[:11]:
            violated("nonce", f"{name} seals a second message with the key and nonce of an earlier one")
    world.sent += (Sent(name, context.own_id, context.epoch, datagram, key),)
    if device.identity in world.manager.kdc.connected:
        device.use()
        run(device.managed.report(Session()), lambda ask: world.manager.handle(device.identity, ask))
        world.manager.work()


def _record(world, number, name):
    device = world.part(name)
    if device.receive(world.sent[number].datagram):
        device.obeyed |= {number}


# Time.


def deadlines(world):
    """Return when something is due, in ms."""
    side = world.facts[World.MANAGER]
    found = [side.deadline, *(due for _, due in side.pushes.values())]
    for name in world.devices():
        facts = world.facts[name]
        if facts.powered and facts.awake:
            found += [facts.grace_end, facts.lifetime_end]
            if world.expelled:
                found.append((bound_ms(world, name) or -1) + 1)
    return [due for due in found if due is not None and due > world.now]


def _wait(world):
    """Let time pass until the next deadline, or for two hours."""
    start, target = world.now, min(deadlines(world), default=world.now + LONG_MS)
    for name in world.devices():
        facts = world.facts[name]
        if facts.awake and facts.due is not None and facts.due <= target:
            device = world.part(name)
            ended = device.run_timers(target)
            CLOCK[0] = target
            if ended:
                device.managed.leave()
    world.now = CLOCK[0] = target
    world.manager.work()
    for name in world.devices():
        facts = world.facts[name]
        if name in world.since and (not facts.current or (facts.missed and target - start >= 1000 * MISSED_EPOCH_MIN_S)):
            if not facts.current:
                world.part(name).managed.leave()  # as applications do whose group has ended
            _join(world, name, [], 9, True)


def _wait_on(world):
    """Let time pass for two minutes, or until the manager has a request under way."""
    end = world.now + WHILE_MS
    while world.now < end and not world.urgent():
        _wait(world)
        world.settle()


ACTIONS = {
    "remove": (_remove, "the operator expels {}"),
    "rekey": (_rekey, "the operator begins a new epoch"),
    "add": (_add, "the operator adds {} as a {}"),
    "kill": (_kill, "the manager is killed and restarts"),
    "backup": (_backup, "the operator takes a backup"),
    "restore": (_restore, "the backup is put back, and the manager starts; it was marked as restored: {}"),
    "push arrives": (_push_arrives, "the manager's request reaches {}, and the response the manager"),
    "response lost": (_response_lost, "the manager's request reaches {}; the response is lost"),
    "push lost": (_push_lost, "the manager's request to {} is lost"),
    "push late": (_push_late, "a request that the manager has given up reaches {}"),
    "connect": (_connect, "{} connects to the manager and joins"),
    "join late": (_join_late, "{} connects and asks for its keys; the response is delayed"),
    "join ends": (_join_ends, "the delayed response reaches {}"),
    "cut": (_disconnect, "the session of {} breaks"),
    "off": (_power_off, "{} loses power"),
    "on": (_power_on, "{} starts"),
    "sleep": (_sleep, "{} falls asleep"),
    "wake": (_wake, "{} wakes up"),
    "send": (_send, "{} sends a message"),
    "record": (_record, "message {} reaches {}"),
    "wait": (_wait, "time passes until the next deadline, or for two hours"),
    "wait on": (_wait_on, "two minutes pass, or the time until the manager sends a request"),
}


def told(action):
    """Return an action in plain words."""
    name, *details = action
    text = ACTIONS[name][1].format(*details)
    if name == "connect" and len(details) > 1:
        text += f"; the session breaks after {details[1]} responses, {'and' if details[2] else 'before'} the next request arrives"
    return text


def apply(world, action):
    """Return the state after an action, checked."""
    world = world.copy()
    ACTIONS[action[0]][0](world, *action[1:])
    world.now = CLOCK[0] if action[0] in ("wait", "wait on") else world.now
    check(world, world.settle())
    return world
