# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl doctor`: what a reason code means; what board is connected, and what it lacks."""

import rich_click as click

from dicectl.failure import USAGE, Failure

# The one table of reason codes: name, then one sentence what happened and one what to do. A module of lib/dice that raises one has
# it as a private constant, `_E_` and the name; a number once given keeps its meaning, and a range belongs to one class.
REASONS = {
    10: ("TOO_LONG", "The message does not fit into one datagram. Send at most 1195 bytes at a time."),
    11: (
        "NOT_A_SENDER",
        "This device was made a listener. Give it a GSA with a SenderID: dicectl keyring add-sender, then export.",
    ),
    12: ("NOT_BYTES", "A message is bytes, a bytearray or a memoryview. Encode text first."),
    13: ("NOT_SENT", "The last message was sealed and not yet sent. Take it with transmit() before the next send()."),
    14: ("OTHER_GROUP", "The GSA is one of another group. Install only GSAs with this group's id."),
    15: ("NO_NEXT_EPOCH", "There is no next epoch to go on to. Install its GSA first."),
    16: ("OLD_EPOCH", "The GSA's epoch has gone by on this device, which never goes back. Give it the newest GSA."),
    17: ("CLOSED", "The group was left, or the session closed, and its keys are erased. Join or connect again."),
    18: (
        "OPTION",
        "An option, a key or an identity is out of range. The docstring of what was called says what it takes.",
    ),
    19: ("NOT_CONNECTED", "The session's handshake is not over, or the session has ended. Wait for it, or connect again."),
    20: ("TRUNCATED", "The GSA ends too early. Copy the file again."),
    21: ("TRAILING", "The GSA has bytes behind its end. Copy the file again."),
    22: ("DAMAGED", "The GSA was damaged on its way (its checksum is wrong). Copy the file again."),
    23: ("VERSION", "The GSA is of a version that this dice does not know. Update dice on the device."),
    24: ("VALUE", "The GSA names a suite, layout or derivation that this dice does not know. Update dice on the device."),
    25: ("SENDER_ID", "A SenderID is out of range, double or not in the list, or there are more than 50 senders."),
    26: ("EPOCH", "An epoch is 0, or a sequence number is of a later epoch. Epochs are 1 to 65535."),
    27: ("BUDGET", "The record budget is 0 or larger than the key allows (2**23 records, shared by all who use it)."),
    28: ("ADDRESS", "The group's address is not IPv4 multicast (224.0.0.0 to 239.255.255.255), or its port is 0."),
    29: ("REPEATED", "A hello has the same extension twice. The other side is at fault: update it."),
    30: ("STORE_WRITE", "The device cannot write its sequence numbers, so it does not send. Make room in its file system."),
    31: ("STORE_READ", "The file cannot be read. Check the path, and the device's file system."),
    32: ("STORE_DAMAGED", "A counter file is damaged, so what was sent is not known. Give the device a new SenderID."),
    33: ("COUNTER_LOST", "The counter of a GSA in use is gone; to go on would repeat nonces. Give the device a new SenderID."),
    34: ("STORE_SHARED", "Something else counts in the same store. Let one program use a GSA, and give each its own SenderID."),
    35: (
        "STALE",
        "What was saved of a session is not the last, or of another device. Connect anew: to go on could repeat nonces.",
    ),
    40: ("SPENT", "The key has sealed as many records as it may. Re-key: the next epoch begins anew."),
    41: ("EXPIRED", "The GSA's lifetime is over and its keys are erased. Give the device the next epoch's GSA."),
    42: ("CLASH", "Another device sends with this SenderID. Find it, give it another, and re-key."),
    50: ("ALERT", "The other side ended the session with an alert; its number says why. Look at the other side's log."),
    51: ("NO_ANSWER", "The other side did not answer, however often it was asked. Check its address and port, and the network."),
    52: ("UNEXPECTED", "The other side sent a handshake message out of turn. It is at fault, or attacked: update it."),
    53: (
        "STALLED",
        "The other side answered, but the handshake came to no end. See whether it still runs, and what the network loses.",
    ),
    54: ("NO_SUITE", "The client offers none of our cipher suites. Let it use TLS_PSK_WITH_AES_128_CCM_8."),
    55: ("PEER_VERSION", "The other side does not speak DTLS of our version. Switch that on there."),
    56: ("ILLEGAL", "The other side answered what was not asked, or with a value out of range. It is at fault: update it."),
    57: ("FINISHED", "The two sides do not have the same key, or the identity is unknown. Provision both sides anew."),
    58: ("EXTENSION", "The server answered an extension that was not offered. It is at fault: update it."),
    59: ("NO_PROTOCOL", "The client offers none of our application protocols (ALPN). Agree on one."),
    60: ("MEMORY", "There was no memory left in the middle of a handshake. Free some, call gc.collect(), and connect again."),
    61: ("REFUSED", "The key distribution center does not let this device in. Add its identity to the group there."),
    70: (
        "ANSWERED",
        "A message can be answered once, while the keys of its epoch are held. Answer each message at once, or not at all.",
    ),
    71: (
        "NO_LISTENER_ID",
        "This device has no id to answer with. Give it a GSA with one: dicectl keyring add-listener, then export.",
    ),
    72: ("QUEUE", "Too many CoAP requests to this peer wait for each other. Wait for their responses first."),
    73: (
        "NO_ID",
        "The group has no SenderID or ListenerID left, or 50 senders already. Make a second group, or one of layout d00.",
    ),
    74: (
        "HOST",
        "On a serial line a host is an IPv4 address in figures, not a name. Write that into node.json and app.json.",
    ),
    80: ("COAP", "This is not a CoAP message. The other side is at fault: update it."),
}


def explain(reason):
    """Return (number, sentences) of a reason code such as E12; raises Failure."""
    number = reason.upper().removeprefix("E")
    reason_code = int(number) if number.isascii() and number.isdigit() else 0
    if reason_code not in REASONS:
        raise Failure(f"there is no reason code {reason}; they look like E{min(REASONS)} and go up to E{max(REASONS)}", USAGE)
    return reason_code, REASONS[reason_code][1]


@click.command("doctor")
@click.argument("reason", metavar="[E12]", required=False)
@click.option("--port", help="The board's serial port.  [default: the only one with USB, if there is one]")
@click.option("--dry-run", is_flag=True, help="Say which board would be interrupted, and leave it alone.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(reason, port, dry_run, as_json):
    """Explain a reason code, as exceptions on a device print it; or examine this computer and the connected board.

    A board's program is interrupted to ask it, and starts anew afterwards. Nothing on it is changed.

    \b
    Examples:
      dicectl doctor E33
      dicectl doctor --port /dev/ttyACM0
    """
    import json

    if reason:
        if port:
            raise Failure("give a reason code, or a port to look at the board there, not both", USAGE)
        number, sentences = explain(reason)
        click.echo(json.dumps({"reason": number, "text": sentences}) if as_json else f"E{number}: {sentences}")
        return
    from dicectl import examine

    found = examine.everything(port, dry_run)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for label, text in examine.tell(found):
        click.echo(f"{label:18}{text}".rstrip())
