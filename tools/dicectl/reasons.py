# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One or two sentences for each reason code: what happened, and what to do. The numbers are those of dice.reasons."""

from dice import reasons
from dicectl.errors import USAGE, CommandError

SENTENCES = {
    reasons.E_TOO_LONG: "The message does not fit into one datagram. Send at most 1195 bytes at a time.",
    reasons.E_NOT_A_SENDER: (
        "This device was made a listener. Give it a GSA with a SenderID: dicectl keyring add-sender, then export."
    ),
    reasons.E_NOT_BYTES: "A message is bytes, a bytearray or a memoryview. Encode text first.",
    reasons.E_NOT_SENT: "The last message was sealed and not yet sent. Take it with transmit() before the next send().",
    reasons.E_OTHER_GROUP: "The GSA is one of another group. Install only GSAs with this group's id.",
    reasons.E_NO_NEXT_EPOCH: "There is no next epoch to go on to. Install its GSA first.",
    reasons.E_OLD_EPOCH: "The GSA's epoch has gone by on this device, which never goes back. Give it the newest GSA.",
    reasons.E_CLOSED: "The group was left, or the session closed, and its keys are erased. Join or connect again.",
    reasons.E_OPTION: "An option, a key or an identity is out of range. The docstring of what was called says what it takes.",
    reasons.E_NOT_CONNECTED: "The session's handshake is not over, or the session has ended. Wait for it, or connect again.",
    reasons.E_TRUNCATED: "The GSA ends too early. Copy the file again.",
    reasons.E_TRAILING: "The GSA has bytes behind its end. Copy the file again.",
    reasons.E_DAMAGED: "The GSA was damaged on its way (its checksum is wrong). Copy the file again.",
    reasons.E_VERSION: "The GSA is of a version that this dice does not know. Update dice on the device.",
    reasons.E_VALUE: "The GSA names a suite, layout or derivation that this dice does not know. Update dice on the device.",
    reasons.E_SENDER_ID: "A SenderID is out of range, double or not in the list, or there are more than 50 senders.",
    reasons.E_EPOCH: "An epoch is 0, or a sequence number is of a later epoch. Epochs are 1 to 65535.",
    reasons.E_BUDGET: "The record budget is 0 or larger than the key allows (2**23 records, shared by all who use it).",
    reasons.E_ADDRESS: "The group's address is not IPv4 multicast (224.0.0.0 to 239.255.255.255), or its port is 0.",
    reasons.E_REPEATED: "A hello has the same extension twice. The other side is at fault: update it.",
    reasons.E_STORE_WRITE: "The device cannot write its sequence numbers, so it does not send. Make room in its file system.",
    reasons.E_STORE_READ: "The file cannot be read. Check the path, and the device's file system.",
    reasons.E_STORE_DAMAGED: "A counter file is damaged, so what was sent is not known. Give the device a new SenderID.",
    reasons.E_COUNTER_LOST: "The counter of a GSA in use is gone; to go on would repeat nonces. Give the device a new SenderID.",
    reasons.E_STORE_SHARED: "Something else counts in the same store. Let one program use a GSA, and give each its own SenderID.",
    reasons.E_STALE: (
        "What was saved of a session is not the last, or of another device. Connect anew: to go on could repeat nonces."
    ),
    reasons.E_SPENT: "The key has sealed as many records as it may. Re-key: the next epoch begins anew.",
    reasons.E_EXPIRED: "The GSA's lifetime is over and its keys are erased. Give the device the next epoch's GSA.",
    reasons.E_CLASH: "Another device sends with this SenderID. Find it, give it another, and re-key.",
    reasons.E_ALERT: "The other side ended the session with an alert; its number says why. Look at the other side's log.",
    reasons.E_NO_ANSWER: (
        "The other side did not answer, however often it was asked. Check its address and port, and the network."
    ),
    reasons.E_UNEXPECTED: "The other side sent a handshake message out of turn. It is at fault, or attacked: update it.",
    reasons.E_STALLED: (
        "The other side answered, but the handshake came to no end. See whether it still runs, and what the network loses."
    ),
    reasons.E_NO_SUITE: "The client offers none of our cipher suites. Let it use TLS_PSK_WITH_AES_128_CCM_8.",
    reasons.E_PEER_VERSION: "The other side does not speak DTLS of our version. Switch that on there.",
    reasons.E_ILLEGAL: "The other side answered what was not asked, or with a value out of range. It is at fault: update it.",
    reasons.E_FINISHED: "The two sides do not have the same key, or the identity is unknown. Provision both sides anew.",
    reasons.E_EXTENSION: "The server answered an extension that was not offered. It is at fault: update it.",
    reasons.E_NO_PROTOCOL: "The client offers none of our application protocols (ALPN). Agree on one.",
    reasons.E_MEMORY: "There was no memory left in the middle of a handshake. Free some, call gc.collect(), and connect again.",
    reasons.E_REFUSED: "The key distribution center does not let this device in. Add its identity to the group there.",
    reasons.E_ANSWERED: (
        "A message can be answered once, while the keys of its epoch are held. Answer each message at once, or not at all."
    ),
    reasons.E_NO_LISTENER_ID: (
        "This device has no id to answer with. Give it a GSA with one: dicectl keyring add-listener, then export."
    ),
    reasons.E_QUEUE: "Too many CoAP requests to this peer wait for each other. Wait for their responses first.",
    reasons.E_NO_ID: (
        "The group has no SenderID or ListenerID left, or 50 senders already. Make a second group, or one of layout d00."
    ),
    reasons.E_HOST: "On a serial line a host is an IPv4 address in figures, not a name. Write that into node.json and app.json.",
    reasons.E_COAP: "This is not a CoAP message. The other side is at fault: update it.",
}


def explain(reason):
    """Return (number, sentences) of a reason code such as E12; raises CommandError."""
    digits = reason.upper().removeprefix("E")
    number = int(digits) if digits.isascii() and digits.isdigit() else 0
    if number not in SENTENCES:
        first, last = min(SENTENCES), max(SENTENCES)
        raise CommandError(f"there is no reason code {reason}; they look like E{first} and go up to E{last}", USAGE)
    return number, SENTENCES[number]
