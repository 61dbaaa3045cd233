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
        free(s);
        return NULL;
}
