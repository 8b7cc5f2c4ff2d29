// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// A client or a server of tinydtls on loopback with raw public keys; see host_tests/interop/peers/tinydtls.py.
//
// tinydtls server|client PORT PEER      with the private key and the point, 32 | 64 bytes, in hex in $DICE_KEY, "-" for none; PEER is
//                                       the point of whom we trust in hex, "any", or "-" for a server that asks for no key
// tinydtls version
//
// A server answers "ask X" with "echo X", a client sends "ask tinydtls"; both print what they receive, and events as "event LEVEL
// CODE". The session is closed when standard input ends.

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>
#include "dtls.h"
#include "dtls_debug.h"

static unsigned char own[96], trusted[64];
static int has_own, any, fd, is_connected;
static dtls_ecdsa_key_t key = {DTLS_ECDH_CURVE_SECP256R1, own, own + 32, own + 64};

static void unhex(const char *digits, unsigned char *out, int size) {
    for (int at = 0; at < size; at++)
        if (sscanf(digits + 2 * at, "%2hhx", &out[at]) != 1)
            exit(2);
}

static int transmit(struct dtls_context_t *context, session_t *session, uint8 *data, size_t length) {
    return sendto(fd, data, length, 0, &session->addr.sa, session->size);
}

static int receive(struct dtls_context_t *context, session_t *session, uint8 *data, size_t length) {
    char answer[2048] = "echo ";
    printf("%.*s\n", (int)length, (char *)data);
    if (context->app && length > 4 && length < 2000) {
        memcpy(answer + 5, data + 4, length - 4);
        dtls_write(context, session, (uint8 *)answer, length + 1);
    }
    return 0;
}

static int event(struct dtls_context_t *context, session_t *session, dtls_alert_level_t level, unsigned short code) {
    printf("event %d %d\n", level, code);
    is_connected |= code == DTLS_EVENT_CONNECTED;
    return 0;
}

static int get_key(struct dtls_context_t *context, const session_t *session, const dtls_ecdsa_key_t **result) {
    *result = &key;
    return has_own ? 0 : -1;
}

static int verify(struct dtls_context_t *context, const session_t *session, const unsigned char *x, const unsigned char *y, size_t size) {
    if (any || (size == 32 && !memcmp(x, trusted, 32) && !memcmp(y, trusted + 32, 32)))
        return 0;
    return dtls_alert_fatal_create(DTLS_ALERT_CERTIFICATE_UNKNOWN);
}

static void run(dtls_context_t *context, session_t *server) {
    session_t from;
    unsigned char datagram[2048], rest[64];
    int has_asked = 0;
    for (;;) {
        fd_set ready;
        struct timeval limit = {0, 100000};
        FD_ZERO(&ready);
        FD_SET(fd, &ready);
        FD_SET(0, &ready);
        select(fd + 1, &ready, NULL, NULL, &limit);
        if (FD_ISSET(fd, &ready)) {
            memset(&from, 0, sizeof from);
            from.size = sizeof from.addr.sin;
            int length = recvfrom(fd, datagram, sizeof datagram, 0, &from.addr.sa, &from.size);
            if (length > 0)
                dtls_handle_message(context, &from, datagram, length);
        }
        if (server && is_connected && !has_asked) {
            has_asked = 1;
            dtls_write(context, server, (uint8 *)"ask tinydtls\n", 13);
        }
        dtls_check_retransmit(context, NULL);
        if (FD_ISSET(0, &ready) && read(0, rest, sizeof rest) <= 0)
            return;
    }
}

int main(int count, char **words) {
    static dtls_handler_t handler = {.write = transmit, .read = receive, .event = event, .get_ecdsa_key = get_key};
    if (count == 2)
        return puts(dtls_package_version()) < 0;
    if (count != 4)
        return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    int is_server = !strcmp(words[1], "server");
    const char *secret = getenv("DICE_KEY");
    has_own = *secret != '-';
    if (has_own)
        unhex(secret, own, sizeof own);
    any = !strcmp(words[3], "any");
    if (!any && *words[3] != '-')
        unhex(words[3], trusted, sizeof trusted);
    if (*words[3] != '-')
        handler.verify_ecdsa_key = verify;
    session_t address;
    dtls_session_init(&address);
    address.size = sizeof address.addr.sin;
    address.addr.sin.sin_family = AF_INET;
    address.addr.sin.sin_port = htons(atoi(words[2]));
    inet_pton(AF_INET, "127.0.0.1", &address.addr.sin.sin_addr);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (is_server && bind(fd, &address.addr.sa, address.size))
        return 1;
    dtls_init();
    dtls_set_log_level(DTLS_LOG_WARN);
    dtls_context_t *context = dtls_new_context(is_server ? &address : NULL);
    dtls_set_handler(context, &handler);
    if (!is_server)
        dtls_connect(context, &address);
    run(context, is_server ? NULL : &address);
    if (!is_server)
        dtls_close(context, &address);
    return 0;
}
