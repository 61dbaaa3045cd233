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
        free(s);
        return NULL;
}
