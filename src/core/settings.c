/* SPDX-License-Identifier: Apache-2.0 */
#include "core/settings.h"

Settings *settings_free(Settings *s) {
        if (!s)
                return NULL;
        free(s->cabinet_path);
        free(s->ledger_path);
        free(s->board_directory);
        free(s->worker_directory);
        free(s->key_path);
        free(s->kiosk_group);
        free(s->admin_group);
        free(s->consent_text);
        free(s->consent_version);
        free(s->mqtt.host);
        free(s->mqtt.ca_file);
        free(s->mqtt.cert_file);
        free(s->mqtt.key_file);
        free(s->mqtt.psk_identity);
        free(s->mqtt.psk_file);
        free(s->mqtt.username);
        free(s->mqtt.password_file);
        free(s->mqtt.client_id);
        free(s->mqtt.signing_keys);
        free(s->mqtt.sealing_key);
        free(s->mqtt.community);
        free(s->link.listen);
        free(s->link.adapter);
        free(s->link.cert_file);
        free(s->link.key_file);
        free(s->link.ca_file);
        free(s->link.revocation_file);
        free(s);
        return NULL;
}

#define BLANKS " \t"

/* By its name alone: what a name service says may change, and may be somebody else's word. */
static bool is_this_machine(const char *host, size_t n) {
        static const char *const names[] = {"localhost", "::1", "ip6-localhost"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strlen(names[i]) == n && strncmp(host, names[i], n) == 0)
                        return true;
        /* 127.0.0.0/8, and no name that begins so */
        return n > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= n;
}

bool mqtt_settings_use_tls(const MqttSettings *m) {
        switch (m->tls) {
        case MQTT_TLS_YES:
                return true;
        case MQTT_TLS_NO:
                return false;
        case MQTT_TLS_BY_HOST:
                break;
        }
        const char *host = m->host ? m->host + strspn(m->host, BLANKS) : "";
        for (; *host; host += strspn(host, BLANKS)) {
                size_t n = strcspn(host, BLANKS);
                if (!is_this_machine(host, n))
                        return true;
                host += n;
        }
        return false;
}
