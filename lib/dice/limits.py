# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Every bound, and every size that more than one module knows, with its unit in its name.

No board carries this module: compiling folds it away.
"""

from ._compat import const

# Datagrams and records.
RECEIVE_MAX_BYTES = const(1473)  # 1,500 - 28 of Ethernet, and 1: peers pack the records of a flight into what they think fits
DATAGRAM_MAX_BYTES = const(1232)  # what IPv6's minimum MTU of 1280 leaves after IPv6 and UDP headers
RECORD_OVERHEAD_MAX_BYTES = const(37)  # header 13, explicit nonce 8, a tag of 16
RECORD_PLAINTEXT_MAX_BYTES = const(1203)  # what fits DATAGRAM_MAX_BYTES with a tag of 8 and no CID
RECORD_SIZE_LIMIT_BYTES = const(1152)  # what fits with a tag of 16 and any CID; a server says so to a client that asks (RFC 8449)
RECORD_HEADER_BYTES = const(13)  # RFC 6347, section 4.1; without a connection id
RECORD_MIN_BYTES = const(21)  # protected: header and explicit nonce, or header and a tag of 8 bytes
KEY_RECORDS_MAX = const(1 << 23)  # sealed with one key, summed over all who use it (RFC 9147, section 4.5.3)
RESERVE_RECORDS = const(64)  # sequence numbers reserved by one write to the store
WINDOW_RECORDS = const(64)  # replay window (RFC 6347, section 4.1.2.6)
WINDOW_BYTES = const(8)  # the same, a bit for each record
MESSAGES_MAX = const(8)  # received and not yet taken by the application

# Keys.
MASTER_SECRET_BYTES = const(48)  # RFC 5246, section 8.1
RANDOM_BYTES = const(32)  # of a hello (RFC 5246, section 7.4.1.2)
PSK_IDENTITY_MAX_BYTES = const(128)  # RFC 7925, section 4.2
PSK_MAX_BYTES = const(64)  # RFC 7925, section 4.2

# Handshakes.
HANDSHAKE_HEADER_BYTES = const(12)  # RFC 6347, section 4.2.2
HANDSHAKE_BYTES_MAX = const(1024)  # of messages that are being put together from fragments
EARLY_MESSAGES_MAX = const(4)  # messages held, with the one that is due
EARLY_RECORDS_MAX = const(2)  # protected records held that came before their keys or before Finished
RANGES_MAX = const(8)  # stretches of one message that wait for what is between them
CID_MAX_BYTES = const(8)  # of our own connection ids
MTU_MIN_BYTES = const(128)  # the smallest datagrams that a handshake is cut to
HELLO_VERIFY_REQUESTS_MAX = const(3)  # that a client answers
RETRANSMISSIONS_MAX = const(10)  # of one flight
TIMER_MS = const(9_000)  # before the first retransmission (RFC 7925, section 11)
TIMER_MAX_MS = const(60_000)  # before a later one
REPEAT_MIN_MS = const(300)  # between two sendings of a flight or an alert that the peer causes; no client's timer is shorter
REPEATS_MAX = const(20)  # how often a peer can make us send the same flight again, beside RETRANSMISSIONS_MAX
ALERT_WAIT_MS = const(1_000)  # before an alert in plaintext, which anybody may have sent, is believed
LAST_FLIGHT_MS = const(543_000)  # how long the last flight is kept for retransmission: until a peer with a 9 s timer has given up

# Certificates.
CERTIFICATES_BYTES_MAX = const(4096)  # of handshake messages that are being put together, where there are certificates
CERTIFICATES_MAX = const(5)  # of one chain, as its owner sends it: the leaf, and those of issuers
CERTIFICATE_EXTENSIONS_MAX = const(16)  # of one certificate

# A server.
HALF_OPEN_MAX = const(4)  # handshakes that a server has under way
HALF_OPEN_MS = const(303_000)  # how long one of them may take: as long as the retransmissions of one flight from 1 s on
HALF_OPEN_SAFE_MS = const(20_000)  # a handshake younger than this is never evicted; covers one retransmission at 9 s
HELLOS_MAX = const(20)  # from one address that are answered in HELLOS_PERIOD_MS, beside repetitions
HELLOS_PERIOD_MS = const(1_000)
HELLOS_ADDRESSES_MAX = const(32)  # that are counted; with more in a period, counting begins anew
COOKIE_PERIOD_MS = const(60_000)  # how long a cookie secret is in use; it is known for as long again
CREDENTIAL_CHECK_MS = const(60_000)  # between two looks at whether the keys of established sessions are still the same
TICKET_PERIOD_MS = const(86_400_000)  # how long a ticket secret is in use; it is known for as long again

# Groups.
SENDERS_MAX = const(50)  # of one group (draft-keoh-dice-multicast-security-08, section 2.2)
GROUP_EPOCH_MAX = const(0xFFFF)
RENEW_MS = const(2_000)  # between two looks at whether the network still knows that we are in the group
GRACE_MS = const(60_000)  # how long the old epoch is still read after a re-key
LIFETIME_UNIT_MAX_S = const(3600)  # of lifetime, accounted for by one write to the store
ANSWERS_MAX_BYTES = const(65_536)  # of RAM for the answers to one message; a computer has 16 times as much
ANSWER_RAM_BYTES = const(64)  # that one answer takes beside its own bytes

# The group manager.
ACKNOWLEDGE_MS = const(60_000)  # how long an epoch waits for all to acknowledge it
EXPEL_MS = const(5_000)  # the same for an epoch that shuts somebody out
ACKNOWLEDGE_EACH_MS = const(60)  # longer for each member: the next epoch is delivered to one after another
DELIVERY_PACE_MS = const(50)  # between two members, so that a re-key does not fill the air; the slowest one that can be chosen
EXPEL_PACE_MS = const(1)  # the same while members may obey somebody who was expelled; EXPEL_MS is so much longer for each member
DELIVERY_BURST_MS = const(1000)  # deliveries of so long are made up for at once, after a manager had other work
DELIVERY_RETRY_MS = const(5_000)  # before a member that did not answer is tried again
AUTOMATIC_REKEY_MIN_MS = const(600_000)  # between two epochs that the operator has not asked for; doubled for the same cause
AUTOMATIC_REKEY_MAX_MS = const(86_400_000)  # the longest such time; each time it has passed, a doubling is forgotten
CATCH_UP_MIN_MS = const(60_000)  # between two epochs that begin because members are ahead; doubled for the same member
ALONE_EPOCHS = const(64)  # how far the epoch can be ahead that one member alone makes a manager believe in
OPERATOR_EPOCHS = const(256)  # the last ones of a group id, which do not begin automatically
KDC_REQUESTS_MAX = const(256)  # of one identity in a period, that the manager's service answers
KDC_REQUESTS_PERIOD_MS = const(10_000)
PENDING_MS = const(20_000)  # how long others wait for the first report of a sender that was given an epoch
PENDING_EXPEL_MS = const(4_000)  # the same, from the beginning of an epoch that shuts somebody out
SENDER_HEARD_MS = const(700_000)  # how long a reported sequence number is good: REPORT_MAX_S, and CoAP's last retransmission
FORGED_SHORT_TAG_MAX = const(1 << 7)  # records that did not verify under one key, tags of 8 bytes (RFC 9147, section 4.5.3)
FORGED_MAX = const(1 << 23)  # the same, tags of 16 bytes

# A member of a managed group.
MANAGED_POLL_S = const(5)  # between two looks at what there is to report or to ask
REPORT_MIN_S = const(30)  # at the least between two reports of how far we have sent
MISSED_EPOCH_MIN_S = const(30)  # a random time up to this, doubled each time, before we ask for a newer epoch: anybody can make us
REPORT_PERIOD_MIN_S = const(10)  # that a manager may want between two reports,
REPORT_PERIOD_MAX_S = const(3600)  # instead of
REPORT_MAX_S = const(600)  # a group manager that was cut off from us, or lost our session, is noticed by then

# CoAP.
COAP_ACK_TIMEOUT_MS = const(2000)  # RFC 7252, section 4.8
COAP_MAX_RETRANSMIT = const(4)  # RFC 7252, section 4.8
COAP_EXCHANGE_LIFETIME_MS = const(247_000)  # how long a message id means the same (RFC 7252, section 4.8.2)
COAP_RESPONSE_WAIT_MS = const(93_000)  # for a separate response, once the request is acknowledged: as long as MAX_TRANSMIT_WAIT
COAP_QUEUE_MAX = const(4)  # of our confirmable messages
COAP_REPLIES_MAX = const(8)  # remembered of the peer's
COAP_TOKEN_BYTES = const(4)  # of our own tokens
COAP_OPTIONS_MAX = const(32)  # of one message; a message with more is malformed
COAP_PATH_SEGMENTS_MAX = const(8)  # of a path that a Router looks up
COAP_PATH_MAX_BYTES = const(255)  # of such a path, with the slashes
COAP_BODY_MAX_BYTES = const(4096)  # of one that is put together block by block
COAP_LEISURE_MS = const(5000)  # responses to a group are spread over so long (RFC 7252, section 8.2)
COAP_GROUP_WAIT_MS = const(7_000)  # for responses of a group: the Leisure, and time to arrive

# Transports.
IP_UDP_HEADERS_BYTES = const(28)  # of a datagram over IPv4 without options
SLIP_DATAGRAMS_MAX = const(8)  # received over SLIP and not yet taken by their endpoint
SLIP_CHUNK_BYTES = const(128)  # read from a serial line at once
SLIP_STALL_MS = const(1000)  # after which a line that takes nothing fails
ESPNOW_FRAME_MAX_BYTES = const(250)  # ESP-NOW 1.0, which every ESP32 speaks
