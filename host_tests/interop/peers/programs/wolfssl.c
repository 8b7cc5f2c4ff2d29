// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// A client or a server of wolfSSL on loopback, DTLS 1.2 with a pre-shared key, or with what is in $DICE_KEYS; see
// host_tests/interop/peers/wolfssl.py.
//
// wolfssl server|client PORT SUITE IDENTITY KEY-IN-HEX MTU|0 MFL|0 -|id|ticket
// wolfssl version
//
// $DICE_KEYS: raw|x509 PRIVATE CHAIN CA|- ask|- NAME|-, with a space between two. They are files, in PEM; CHAIN of a raw public key
// is one in DER. PRIVATE and CHAIN are "-" for a client without. Raw public keys are not verified.
//
// The client asks, prints the answer, and closes its session at the end of its input. With "id" or "ticket" it first closes a
// session at once, and then resumes it. The server answers "ask X" with "echo X", one session after the other.

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>

static const char *identity;
static unsigned char key[64];
static unsigned key_bytes;
static int mtu, mfl;
static const char *how;

#ifndef NO_CERTS
static const char *server_name;

static int accept_any(int preverify, WOLFSSL_X509_STORE_CTX *store) { return 1; }

static void use_keys(WOLFSSL_CTX *context, char *settings, int is_server) {
    char *words[6];
    for (int at = 0; at < 6; at++)
        words[at] = strtok(at ? NULL : settings, " ");
    int is_raw = !strcmp(words[0], "raw"), done = 1;
    if (*words[1] != '-') {
        done &= wolfSSL_CTX_use_PrivateKey_file(context, words[1], WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS;
        done &= (is_raw ? wolfSSL_CTX_use_certificate_file(context, words[2], WOLFSSL_FILETYPE_ASN1)
                        : wolfSSL_CTX_use_certificate_chain_file(context, words[2])) == WOLFSSL_SUCCESS;
    }
    if (*words[3] != '-')
        done &= wolfSSL_CTX_load_verify_locations(context, words[3], NULL) == WOLFSSL_SUCCESS;
    if (is_raw) {
        char type[] = {WOLFSSL_CERT_TYPE_RPK};
        done &= wolfSSL_CTX_set_client_cert_type(context, type, 1) == WOLFSSL_SUCCESS;
        done &= wolfSSL_CTX_set_server_cert_type(context, type, 1) == WOLFSSL_SUCCESS;
    }
    if (!done) {
        puts("failed: keys");
        exit(1);
    }
    int mode = WOLFSSL_VERIFY_PEER | (is_server ? WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    wolfSSL_CTX_set_verify(context, !is_server || *words[4] != '-' ? mode : WOLFSSL_VERIFY_NONE, is_raw ? accept_any : NULL);
    server_name = *words[5] == '-' ? NULL : words[5];
}

static void report_alert(WOLFSSL *ssl) {
    WOLFSSL_ALERT_HISTORY history;
    if (wolfSSL_get_alert_history(ssl, &history) == WOLFSSL_SUCCESS && history.last_rx.level == alert_fatal)
        printf("alert %d\n", history.last_rx.code);
}
#else
static void use_keys(WOLFSSL_CTX *context, char *settings, int is_server) {}
static void report_alert(WOLFSSL *ssl) {}
#endif

static void fail(const char *what, int error) {
    printf("failed: %s: %d %s\n", what, error, wolfSSL_ERR_reason_error_string(error));
    exit(1);
}

static unsigned give_key(WOLFSSL *ssl, const char *hint, char *name, unsigned name_max, unsigned char *out, unsigned out_max) {
    strncpy(name, identity, name_max);
    memcpy(out, key, key_bytes);
    return key_bytes;
}

static unsigned find_key(WOLFSSL *ssl, const char *name, unsigned char *out, unsigned out_max) {
    if (strcmp(name, identity))
        return 0;
    memcpy(out, key, key_bytes);
    return key_bytes;
}

static void configure(WOLFSSL *ssl, int fd) {
    wolfSSL_set_fd(ssl, fd);
    wolfSSL_dtls_set_using_nonblock(ssl, 1);
    if (mtu)
        wolfSSL_dtls_set_mtu(ssl, mtu);
#ifndef NO_CERTS
    if (server_name)
        wolfSSL_check_domain_name(ssl, server_name);
#endif
}

// Waits for a datagram, for input, or until the timer of the handshake expires; returns whether there is input.
static int wait_for(WOLFSSL *ssl, int fd, int with_input) {
    fd_set ready;
    struct timeval limit = {wolfSSL_dtls_get_current_timeout(ssl), 0};
    FD_ZERO(&ready);
    FD_SET(fd, &ready);
    if (with_input)
        FD_SET(0, &ready);
    int in_handshake = !wolfSSL_is_init_finished(ssl);
    int count = select(fd + 1, &ready, NULL, NULL, in_handshake ? &limit : NULL);
    if (count == 0 && wolfSSL_dtls_got_timeout(ssl) != WOLFSSL_SUCCESS)
        fail("timeout", wolfSSL_get_error(ssl, 0));
    return count > 0 && FD_ISSET(0, &ready) && with_input;
}

static int finish_handshake(WOLFSSL *ssl, int fd, int (*step)(WOLFSSL *)) {
    while (step(ssl) != WOLFSSL_SUCCESS) {
        int error = wolfSSL_get_error(ssl, 0);
        if (error != WOLFSSL_ERROR_WANT_READ && error != WOLFSSL_ERROR_WANT_WRITE)
            return error;
        wait_for(ssl, fd, 0);
    }
    printf("%s %s\n", wolfSSL_session_reused(ssl) ? "resumed" : "connected", wolfSSL_get_cipher_name(ssl));
    return 0;
}

// Reads until there is a message, and returns its length; 0 if the session was closed, -1 if there is input.
static int receive(WOLFSSL *ssl, int fd, char *message, int size, int with_input) {
    for (;;) {
        int length = wolfSSL_read(ssl, message, size - 1);
        int error = length > 0 ? 0 : wolfSSL_get_error(ssl, length);
        if (length > 0) {
            message[length] = 0;
            return length;
        }
        if (error == WOLFSSL_ERROR_ZERO_RETURN)
            return 0;
        if (error != WOLFSSL_ERROR_WANT_READ)
            fail("read", error);
        if (wait_for(ssl, fd, with_input))
            return -1;
    }
}

static void client(WOLFSSL_CTX *context, struct sockaddr_in *address) {
    const char *question = "ask wolfSSL\n";
    char message[2048];
    WOLFSSL_SESSION *session = NULL;
    int rounds = *how == '-' ? 1 : 2;
    for (int round = 0; round < rounds; round++) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        fcntl(fd, F_SETFL, O_NONBLOCK);
        WOLFSSL *ssl = wolfSSL_new(context);
        configure(ssl, fd);
        wolfSSL_dtls_set_peer(ssl, address, sizeof *address);
        if (mfl)
            wolfSSL_UseMaxFragment(ssl, mfl);
        if (!strcmp(how, "ticket"))
            wolfSSL_UseSessionTicket(ssl);
        if (session)
            wolfSSL_set_session(ssl, session);
        int error = finish_handshake(ssl, fd, wolfSSL_connect);
        if (error) {
            report_alert(ssl);
            fail("connect", error);
        }
        wolfSSL_write(ssl, question, strlen(question));
        if (receive(ssl, fd, message, sizeof message, 0) > 0)
            fputs(message, stdout);
        session = wolfSSL_get1_session(ssl);
        while (round == rounds - 1) {
            int length = receive(ssl, fd, message, sizeof message, 1);
            char rest[64];
            if (length == 0 || (length < 0 && read(0, rest, sizeof rest) == 0))
                break;
            if (length > 0)
                fputs(message, stdout);
        }
        wolfSSL_shutdown(ssl);
        wolfSSL_free(ssl);
        close(fd);
    }
}

static void serve(WOLFSSL_CTX *context, struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)address, sizeof *address))
        fail("bind", 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (;;) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        char message[2048];
        fd_set ready;
        FD_ZERO(&ready);
        FD_SET(fd, &ready);
        select(fd + 1, &ready, NULL, NULL, NULL);
        if (recvfrom(fd, message, sizeof message, MSG_PEEK, (struct sockaddr *)&from, &size) < 0)
            continue;
        if (message[0] != 22 || message[13] != 1) {  // no ClientHello: the rest of an earlier session
            recv(fd, message, sizeof message, 0);
            continue;
        }
        WOLFSSL *ssl = wolfSSL_new(context);
        configure(ssl, fd);
        wolfSSL_dtls_set_peer(ssl, &from, size);
        int error = finish_handshake(ssl, fd, wolfSSL_accept);
        if (error)
            report_alert(ssl);
        if (error)
            printf("no session: %d %s\n", error, wolfSSL_ERR_reason_error_string(error));
        int length = 0;
        while (!error && (length = receive(ssl, fd, message, sizeof message, 0)) > 0) {
            fputs(message, stdout);
            if (!strncmp(message, "ask ", 4))
                memcpy(memmove(message + 5, message + 4, length - 3) - 5, "echo ", 5);
            wolfSSL_write(ssl, message, strlen(message));
        }
        if (!error) {
            wolfSSL_shutdown(ssl);
            printf("closed\n");
        }
        wolfSSL_free(ssl);
    }
}

int main(int count, char **words) {
    if (count == 2)
        return puts(wolfSSL_lib_version()) < 0;
    if (count != 9)
        return 2;
    int is_server = !strcmp(words[1], "server");
    setvbuf(stdout, NULL, _IONBF, 0);
    identity = words[4];
    for (const char *digits = words[5]; digits[0] && digits[1]; digits += 2)
        sscanf(digits, "%2hhx", &key[key_bytes++]);
    mtu = atoi(words[6]);
    mfl = atoi(words[7]);
    how = words[8];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[2]))};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    wolfSSL_Init();
    WOLFSSL_CTX *context = wolfSSL_CTX_new(is_server ? wolfDTLSv1_2_server_method() : wolfDTLSv1_2_client_method());
    if (!context || wolfSSL_CTX_set_cipher_list(context, words[3]) != WOLFSSL_SUCCESS)
        fail("cipher", 0);
    char *keys = getenv("DICE_KEYS");
    if (keys)
        use_keys(context, keys, is_server);
    if (is_server && !keys)
        wolfSSL_CTX_set_psk_server_callback(context, find_key);
    else if (!keys)
        wolfSSL_CTX_set_psk_client_callback(context, give_key);
    if (is_server)
        serve(context, &address);
    else
        client(context, &address);
    return 0;
}
