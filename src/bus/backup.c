/* SPDX-License-Identifier: Apache-2.0 */
/* Backup: the ledger is copied in slices while the event loop is idle, so that doors never wait for it.
 */
#include "bus/backup.h"
#include "bus/args.h"
#include "bus/bus_struct.h"
#include "bus/peer.h"
#include "bus/reply.h"

#include <errno.h>
#include <sys/stat.h>

#define PATH_LENGTH_MAX 1024
#define SLICE_PAGES     64 /* 256 KiB: about a millisecond of copying from and to the page cache */

struct BackupJob {
        Bus *bus;
        sd_bus_message *message;
        LedgerBackup *copy;
        sd_event_source *slice;
};

void backup_job_free(Bus *b) {
        BackupJob *j = steal_ptr(b->backup);

        if (!j)
                return;
        sd_event_source_disable_unref(j->slice);
        if (j->copy)
                (void)ledger_backup_end(j->copy, NULL); /* incomplete: removes the file */
        sd_bus_message_unref(j->message);
        free(j);
}

static int on_slice(sd_event_source *source, void *userdata) {
        BackupJob *j = userdata;
        uint64_t bytes = 0;
        bool done = false;
        int r;

        r = ledger_backup_step(j->copy, SLICE_PAGES, &done);
        if (r >= 0 && !done)
                return 0;
        if (r >= 0)
                r = ledger_backup_end(steal_ptr(j->copy), &bytes);
        if (r == -ENOSPC)
                bus_reply_failure(j->message, r, "There is not enough room for the copy.");
        else if (r == -EEXIST)
                bus_reply_failure(j->message, LOCKER_E_INVALID_ARGUMENT,
                                  "\"path\" exists by now; a backup never overwrites anything.");
        else if (r < 0)
                bus_reply_failure(j->message, r, NULL);
        else
                (void)sd_bus_reply_method_return(j->message, "t", bytes);
        backup_job_free(j->bus);
        return 0;
}

/* Errors that an operator can correct get a sentence; others are faults. */
static int path_check(const char *path, sd_bus_error *e) {
        _cleanup_free_ char *parent = NULL;
        struct stat st;
        char *slash;
        int r;

        r = args_check_text("path", path, PATH_LENGTH_MAX, e);
        if (r < 0)
                return r;
        if (path[0] != '/')
                return args_invalid(e, "\"path\" must be absolute: it must begin with '/'.");
        parent = strdup(path);
        if (!parent)
                return -ENOMEM;
        slash = strrchr(parent, '/');
        if (slash[1] == '\0')
                return args_invalid(e, "\"path\" must name a file, not a directory.");
        slash[slash == parent] = '\0';
        if (stat(parent, &st) < 0 || !S_ISDIR(st.st_mode))
                return args_invalid(
                        e, "\"path\": the directory %s does not exist or lockerd may not look into it.",
                        parent);
        if (lstat(path, &st) == 0)
                return args_invalid(e, "\"path\": %s exists already; a backup never overwrites anything.",
                                    path);
        return 0;
}

static int begin_failure(int r, const char *path, sd_bus_error *e) {
        switch (-r) {
        case EEXIST:
                return args_invalid(e, "\"path\": %s exists already; a backup never overwrites anything.",
                                    path);
        case EACCES:
        case EPERM:
        case EROFS:
        case ENOENT:
        case ENOTDIR:
        case ELOOP:
        case ENAMETOOLONG:
                return args_invalid(e, "\"path\": lockerd may not write %s (%s).", path, strerror(-r));
        }
        return r;
}

int backup_start(Bus *b, Peer *peer, sd_bus_message *m, sd_bus_error *e) {
        const char *path;
        int r;

        r = sd_bus_message_read(m, "s", &path);
        if (r >= 0)
                r = path_check(path, e);
        if (r < 0)
                return r;
        if (b->backup)
                return bus_failure(e, m, LOCKER_E_BUSY, "A backup is already running.");
        b->backup = calloc(1, sizeof(*b->backup));
        if (!b->backup)
                return -ENOMEM;
        *b->backup = (BackupJob){.bus = b, .message = sd_bus_message_ref(m)};
        r = ledger_backup_begin(b->ledger, path, &b->backup->copy);
        if (r < 0) {
                r = begin_failure(r, path, e);
        } else {
                r = sd_event_add_defer(b->event, &b->backup->slice, on_slice, b->backup);
                if (r >= 0)
                        r = sd_event_source_set_priority(b->backup->slice, SD_EVENT_PRIORITY_IDLE);
                if (r >= 0)
                        r = sd_event_source_set_enabled(b->backup->slice, SD_EVENT_ON);
        }
        if (r < 0)
                backup_job_free(b);
        return r < 0 ? r : 1;
}
