/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/running.h"
#include "base/text.h"
#include "message/remote_command.h"
#include "sync/sync_struct.h"

static void unlink_running(Running *r) {
        for (Running **p = &r->sync->running; *p; p = &(*p)->next)
                if (*p == r) {
                        *p = r->next;
                        break;
                }
}

void running_free(Running *r) {
        if (r->sync) {
                locker_unset_command(r->sync->locker, &r->row);
                unlink_running(r);
        }
        remote_command_done(&r->command);
        text_erase_free(r->row.command);
        free(r->row.response_topic);
        free(r->row.correlation);
        text_erase_free(r->answer);
        free(r);
}

Running *running_find(const Sync *s, const char *id) {
        for (Running *r = s->running; r; r = r->next)
                if (streq(r->row.id, id))
                        return r;
        return NULL;
}
