# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Code points of DTLS, of GSAs and of MicroPython's cryptolib. No board carries this module: compiling folds it away.

Names are those of the IANA registries, behind the name of the registry. Cipher suites are in `suites`, CoAP's in `coap.codes`.
"""

from ._compat import const

# ProtocolVersion (RFC 6347, section 4.1).
DTLS_1_0 = const(0xFEFF)  # in the record header of a first flight
DTLS_1_2 = const(0xFEFD)

# ContentType (RFC 5246, section 6.2.1; RFC 9146, section 3).
CONTENT_CHANGE_CIPHER_SPEC = const(20)
CONTENT_ALERT = const(21)
CONTENT_HANDSHAKE = const(22)
CONTENT_APPLICATION_DATA = const(23)
CONTENT_TLS12_CID = const(25)
REPORT_CONFLICT = const(4)  # a flag of a member's report (docs/protocol.md, section 15)
RECALL = const(0xFF)  # begins a datagram that is no record (docs/protocol.md, section 11)

# HandshakeType (RFC 6347, section 4.2.2; RFC 5077, section 3.3).
HANDSHAKE_HELLO_REQUEST = const(0)
HANDSHAKE_CLIENT_HELLO = const(1)
HANDSHAKE_SERVER_HELLO = const(2)
HANDSHAKE_HELLO_VERIFY_REQUEST = const(3)
HANDSHAKE_NEW_SESSION_TICKET = const(4)
HANDSHAKE_CERTIFICATE = const(11)
HANDSHAKE_SERVER_KEY_EXCHANGE = const(12)
HANDSHAKE_CERTIFICATE_REQUEST = const(13)
HANDSHAKE_SERVER_HELLO_DONE = const(14)
HANDSHAKE_CERTIFICATE_VERIFY = const(15)
HANDSHAKE_CLIENT_KEY_EXCHANGE = const(16)
HANDSHAKE_FINISHED = const(20)

# ExtensionType.
EXTENSION_SERVER_NAME = const(0)  # RFC 6066, section 3
EXTENSION_MAX_FRAGMENT_LENGTH = const(1)  # RFC 6066, section 4
EXTENSION_SUPPORTED_GROUPS = const(10)  # RFC 8422, section 5.1.1
EXTENSION_EC_POINT_FORMATS = const(11)  # RFC 8422, section 5.1.2
EXTENSION_SIGNATURE_ALGORITHMS = const(13)  # RFC 5246, section 7.4.1.4.1
EXTENSION_ALPN = const(16)  # RFC 7301
EXTENSION_CLIENT_CERTIFICATE_TYPE = const(19)  # RFC 7250
EXTENSION_SERVER_CERTIFICATE_TYPE = const(20)  # RFC 7250
EXTENSION_EXTENDED_MASTER_SECRET = const(23)  # RFC 7627
EXTENSION_CACHED_INFO = const(25)  # RFC 7924
EXTENSION_RECORD_SIZE_LIMIT = const(28)  # RFC 8449
EXTENSION_SESSION_TICKET = const(35)  # RFC 5077
EXTENSION_CONNECTION_ID = const(54)  # RFC 9146
EXTENSION_RENEGOTIATION_INFO = const(0xFF01)  # RFC 5746

# Of the registry of cipher suites, but none (RFC 5746, section 3.3).
EMPTY_RENEGOTIATION_INFO_SCSV = const(0x00FF)

# AlertLevel and AlertDescription (RFC 5246, section 7.2).
ALERT_LEVEL_WARNING = const(1)
ALERT_LEVEL_FATAL = const(2)
ALERT_CLOSE_NOTIFY = const(0)
ALERT_UNEXPECTED_MESSAGE = const(10)
ALERT_HANDSHAKE_FAILURE = const(40)
ALERT_BAD_CERTIFICATE = const(42)
ALERT_UNSUPPORTED_CERTIFICATE = const(43)
ALERT_CERTIFICATE_EXPIRED = const(45)
ALERT_CERTIFICATE_UNKNOWN = const(46)
ALERT_ILLEGAL_PARAMETER = const(47)
ALERT_UNKNOWN_CA = const(48)
ALERT_DECODE_ERROR = const(50)
ALERT_DECRYPT_ERROR = const(51)
ALERT_PROTOCOL_VERSION = const(70)
ALERT_INTERNAL_ERROR = const(80)
ALERT_NO_RENEGOTIATION = const(100)
ALERT_UNSUPPORTED_EXTENSION = const(110)
ALERT_NO_APPLICATION_PROTOCOL = const(120)  # RFC 7301, section 3.2

# Universal tags of DER (X.690), and UTCTime and GeneralizedTime.
DER_BOOLEAN = const(0x01)
DER_INTEGER = const(0x02)
DER_BIT_STRING = const(0x03)
DER_OCTET_STRING = const(0x04)
DER_OBJECT_IDENTIFIER = const(0x06)
DER_UTC_TIME = const(0x17)
DER_GENERALIZED_TIME = const(0x18)
DER_SEQUENCE = const(0x30)
DER_SET = const(0x31)

# Bits of KeyUsage (RFC 5280, section 4.2.1.3), in its first byte.
DIGITAL_SIGNATURE = const(0x80)
KEY_CERT_SIGN = const(0x04)

# The purpose of a certificate: the last arc of id-kp-serverAuth and id-kp-clientAuth (RFC 5280, section 4.2.1.12).
USAGE_SERVER = const(1)
USAGE_CLIENT = const(2)

# Flags of an encoded GSA (docs/protocol.md, section 4).
GSA_FRESH = const(1)
GSA_HAS_OWN = const(2)

# Modes of cryptolib.aes.
AES_ECB = const(1)
AES_CBC = const(2)
AES_CTR = const(6)  # in firmware of ours for an ESP32

# Of the functions of `_dice`, the module in C: DICE_VERSION of firmware/native.
NATIVE_VERSION = const(2)
