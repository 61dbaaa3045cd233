/* SPDX-License-Identifier: Apache-2.0 */
/* When the disk fills up: first deposits stop, so that what is left is for collecting; and a reserve file,
 * kept next to the ledger for this hour, is given up so that collections can still be recorded. */
#include "records/records.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>

#define RESERVE_SIZE           (4 << 20)
#define RESERVE_GIVEN_UP_BELOW (1 << 20)
#define CHECK_EVERY_USEC       (10 * USEC_PER_SEC)
#define LOOK_AT_LOCK_USEC      (1 * USEC_PER_SEC)

static int free_bytes(const Records *rec, uint64_t *ret) {
        struct statvfs v;

        if (statvfs(ledger_path(rec->ledger), &v) < 0)
                return -errno;
        *ret = (uint64_t)v.f_bavail * v.f_frsize;
        return 0;
}

static char *reserve_path(const char *ledger) {
        return text_printf("%s.reserve", ledger);
}

bool storage_give_up_reserve(const char *ledger) {
        _cleanup_free_ char *path = reserve_path(ledger);

        if (!path || unlink(path) < 0)
                return false;
        log_message(LOG_WARNING, LOCKERD_MESSAGE_STORAGE_LOW, NULL,
                    "The disk is full: the reserve has been given up so that collections can be recorded. "
                    "Free some space.");
        return true;
}

void storage_make_room(Records *rec) {
        uint64_t available = 0;

        if (free_bytes(rec, &available) >= 0 && available < RESERVE_GIVEN_UP_BELOW)
                (void)storage_give_up_reserve(ledger_path(rec->ledger));
}

static void keep_reserve(Records *rec) {
        _cleanup_free_ char *path = reserve_path(ledger_path(rec->ledger));
        _cleanup_close_ int fd = -1;

        if (!path || access(path, F_OK) == 0)
                return;
        fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0)
                return;
        /* posix_fallocate really takes the blocks; a sparse file would be no reserve. */
        if (posix_fallocate(fd, 0, RESERVE_SIZE) != 0)
                (void)unlink(path);
}

void records_locked(Records *rec) {
        if (rec->ledger_locked)
                return;
        rec->ledger_locked = true;
        rec->storage_at = 0;
        log_message(LOG_ERR, LOCKERD_MESSAGE_LEDGER_LOCKED, NULL,
                    "Another program has locked %s: nothing can be recorded, so nothing opens. End it: fuser "
                    "-v %s",
                    ledger_path(rec->ledger), ledger_path(rec->ledger));
        notify_health(rec);
}

void records_unlocked(Records *rec) {
        if (!rec->ledger_locked)
                return;
        rec->ledger_locked = false;
        log_notice("The ledger is not locked by another program any more");
        notify_health(rec);
}

/* Nobody may want to write for hours. */
static void look_whether_locked(Records *rec, const Now *now) {
        if (!rec->ledger_locked || rec->in_transaction)
                return;
        if (ledger_begin(rec->ledger) >= 0) {
                ledger_rollback(rec->ledger);
                records_unlocked(rec);
        } else {
                rec->storage_at = now->boot_usec + LOOK_AT_LOCK_USEC;
        }
}

void storage_check(Records *rec, const Now *now) {
        uint64_t available = 0;
        bool low;

        rec->storage_at = now->boot_usec + CHECK_EVERY_USEC;
        look_whether_locked(rec, now);
        if (ledger_is_read_only(rec->ledger) && !rec->ledger_failing) {
                rec->ledger_failing = true; /* until something can be recorded again */
                log_error("The ledger's file system has become read-only, which the kernel does when a disk "
                          "fails: nothing opens until it can be written again. See dmesg.");
                notify_health(rec);
        }
        if (free_bytes(rec, &available) < 0)
                return;
        if (available >= RESERVE_GIVEN_UP_BELOW && ledger_is_cramped(rec->ledger)) {
                int r = ledger_relax(rec->ledger);
                if (r < 0)
                        log_error_errno(r, "The ledger cannot be opened for other readers yet");
        }
        low = available < rec->settings->minimum_free;
        if (!low)
                keep_reserve(rec);
        if (low == rec->storage_low)
                return;
        rec->storage_low = low;
        log_message(low ? LOG_WARNING : LOG_NOTICE, LOCKERD_MESSAGE_STORAGE_LOW, NULL,
                    low ? "The disk is nearly full (%llu KiB left): no deposits until space is freed"
                        : "There is space on the disk again (%llu KiB): deposits are possible",
                    (unsigned long long)(available / 1024));
        notify_health(rec);
}
