/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/worker.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/eventfd.h>

#define PSK_MIN    16
#define SECRET_MAX 512
#define SYSTEM_CAS "/etc/ssl/certs"
/* TLS 1.2. In TLS 1.3 a key is used with a fresh exchange, unless a client asks for less. */
#define FORWARD_SECRET_PSK "kECDHEPSK:kDHEPSK:!eNULL:!aNULL:!3DES:!RC4"
#define COMMANDS_AT_ONCE   20
/* The broker drops what is longer; between MQTT_PAYLOAD_MAX and this we see it and can answer "too large". */
#define PACKET_MAX   (1024 * 1024)
#define THREAD_STACK (256 * 1024)

#define COMPLAIN(w, ...) (snprintf((w)->complaint, SENTENCE_MAX, __VA_ARGS__), -1)

/* One line of text. */
static int read_secret(MqttWorker *w, const char *key, const char *path, char **ret) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        _cleanup_erase_ char *secret = calloc(1, SECRET_MAX + 1);
        ssize_t n;

        if (fd < 0)
                return COMPLAIN(w, "%s=%s cannot be read: %s", key, path, strerror(errno));
        if (!secret)
                return COMPLAIN(w, "Out of memory");
        n = read(fd, secret, SECRET_MAX);
        if (n < 0)
                return COMPLAIN(w, "%s=%s cannot be read: %s", key, path, strerror(errno));
        secret[strcspn(secret, "\r\n")] = 0;
        if (!*secret || n == SECRET_MAX)
                return COMPLAIN(w, "%s=%s is %s", key, path, n == SECRET_MAX ? "too long" : "empty");
        *ret = steal_ptr(secret);
        return 0;
}

static int check_readable(MqttWorker *w, const char *key, const char *path) {
        _cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;

        return path && fd < 0 ? COMPLAIN(w, "%s=%s cannot be read: %s", key, path, strerror(errno)) : 0;
}

/* OpenSSL would ask on the terminal. */
static int no_passphrase(char *buffer, int size, int rwflag, void *userdata) {
        return 0;
}

static int prepare_password(MqttWorker *w) {
        const MqttSetup *s = w->setup;
        _cleanup_erase_ char *password = NULL;

        if (!s->username)
                return 0;
        if (s->password_file && read_secret(w, "PasswordFile", s->password_file, &password) < 0)
                return -1;
        if (mosquitto_username_pw_set(w->mosq, s->username, password) != MOSQ_ERR_SUCCESS)
                return COMPLAIN(w, "The user name or password cannot be used");
        return 0;
}

static unsigned give_psk(SSL *ssl, const char *hint, char *identity, unsigned n_identity, unsigned char *psk,
                         unsigned n_psk) {
        MqttWorker *w = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

        if (strlen(w->setup->psk_identity) >= n_identity || w->n_psk > n_psk)
                return 0;
        strcpy(identity, w->setup->psk_identity);
        memcpy(psk, w->psk, w->n_psk);
        return w->n_psk;
}

/* Not by mosquitto_tls_psk_set(): with that the library would accept any certificate from a broker that
 * leaves the key aside. Here no certificate is good, because nobody is trusted. */
static int prepare_psk(MqttWorker *w) {
        _cleanup_erase_ char *hex = NULL;
        SSL_CTX *ctx;
        int r;

        if (read_secret(w, "PskFile", w->setup->psk_file, &hex) < 0)
                return -1;
        w->n_psk = (unsigned)strlen(hex) / 2;
        if (w->n_psk < PSK_MIN || w->n_psk > PSK_MAX || text_from_hex(hex, w->psk, w->n_psk) < 0)
                return COMPLAIN(w, "PskFile=%s does not hold a key of %d to %d bytes in hexadecimal digits",
                                w->setup->psk_file, PSK_MIN, PSK_MAX);
        ctx = SSL_CTX_new(TLS_client_method());
        if (!ctx)
                return COMPLAIN(w, "Out of memory");
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_app_data(ctx, w);
        SSL_CTX_set_psk_client_callback(ctx, give_psk);
        r = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
                            SSL_CTX_set_cipher_list(ctx, FORWARD_SECRET_PSK) == 1
                    ? mosquitto_void_option(w->mosq, MOSQ_OPT_SSL_CTX, ctx)
                    : MOSQ_ERR_TLS;
        SSL_CTX_free(ctx);
        if (r == MOSQ_ERR_SUCCESS)
                r = mosquitto_int_option(w->mosq, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
        return r == MOSQ_ERR_SUCCESS ? 0 : COMPLAIN(w, "The key cannot be used: %s", mosquitto_strerror(r));
}

static bool is_address(const char *host) {
        struct in6_addr address;

        return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* Whom the certificate must be for, by its alternative names: a common name is a text for people, which many
 * authorities do not check. The library would take it. */
static int expect_host(SSL_CTX *ctx, const char *host) {
        X509_VERIFY_PARAM *p = SSL_CTX_get0_param(ctx);
        if (is_address(host))
                return X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1 ? 0 : -1;
        X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                                   X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        return X509_VERIFY_PARAM_set1_host(p, host, 0) == 1 ? 0 : -1;
}

/* The broker chooses its certificate by the name that it is asked for, and is asked for the one that we want
 * to see; the library names what it connects to, which may be one address of many, or an SRV record's target.
 */
static void name_host(const SSL *ssl, int where, int ret) {
        MqttWorker *w = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

        if (where & SSL_CB_HANDSHAKE_START)
                (void)SSL_set_tlsext_host_name((SSL *)(uintptr_t)ssl, is_address(w->name) ? NULL : w->name);
}

static int complain_about_tls(MqttWorker *w, const char *what) {
        const char *why = ERR_reason_error_string(ERR_peek_last_error());

        return COMPLAIN(w, "%s cannot be used: %s", what, why ? why : "unknown reason");
}

static int load_files(MqttWorker *w, SSL_CTX *ctx) {
        const MqttSetup *s = w->setup;

        SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
        if (SSL_CTX_load_verify_locations(ctx, s->ca_file, s->ca_file ? NULL : SYSTEM_CAS) != 1)
                return complain_about_tls(w, "CaFile=");
        if (s->cert_file && SSL_CTX_use_certificate_chain_file(ctx, s->cert_file) != 1)
                return complain_about_tls(w, "CertFile=");
        if (s->key_file && SSL_CTX_use_PrivateKey_file(ctx, s->key_file, SSL_FILETYPE_PEM) != 1)
                return complain_about_tls(w, "KeyFile=");
        return 0;
}

static int use_context(MqttWorker *w, SSL_CTX *ctx) {
        int r = mosquitto_void_option(w->mosq, MOSQ_OPT_SSL_CTX, ctx);

        if (r == MOSQ_ERR_SUCCESS)
                r = mosquitto_int_option(w->mosq, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
        return r == MOSQ_ERR_SUCCESS ? 0 : COMPLAIN(w, "TLS cannot be set up: %s", mosquitto_strerror(r));
}

static int prepare_certificates(MqttWorker *w) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        int r;

        if (!ctx)
                return COMPLAIN(w, "Out of memory");
        ERR_clear_error();
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_app_data(ctx, w);
        SSL_CTX_set_info_callback(ctx, name_host);
        r = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && expect_host(ctx, w->name) == 0
                    ? load_files(w, ctx)
                    : complain_about_tls(w, "TLS");
        if (r >= 0)
                r = use_context(w, ctx);
        SSL_CTX_free(ctx);
        return r;
}

static int prepare_tls(MqttWorker *w) {
        const MqttSetup *s = w->setup;

        if (!s->tls)
                return 0;
        if (s->psk_file)
                return prepare_psk(w);
        if (check_readable(w, "CaFile", s->ca_file) < 0 || check_readable(w, "CertFile", s->cert_file) < 0 ||
            check_readable(w, "KeyFile", s->key_file) < 0)
                return -1;
        return prepare_certificates(w);
}

static int prepare_will(MqttWorker *w) {
        const MqttSetup *s = w->setup;
        mosquitto_property *properties = NULL;
        int r;

        if (!*s->will_topic)
                return 0;
        r = mosquitto_property_add_string(&properties, MQTT_PROP_CONTENT_TYPE, "application/json");
        if (r == MOSQ_ERR_SUCCESS)
                r = mosquitto_will_set_v5(w->mosq, s->will_topic, (int)strlen(s->will), s->will, 1, true,
                                          properties);
        if (r == MOSQ_ERR_SUCCESS)
                return 0; /* the properties are the library's now */
        mosquitto_property_free_all(&properties);
        return COMPLAIN(w, "The will cannot be set: %s", mosquitto_strerror(r));
}

int connect_prepare(MqttWorker *w) {
        /* clean start: false */
        w->mosq = mosquitto_new(w->setup->client_id, false, w);
        if (!w->mosq)
                return COMPLAIN(w, "Out of memory, or the client id cannot be used");
        callbacks_set(w->mosq);
        (void)mosquitto_int_option(w->mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
        (void)mosquitto_int_option(w->mosq, MOSQ_OPT_TCP_NODELAY, 1);
        /* Valid until the broker names its own. */
        (void)mosquitto_int_option(w->mosq, MOSQ_OPT_SEND_MAXIMUM, (int)w->setup->window);
        if (prepare_password(w) < 0 || prepare_tls(w) < 0)
                return -1;
        return prepare_will(w);
}

static void *connect_thread(void *userdata) {
        MqttWorker *w = userdata;
        const MqttSetup *s = w->setup;
        mosquitto_property *p = NULL;
        char address[ADDRESS_MAX];
        int r = MOSQ_ERR_INVAL;

        errno = 0;
        if (address_resolve(w, address) >= 0)
                r = mosquitto_property_add_int32(&p, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
                                                 s->session_expiry_sec);
        if (r == MOSQ_ERR_SUCCESS)
                r = mosquitto_property_add_int16(&p, MQTT_PROP_RECEIVE_MAXIMUM, COMMANDS_AT_ONCE);
        if (r == MOSQ_ERR_SUCCESS)
                r = mosquitto_property_add_int32(&p, MQTT_PROP_MAXIMUM_PACKET_SIZE, PACKET_MAX);
        errno = 0;
        if (r == MOSQ_ERR_SUCCESS)
                r = mosquitto_connect_bind_v5(w->mosq, address, (int)w->port, (int)s->keepalive_sec, NULL, p);
        w->connect_errno = errno;
        w->connect_result = r;
        mosquitto_property_free_all(&p);
        (void)eventfd_write(w->done_fd, 1);
        return NULL;
}

int connect_start(MqttWorker *w) {
        pthread_attr_t attributes;
        int r;

        w->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w->done_fd < 0)
                return COMPLAIN(w, "No descriptor: %s", strerror(errno));
        r = pthread_attr_init(&attributes);
        if (!r) {
                (void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
                r = pthread_create(&w->thread, &attributes, connect_thread, w);
                pthread_attr_destroy(&attributes);
        }
        if (!r)
                return 0;
        close(steal_fd(&w->done_fd));
        return COMPLAIN(w, "No thread: %s", strerror(r));
}

void connect_finish(MqttWorker *w) {
        (void)pthread_join(w->thread, NULL);
        close(steal_fd(&w->done_fd));
}

/* A broker that does not want this client says so and hangs up; when our first words cross that, the kernel
 * throws away what it said. */
static bool tls_broken_off(const MqttWorker *w, int result) {
        return w->setup->tls && w->phase != PHASE_UP && !*w->complaint && result == MOSQ_ERR_ERRNO &&
               (w->connect_errno == EPROTO || w->connect_errno == ECONNRESET || w->connect_errno == EPIPE);
}

static const char *doubtful_key(const MqttSetup *s) {
        return s->psk_file    ? "does it know PskIdentity= and PskFile=?"
               : s->cert_file ? "does it accept the certificate of CertFile=?"
                              : "does it ask for a certificate (CertFile=)?";
}

void connect_explain(MqttWorker *w, int result, char ret[SENTENCE_MAX]) {
        SSL *ssl = w->mosq ? mosquitto_ssl_get(w->mosq) : NULL;
        /* A session by a key has no certificate to judge. */
        long verdict = ssl && !w->setup->psk_file ? SSL_get_verify_result(ssl) : X509_V_OK;
        const char *why;

        /* Said already, with the line that told of it. */
        if (verdict != X509_V_OK && strstr(w->complaint, X509_verify_cert_error_string(verdict)))
                verdict = X509_V_OK;
        char broken_off[120], address[ADDRESS_TEXT_MAX];
        if (w->reason_code)
                why = mosquitto_reason_string((int)w->reason_code);
        else if (tls_broken_off(w, result)) {
                snprintf(broken_off, sizeof(broken_off), "TLS: the broker breaks off (%.30s); %s",
                         strerror(w->connect_errno), doubtful_key(w->setup));
                why = broken_off;
        } else if (*w->complaint)
                why = w->complaint;
        else if (result == MOSQ_ERR_EAI)
                why = gai_strerror(w->connect_errno);
        else if (result == MOSQ_ERR_ERRNO)
                why = w->connect_errno ? strerror(w->connect_errno) : "The connection broke";
        else
                why = mosquitto_strerror(result);
        snprintf(ret, SENTENCE_MAX, "%s: %.120s%s%.80s%s", address_text(w, address), why,
                 verdict != X509_V_OK ? " (" : "",
                 verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : "",
                 verdict != X509_V_OK ? ")" : "");
}
