/* SPDX-License-Identifier: Apache-2.0 */
#include "message/remote_command.h"
#include "base/text.h"
#include "message/rfc3339.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>

static _printf_(3, 4) int refuse(char ret_detail[MESSAGE_DETAIL_MAX], Refusal refusal, const char *format,
                                 ...) {
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(ret_detail, MESSAGE_DETAIL_MAX, format, ap);
        va_end(ap);
        return (int)refusal;
}

void remote_command_done(RemoteCommand *c) {
        json_erase(c->arguments);
        *c = (RemoteCommand){0};
}

int remote_command_digest(const RemoteCommand *c, char ret[COMMAND_DIGEST_MAX]) {
        unsigned char digest[SHA256_DIGEST_LENGTH];
        char *text = json_dumps(c->arguments, JSON_COMPACT | JSON_SORT_KEYS);

        if (!text)
                return -ENOMEM;
        (void)SHA256((const unsigned char *)text, strlen(text), digest);
        text_to_hex(digest, sizeof(digest), ret);
        text_erase_free(text);
        return 0;
}

/* Text without NUL inside; NULL when it is not one. */
static const char *text_of(const json_t *object, const char *key) {
        const json_t *value = json_object_get(object, key);

        return json_is_string(value) ? json_string_value(value) : NULL;
}

static bool id_is_fine(const char *id) {
        size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

        return n >= 1 && n <= COMMAND_ID_MAX && id[n] == '\0';
}

static bool name_is_fine(const char *name) {
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

        return n >= 1 && n <= COMMAND_NAME_MAX && name[n] == '\0';
}

static void take_id(const json_t *command, RemoteCommand *ret) {
        const char *id = text_of(command, "id");

        if (id && id_is_fine(id))
                snprintf(ret->id, sizeof(ret->id), "%s", id);
}

static int check_keys(const json_t *command, char ret_detail[MESSAGE_DETAIL_MAX]) {
        static const char *const known[] = {"id",    "expires", "cabinet",  "name",
                                            "nonce", "epoch",   "arguments"};
        const char *key;
        json_t *value;
        char shown[41];

        json_object_foreach((json_t *)command, key, value) {
                size_t i = 0;
                while (i < ARRAY_SIZE(known) && !streq(known[i], key))
                        i++;
                if (i < ARRAY_SIZE(known))
                        continue;
                strict_json_printable(key, shown, sizeof(shown));
                return refuse(ret_detail, LOCKER_E_INVALID_ARGUMENT,
                              "\"%s\" is not known in a command; allowed are: id, expires, cabinet, name, "
                              "nonce, epoch, arguments.",
                              shown);
        }
        return 0;
}

static int read_expiry(const json_t *command, RemoteCommand *ret, char ret_detail[MESSAGE_DETAIL_MAX]) {
        const char *text = text_of(command, "expires");
        int r = text ? rfc3339_parse(text, &ret->expires_usec) : -EINVAL;

        if (r == -ERANGE)
                return refuse(ret_detail, LOCKER_E_INVALID_ARGUMENT,
                              "\"expires\" must lie between the years 1970 and 9999.");
        if (r < 0)
                return refuse(ret_detail, LOCKER_E_INVALID_ARGUMENT,
                              "\"expires\" must be a moment of RFC 3339, like \"2026-11-21T08:15:30Z\".");
        return 0;
}

static int read_epoch(const json_t *command, RemoteCommand *ret, char ret_detail[MESSAGE_DETAIL_MAX]) {
        const char *text = text_of(command, "epoch");

        if (!json_object_get(command, "epoch"))
                return 0;
        if (!text || strspn(text, "0123456789abcdef") != COMMAND_EPOCH_MAX || text[COMMAND_EPOCH_MAX])
                return refuse(ret_detail, LOCKER_E_INVALID_ARGUMENT,
                              "\"epoch\" must be the %d digits that the cabinet's state has under this name.",
                              COMMAND_EPOCH_MAX);
        memcpy(ret->epoch, text, COMMAND_EPOCH_MAX + 1);
        return 0;
}

/* In a signed command the address is part of what is signed, so that it cannot be played to another cabinet
 * or as another command. */
static int check_address(const json_t *command, const char *key, const char *expected, bool is_signed,
                         char ret_detail[MESSAGE_DETAIL_MAX]) {
        const json_t *value = json_object_get(command, key);
        const char *text = text_of(command, key);

        if (!value && !is_signed)
                return 0;
        if (!value)
                return refuse(ret_detail, LOCKER_E_BAD_SIGNATURE, "A signed command must say its \"%s\".",
                              key);
        if (text && streq(text, expected))
                return 0;
        return refuse(ret_detail, is_signed ? LOCKER_E_BAD_SIGNATURE : LOCKER_E_INVALID_ARGUMENT,
                      "The command's \"%s\" is not the one that it was sent to.", key);
}

static int read_nonce(const json_t *command, RemoteCommand *ret, char ret_detail[MESSAGE_DETAIL_MAX]) {
        const char *text = text_of(command, "nonce");

        if (!json_object_get(command, "nonce"))
                return 0;
        if (!text || !*text || strlen(text) > COMMAND_NONCE_MAX)
                return refuse(ret_detail, LOCKER_E_INVALID_ARGUMENT,
                              "\"nonce\" must be that of the cabinet's state.");
        snprintf(ret->nonce, sizeof(ret->nonce), "%s", text);
        return 0;
}

static int read_object(const char *cabinet, const json_t *command, RemoteCommand *ret,
                       char ret_detail[MESSAGE_DETAIL_MAX]) {
        json_t *arguments = json_object_get(command, "arguments");

        int r = check_keys(command, ret_detail);
        if (!r && !*ret->id)
                r = refuse(ret_detail, LOCKER_E_INVALID_ARGUMENT,
                           "\"id\" must be 1 to %d letters, digits, '.', '_' or '-'.", COMMAND_ID_MAX);
        if (!r)
                r = read_expiry(command, ret, ret_detail);
        if (!r)
                r = read_nonce(command, ret, ret_detail);
        if (!r)
                r = read_epoch(command, ret, ret_detail);
        if (!r)
                r = check_address(command, "cabinet", cabinet, ret->is_signed, ret_detail);
        if (!r)
                r = check_address(command, "name", ret->name, ret->is_signed, ret_detail);
        if (!r && arguments && !json_is_object(arguments))
                r = refuse(ret_detail, LOCKER_E_INVALID_ARGUMENT, "\"arguments\" must be a JSON object.");
        if (r)
                return r;
        ret->arguments = arguments ? json_incref(arguments) : json_object();
        return ret->arguments ? 0 : -ENOMEM;
}

static int read_plain(const char *cabinet, const void *text, size_t n, RemoteCommand *ret,
                      char ret_detail[MESSAGE_DETAIL_MAX]) {
        json_t *command = NULL;

        int r = strict_json_object("The command", text, n, &command, ret_detail);
        if (r)
                return r;
        take_id(command, ret);
        r = read_object(cabinet, command, ret, ret_detail);
        /* The arguments live on: they are taken out before the rest is erased. */
        (void)json_object_del(command, "arguments");
        json_erase(command);
        return r;
}

static int read_signed(const char *cabinet, const void *text, size_t n, const KeyRing *ring,
                       RemoteCommand *ret, char ret_detail[MESSAGE_DETAIL_MAX]) {
        _cleanup_(jws_done) Jws jws = {0};
        _cleanup_json_ json_t *unverified = NULL;
        char ignored[MESSAGE_DETAIL_MAX];

        int r = jws_verify(ring, text, n, &jws, ret_detail);
        if (r == 0) {
                ret->is_signed = true;
                snprintf(ret->key, sizeof(ret->key), "%s", jws.key);
                return read_plain(cabinet, jws.payload, jws.n_payload, ret, ret_detail);
        }
        /* Nothing is believed of it, but the answer names the id, so that the backend knows which of its
         * commands this was. */
        if (r > 0 && jws.payload &&
            strict_json_object("The command", jws.payload, jws.n_payload, &unverified, ignored) == 0)
                take_id(unverified, ret);
        return r;
}

int remote_command_parse(const char *cabinet, const char *name, const void *payload, size_t n,
                         const KeyRing *ring, RemoteCommand *ret, char ret_detail[MESSAGE_DETAIL_MAX]) {
        int r;

        *ret = (RemoteCommand){0};
        ret_detail[0] = '\0';
        if (!name_is_fine(name))
                return refuse(ret_detail, LOCKER_E_UNKNOWN_COMMAND, "%s",
                              refusal_sentence(LOCKER_E_UNKNOWN_COMMAND));
        snprintf(ret->name, sizeof(ret->name), "%s", name);
        if (n > COMMAND_PAYLOAD_MAX)
                return refuse(ret_detail, LOCKER_E_INVALID_ARGUMENT, "The command is longer than %d bytes.",
                              COMMAND_PAYLOAD_MAX);
        if (jws_is_compact(payload, n))
                r = read_signed(cabinet, payload, n, ring, ret, ret_detail);
        else
                r = read_plain(cabinet, payload, n, ret, ret_detail);
        if (r) {
                json_erase(steal_ptr(ret->arguments));
                ret->is_signed = false;
                ret->key[0] = '\0';
        }
        return r;
}
