/* SPDX-License-Identifier: Apache-2.0 */
/* The same code reads the files as in the worker; then a client of its own, which is the handheld of a
 * recipient, connects, looks at the cabinet's certificate and says hello. */
#include "link/check.h"
#include "base/clock.h"
#include "link/certificate.h"
#include "link/frames.h"
#include "link/setup.h"
#include "link/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#define PATIENCE_S 10
#define SOON       (30 * 86400) /* s: a certificate that ends by then is named */
#define HELLO      "{\"id\":1,\"request\":\"hello\",\"versions\":[1],\"agent\":\"lockerctl link\"}"

static int complain(const char *sentence) {
        fprintf(stderr, "%s\n", sentence);
        return 1;
}

/* --- the files --- */

static void print_ends(const char *what, const char *name, X509 *certificate) {
        char until[32] = "?";
        struct tm tm;

        if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) == 1)
                (void)strftime(until, sizeof(until), "%Y-%m-%d %H:%M UTC", &tm);
        printf("%s%s, valid until %s\n", what, name, until);
        time_t soon = time(NULL) + SOON;
        if (X509_cmp_time(X509_get0_notAfter(certificate), &soon) < 0)
                printf("Warning: that is soon, or over. Renew it, then: systemctl reload lockerd\n");
}

static void print_certificates(const char *what, const char *file) {
        FILE *f = fopen(file, "re");
        X509 *certificate;

        while (f && (certificate = PEM_read_X509(f, NULL, NULL, NULL)) != NULL) {
                char name[128] = "";
                X509_NAME_oneline(X509_get_subject_name(certificate), name, sizeof(name));
                print_ends(what, name, certificate);
                X509_free(certificate);
        }
        ERR_clear_error();
        if (f)
                fclose(f);
}

static void print_revocations(const char *file) {
        FILE *f = fopen(file, "re");
        unsigned lists = 0, revoked = 0;
        X509_CRL *list;

        while (f && (list = PEM_read_X509_CRL(f, NULL, NULL, NULL)) != NULL) {
                lists++;
                int n = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list));
                revoked += n > 0 ? (unsigned)n : 0;
                X509_CRL_free(list);
        }
        ERR_clear_error();
        if (f)
                fclose(f);
        printf("Revoked: %u certificates, by %u lists in %s\n", revoked, lists, file);
}

static int check_files(const LinkSetup *s) {
        char sentence[LINK_SENTENCE_MAX] = "";
        LinkTlsContext *context = NULL;
        LinkWireClock clock = {0};

        if (link_tls_context_new(&context, s, &clock, sentence) < 0)
                return complain(sentence);
        link_tls_context_free(context);
        printf("Cabinet %s\n", s->cabinet);
        print_certificates("Its certificate: ", s->cert_file);
        print_certificates("Couriers' authority: ", s->ca_file);
        if (s->revocation_file)
                print_revocations(s->revocation_file);
        else
                printf("Revoked: no list is configured\n");
        return 0;
}

/* --- as a handheld --- */

static int connected(int family, const struct sockaddr *address, socklen_t n) {
        const struct timeval patience = {.tv_sec = PATIENCE_S};
        _cleanup_close_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
            connect(fd, address, n) < 0)
                return -errno;
        return steal_fd(&fd);
}

static int connect_path(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        return connected(AF_UNIX, (const struct sockaddr *)&address, sizeof(address));
}

static int connect_loopback(unsigned port) {
        const struct sockaddr_in address = {.sin_family = AF_INET,
                                            .sin_port = htons((uint16_t)port),
                                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

        return connected(AF_INET, (const struct sockaddr *)&address, sizeof(address));
}

/* The answer to hello: what it says of the cabinet. */
static int say_hello(SSL *ssl, const LinkSetup *s) {
        uint8_t header[LOCKERD_LINK_HEADER];
        static LinkFrame frame;
        int wants;
        size_t n;

        link_frame_begin(strlen(HELLO), header);
        if (SSL_write(ssl, header, sizeof(header)) <= 0 || SSL_write(ssl, HELLO, (int)strlen(HELLO)) <= 0)
                return complain("The cabinet takes no request.");
        while ((wants = link_frame_wants(&frame)) > 0) {
                uint8_t bytes[1024];
                int k = SSL_read(ssl, bytes, (int)MIN((size_t)wants, sizeof(bytes)));
                if (k <= 0)
                        return complain("The cabinet does not answer hello.");
                link_frame_add(&frame, bytes, (size_t)k);
        }
        const char *text = link_frame_text(&frame, &n), *cabinet = NULL, *clock = NULL;
        json_t *answer = wants == 0 ? json_loadb(text, n, 0, NULL) : NULL;
        int r = answer ? json_unpack(answer, "{s:{s:s, s:s}}", "result", "cabinet", &cabinet, "clock", &clock)
                       : -1;
        bool good = r == 0 && streq(cabinet, s->cabinet);
        if (good)
                printf("  it answers: cabinet %s, clock %s\n", cabinet, clock);
        json_decref(answer);
        link_frame_empty(&frame);
        return good ? 0 : complain("The cabinet's answer to hello is not understood.");
}

static int shake_hands(SSL *ssl, int fd, const LinkSetup *s) {
        char uri[128];

        if (SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1) {
                const char *why = ERR_reason_error_string(ERR_peek_last_error());
                fprintf(stderr, "TLS fails: %s\n", why ? why : "no answer");
                return 1;
        }
        snprintf(uri, sizeof(uri), "%s%s", LOCKERD_LINK_URI_CABINET, s->cabinet);
        X509 *peer = SSL_get0_peer_certificate(ssl);
        if (!peer || !link_certificate_has_uri(peer, uri))
                return complain("Another cabinet answers.");
        /* Whether handhelds will trust it, they know; the authority of couriers is often theirs, too. */
        long verified = SSL_get_verify_result(ssl);
        printf("  it shows its certificate%s%s\n",
               verified == X509_V_OK ? ", signed by an authority of CaFile="
                                     : "; by CaFile= alone it would not count: ",
               verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified));
        return say_hello(ssl, s);
}

static int try_at(const char *where, int fd, const LinkSetup *s) {
        if (fd < 0) {
                fprintf(stderr, "%s: %s. Does lockerd run? See: lockerctl status\n", where, strerror(-fd));
                return 1;
        }
        printf("%s: connected\n", where);
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        SSL *ssl = NULL;
        int r = 1;
        if (context && SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
            SSL_CTX_load_verify_file(context, s->ca_file) == 1 && (ssl = SSL_new(context)) != NULL)
                r = shake_hands(ssl, fd, s);
        else
                (void)complain("TLS cannot be prepared.");
        if (ssl && r == 0)
                (void)SSL_shutdown(ssl);
        SSL_free(ssl);
        SSL_CTX_free(context);
        close(fd);
        return r;
}

int link_check(const char *text) {
        _cleanup_(link_setup_freep) LinkSetup *s = NULL;
        char where[64];

        if (link_setup_decode(text, &s) < 0) {
                fputs("lockerd-link: this is no setup; run: lockerctl link\n", stderr);
                return 2;
        }
        int r = check_files(s);
        if (!r && s->listen)
                r = try_at(s->listen, connect_path(s->listen), s);
        if (!r && s->loopback_port) {
                snprintf(where, sizeof(where), "127.0.0.1:%u", s->loopback_port);
                r = try_at(where, connect_loopback(s->loopback_port), s);
        }
        if (!r)
                puts("The link is fine.");
        return r;
}
