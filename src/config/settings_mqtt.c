/* SPDX-License-Identifier: Apache-2.0 */
/* Checks across the keys of [Mqtt]; each value alone is checked by its type. */
#include "config/settings_mqtt.h"
#include "base/srv_name.h"

#include <errno.h>

#define BLANKS                       " \t"
#define HOST_MAX                     253
#define MINUTES(n)                   ((n)*60 * USEC_PER_SEC)
#define HOURS(n)                     MINUTES(60 * (n))
#define DAYS(n)                      HOURS(24 * (n))
#define KEY(label, how, member, ...) CONFIG_KEY(label, how, Settings, mqtt.member, __VA_ARGS__)

static const KeyChoice yes_no[] = {{"yes", MQTT_TLS_YES}, {"no", MQTT_TLS_NO}, {}};

const ConfigKey mqtt_keys[N_MQTT_KEYS] = {
        KEY("Host", key_text, host, .min = 1, .max = 1023),
        KEY("Port", key_unsigned, port, .min = 1, .max = UINT16_MAX),
        KEY("Tls", key_choice, tls, .choices = yes_no),
        KEY("CaFile", key_path, ca_file),
        KEY("CertFile", key_path, cert_file),
        KEY("KeyFile", key_path, key_file),
        KEY("PskIdentity", key_text, psk_identity, .min = 1, .max = 128),
        KEY("PskFile", key_path, psk_file),
        KEY("Username", key_text, username, .min = 1, .max = 128),
        KEY("PasswordFile", key_path, password_file),
        KEY("ClientId", key_name, client_id, .max = 128),
        KEY("KeepAlive", key_usec, keepalive_usec, .min = 5 * USEC_PER_SEC, .max = HOURS(18)),
        KEY("SessionExpiry", key_usec, session_expiry_usec, .max = DAYS(365)),
        KEY("BackoffMin", key_usec, backoff_min_usec, .min = 100 * USEC_PER_MSEC, .max = HOURS(1)),
        KEY("BackoffMax", key_usec, backoff_max_usec, .min = 1 * USEC_PER_SEC, .max = DAYS(1)),
        KEY("Window", key_unsigned, window, .min = 1, .max = 1000),
        KEY("OutboxMaximum", key_count, outbox_max, .min = 1000, .max = 100000000),
        KEY("Community", key_names, community, .max = 64),
        KEY("SigningKeys", key_path, signing_keys),
        KEY("SealingKey", key_path, sealing_key),
        KEY("UnsignedOpen", key_bool, unsigned_open),
        KEY("UnsignedCommands", key_bool, unsigned_commands),
};

static bool is_host(const char *host, size_t n) {
        const char *colon = memchr(host, ':', n);

        if (n && *host == '_')
                return srv_is_name(host, n);
        return n <= HOST_MAX &&
               strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:%") >= n &&
               /* one colon is a port; a numeric IPv6 address has more */
               (!colon || colon != memrchr(host, ':', n));
}

static bool are_hosts(const char *list) {
        size_t n = 0;

        for (list += strspn(list, BLANKS); *list; list += strspn(list, BLANKS), n++) {
                size_t length = strcspn(list, BLANKS);
                if (!is_host(list, length))
                        return false;
                list += length;
        }
        return n > 0;
}

/* Only certain errors: the user who checks the configuration may have fewer rights than lockerd. */
static void check_file(Complaints *c, const char *file, const char *key, const char *path) {
        if (path && access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
                complain_at(c, file, 0, "[Mqtt] %s=%s: there is no such file", key, path);
}

static void check_tls(Complaints *c, const char *file, const MqttSettings *m) {
        bool certificates = m->ca_file || m->cert_file || m->key_file, psk = m->psk_identity || m->psk_file;

        if (m->host && !mqtt_settings_use_tls(m) && (certificates || psk))
                complain_at(c, file, 0,
                            "[Mqtt]: CaFile=, CertFile=, KeyFile=, PskIdentity= and PskFile= need Tls=yes");
        if (certificates && psk)
                complain_at(c, file, 0,
                            "[Mqtt]: PskIdentity= and PskFile= exclude CaFile=, CertFile= and KeyFile=");
        if (!m->cert_file != !m->key_file)
                complain_at(c, file, 0, "[Mqtt]: CertFile= and KeyFile= belong together; one is missing");
        if (!m->psk_identity != !m->psk_file)
                complain_at(c, file, 0, "[Mqtt]: PskIdentity= and PskFile= belong together; one is missing");
}

void settings_check_mqtt(Complaints *c, const char *file, const MqttSettings *m) {
        if (!m->host && (m->tls == MQTT_TLS_YES || m->ca_file || m->cert_file || m->key_file ||
                         m->psk_identity || m->psk_file || m->username || m->password_file))
                complain_at(c, file, 0, "[Mqtt]: Host= is missing; without it there is no backend");
        if (m->host && !are_hosts(m->host))
                complain_at(c, file, 0,
                            "[Mqtt] Host=%s: names or addresses are allowed, blanks between them, without "
                            "\"mqtt://\"; the port has a key of its own. Names of SRV records are written "
                            "_secure-mqtt._tcp.DOMAIN",
                            m->host);
        if (m->password_file && !m->username)
                complain_at(c, file, 0, "[Mqtt]: PasswordFile= needs Username=");
        if (m->backoff_min_usec > m->backoff_max_usec)
                complain_at(c, file, 0, "[Mqtt]: BackoffMin= is longer than BackoffMax=");
        check_tls(c, file, m);
        check_file(c, file, "CaFile", m->ca_file);
        check_file(c, file, "CertFile", m->cert_file);
        check_file(c, file, "KeyFile", m->key_file);
        check_file(c, file, "PskFile", m->psk_file);
        check_file(c, file, "PasswordFile", m->password_file);
        check_file(c, file, "SealingKey", m->sealing_key);
}

int settings_default_mqtt(MqttSettings *m) {
        *m = (MqttSettings){
                .keepalive_usec = MINUTES(1),
                .session_expiry_usec = DAYS(7),
                .backoff_min_usec = USEC_PER_SEC,
                .backoff_max_usec = MINUTES(5),
                .window = 20,
                .outbox_max = 1000000,
                .signing_keys = strdup(LOCKERD_SYSCONFDIR "/signing-keys.d"),
        };
        return m->signing_keys ? 0 : -ENOMEM;
}
