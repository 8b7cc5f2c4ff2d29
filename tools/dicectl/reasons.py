# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One or two sentences for each reason code: what happened, and what to do. The numbers are those of dice.reasons."""

from dice import reasons
from dice.errors import DiceError
from dicectl.errors import USAGE, CommandError

SENTENCES = {
    reasons.E_TOO_LONG: "The message does not fit into one datagram. Send at most 1195 bytes at a time.",
    reasons.E_NOT_A_SENDER: ("This device is a listener. Give it a GSA with a SenderID: dicectl keyring add-sender, then export."),
    reasons.E_NOT_BYTES: "A message must be bytes, a bytearray or a memoryview. Encode text first.",
    reasons.E_NOT_SENT: "The last message is sealed but not sent. Call transmit() before the next send().",
    reasons.E_OTHER_GROUP: "The GSA is for another group. Install only GSAs with this group's id.",
    reasons.E_NO_NEXT_EPOCH: "There is no next epoch. Install its GSA first.",
    reasons.E_OLD_EPOCH: "The GSA's epoch is older than that of the device, which never goes back. Give it the newest GSA.",
    reasons.E_CLOSED: "The group or session is closed, and its keys are erased. Join or connect again.",
    reasons.E_OPTION: (
        "An option is out of range, a PSK identity is not 1 to 128 bytes, or a key is not 1 to 64 bytes. "
        "See the documentation of the call."
    ),
    reasons.E_NOT_CONNECTED: "The session's handshake is not complete, or the session has ended. Wait for it, or connect again.",
    reasons.E_TRUNCATED: "The GSA is truncated. Copy the file again.",
    reasons.E_TRAILING: "The GSA has trailing bytes. Copy the file again.",
    reasons.E_DAMAGED: "The GSA was damaged in transfer (its checksum is wrong). Copy the file again.",
    reasons.E_VERSION: "This dice does not support the version of the GSA. Update dice on the device.",
    reasons.E_VALUE: "The GSA has a suite, layout or derivation that this dice does not support. Update dice on the device.",
    reasons.E_SENDER_ID: "A SenderID is out of range, used twice or not in the list, or there are more than 50 senders.",
    reasons.E_EPOCH: "An epoch is 0, or a sequence number belongs to a later epoch. Epochs are 1 to 65535.",
    reasons.E_BUDGET: "The record budget is 0 or larger than the key allows (2**23 records, shared by all who use it).",
    reasons.E_ADDRESS: "The group's address is not multicast (224.0.0.0 to 239.255.255.255, or IPv6 ff00::/8), or its port is 0.",
    reasons.E_REPEATED: "A hello contains an extension twice. The peer is at fault: update it.",
    reasons.E_STORE_WRITE: "The device cannot store its sequence numbers, so it does not send. Free space in its file system.",
    reasons.E_STORE_READ: "The file cannot be read. Check the path, and the device's file system.",
    reasons.E_STORE_DAMAGED: "A counter file is damaged, so the last sequence number is unknown. Give the device a new SenderID.",
    reasons.E_COUNTER_LOST: (
        "The stored counter for this GSA is missing; sending or answering would reuse nonces. "
        "Give the device a new SenderID, or re-key."
    ),
    reasons.E_STORE_SHARED: (
        "Another program uses the same store, or its folder cannot be locked. "
        "Let one program use a GSA, and give each its own SenderID."
    ),
    reasons.E_STALE: (
        "The saved session is not the last one saved, or is from another device. Connect again: it could reuse nonces."
    ),
    reasons.E_SPENT: "The key has sealed the maximum number of records. Re-key: the next epoch has a new key.",
    reasons.E_EXPIRED: "The GSA has expired and its keys are erased. Give the device the next epoch's GSA.",
    reasons.E_CLASH: "Another device sends with this SenderID. Find it, give it another SenderID, and re-key.",
    reasons.E_ALERT: (
        "The peer ended the session with an alert. Print the exception's `alert`: docs/troubleshooting.md says what it means. "
        "Look at the peer's log."
    ),
    reasons.E_NO_ANSWER: ("The peer did not answer any retransmission. Check its address and port, and the network."),
    reasons.E_UNEXPECTED: "The peer sent an unexpected handshake message. It is at fault, or under attack: update it.",
    reasons.E_STALLED: (
        "The peer answered, but the handshake timed out. Check whether it still runs, and the loss of the network."
    ),
    reasons.E_NO_SUITE: "The client offers none of our cipher suites. Configure it to use TLS_PSK_WITH_AES_128_CCM_8.",
    reasons.E_PEER_VERSION: "The peer does not support our version of DTLS. Enable it there.",
    reasons.E_ILLEGAL: "The peer answered with a value that was not offered or is out of range. It is at fault: update it.",
    reasons.E_FINISHED: "The peers do not have the same key, or the identity is unknown. Provision both again.",
    reasons.E_EXTENSION: "The server answered an extension that was not offered. It is at fault: update it.",
    reasons.E_NO_PROTOCOL: "The client offers none of our application protocols (ALPN). Agree on one.",
    reasons.E_MEMORY: "Memory ran out during a handshake. Free some, call gc.collect(), and connect again.",
    reasons.E_REFUSED: "The group manager does not admit this device. Add it to the group with dicectl group add.",
    reasons.E_BLOCKS: (
        "The resource changed twice while it was read block by block, it is too long, or its blocks do not fit. Read it again."
    ),
    reasons.E_REPLACED: "The client has connected again, and its new session replaces this one. Go on with the new one.",
    reasons.E_EVICTED: (
        "The server had no place for another session, and evicted the one that was silent for longest. Raise sessions_max."
    ),
    reasons.E_LONG_MESSAGE: (
        "A handshake message of the peer is longer than we can take. Offer less at the peer, such as no post-quantum key shares."
    ),
    reasons.E_CURVE: (
        "The peer does not offer the curve secp256r1, or sent a point that is not on it. Enable this curve at the peer."
    ),
    reasons.E_CERTIFICATE: (
        "The peer's certificate or its chain was refused; the alert says why: time, name, usage, issuer, form. "
        "Compare it with the trusted authority."
    ),
    reasons.E_KEY: (
        "The peer has shown no public key, or one that this side does not trust. Compare the keys given to both sides."
    ),
    reasons.E_SIGNATURE: (
        "A signature of the peer does not verify: it lacks the private key of the public key that it shows. Give it a new key pair."
    ),
    reasons.E_ANSWERED: (
        "A message can be answered once, as long as the device has the keys of its epoch. Answer it at once or not at all."
    ),
    reasons.E_NO_LISTENER_ID: (
        "This device has no id to answer with. Give it a GSA with an id: dicectl keyring add-listener, then export."
    ),
    reasons.E_QUEUE: "Too many CoAP requests to this peer are outstanding. Wait for their responses first.",
    reasons.E_NO_ID: (
        "The group has no free SenderID or ListenerID, or has 50 senders. Create a second group, or one with layout d00."
    ),
    reasons.E_HOST: (
        "On a serial line a host must be a numeric IPv4 address, and a group IPv4. Use such addresses in node.json and app.json."
    ),
    reasons.E_COAP: "This is not a CoAP message. The peer is at fault: update it.",
}


def explain(reason):
    """Return (number, sentences) of a reason code such as E12; raises CommandError."""
    digits = reason.upper().removeprefix("E")
    number = int(digits) if digits.isascii() and digits.isdigit() else 0
    if number not in SENTENCES:
        first, last = min(SENTENCES), max(SENTENCES)
        raise CommandError(
            f"there is no reason code {reason}; codes range from E{first} to E{last}, and not every number exists", USAGE
        )
    return number, SENTENCES[number]


def describe(error):
    """Return an exception, or nothing, as a text."""
    if isinstance(error, DiceError):
        return f"E{error.reason}: {SENTENCES[error.reason]}"
    return str(error) or repr(error) if error else ""
