/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"
#include "ledger/audit.h"
#include "ledger/seals.h"
#include "base/child.h"
#include "base/log.h"
#include "base/message_ids.h"
#include "base/text.h"
#include "build-config.h"
#include "bus/bus.h"
#include "config/config.h"
#include "daemon/manager.h"
#include "handheld/handheld.h"
#include "locker/locker.h"
#include "sync/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

/* The whole ledger is checked this long after the start, when the boards have been found. */
#define CHECK_LEDGER_AFTER_USEC (5 * USEC_PER_SEC)
/* Log2 of scrypt's N for cards: their secrets are too long to be tried. */
#define CARD_LOG_N         10
#define LOCKED_RETRY_USEC  (1 * USEC_PER_SEC)
#define LOCKED_EXTEND_USEC (30 * USEC_PER_SEC)
#define EXIT_STOPPED       (-1)

typedef struct Daemon {
        sd_event *event;
        sd_event_source *timer, *post, *check_timer, *check_child;
        pid_t check_pid;
        Ledger *ledger;
        Identity *identity;
        Locker *locker;
        Locks *locks;
        Bus *bus;
        Sync *sync;           /* NULL: no backend is configured */
        Handhelds *handhelds; /* NULL: no link */
        Manager *manager;
        bool attended; /* somebody is at the cabinet */
} Daemon;

extern char **environ;

static void log_audit_head(Daemon *d, const char *when) {
        char head[AUDIT_HEAD_MAX];

        if (ledger_audit_head(d->ledger, head) >= 0)
                log_message(LOG_NOTICE, LOCKERD_MESSAGE_AUDIT_HEAD,
                            (const char *const[]){"LOCKERD_AUDIT_HEAD", head, NULL},
                            "Audit chain head at %s: %s", when, head);
}

static void tell_ready(const Daemon *d) {
        const Cabinet *c = locker_cabinet(d->locker);

        manager_tell(d->manager, "READY=1\nSTATUS=Serving cabinet %s with %d slots", c->number, c->n_slots);
}

static int read_boot_id(uint8_t ret[16]) {
        _cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        char text[37], hex[33];
        size_t n = 0;

        if (fd < 0)
                return -errno;
        if (read(fd, text, 36) != 36)
                return -EIO;
        for (int i = 0; i < 36 && n < 32; i++)
                if (text[i] != '-')
                        hex[n++] = text[i];
        hex[n] = 0;
        return text_from_hex(hex, ret, 16);
}

/* --- the one timer --- */

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Daemon *d = userdata;

        locker_tick(d->locker);
        return 0;
}

/* After every event: it may have opened a slot, or changed the next deadline. */
static int on_post(sd_event_source *source, void *userdata) {
        Daemon *d = userdata;
        int r;

        locker_light(d->locker);
        bool attended = locker_attend(d->locker);
        if (d->attended && !attended)
                (void)malloc_trim(0); /* what only people have needed */
        d->attended = attended;
        uint64_t next = locker_next_deadline(d->locker);
        if (next == USEC_INFINITY)
                return sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
        r = sd_event_source_set_time(d->timer, next);
        return r < 0 ? r : sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

/* --- the whole-file check --- */

static int on_checked(sd_event_source *source, const siginfo_t *si, void *userdata) {
        Daemon *d = userdata;

        d->check_pid = 0;
        d->check_child = sd_event_source_unref(d->check_child);
        if (si->si_code == CLD_EXITED && si->si_status == EXIT_SUCCESS)
                return 0;
        if (si->si_code != CLD_EXITED || si->si_status != EXIT_BAD_LEDGER) {
                log_warning("The ledger could not be checked (%s %d); its history stays unchecked until the "
                            "next start",
                            si->si_code == CLD_EXITED ? "status" : "signal", si->si_status);
                return 0;
        }
        log_message(LOG_CRIT, LOCKERD_MESSAGE_LEDGER_DAMAGED, NULL, "%s (%s)",
                    ledger_problem_sentence(LEDGER_PROBLEM_DAMAGED), ledger_path(d->ledger));
        return sd_event_exit(d->event, EXIT_BAD_LEDGER);
}

static int start_check(sd_event_source *source, uint64_t usec, void *userdata) {
        Daemon *d = userdata;
        /* What only the start has needed. */
        (void)malloc_trim(0);
        _cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        int r;

        r = null < 0 ? -errno
                     : child_spawn("/proc/self/exe",
                                   (const char *const[]){"lockerd", "--check-ledger", ledger_path(d->ledger),
                                                         NULL},
                                   null, STDOUT_FILENO, true, &d->check_pid);
        if (r < 0) {
                log_error_errno(r, "Cannot start the check of the ledger");
                return 0;
        }
        r = sd_event_add_child(d->event, &d->check_child, d->check_pid, WEXITED, on_checked, d);
        return r < 0 ? log_error_errno(r, "Cannot wait for the check of the ledger") : 0;
}

/* --- start and stop --- */

/* Rights are put right, a lost key is restored: two different things to do. */
static void log_key_failure(const Settings *s, int r) {
        if (r == -EPERM || r == -EACCES)
                log_message(LOG_CRIT, LOCKERD_MESSAGE_LEDGER_DAMAGED, NULL,
                            "Cannot load the cabinet's key (%s): %s. It must belong to the user that lockerd "
                            "runs "
                            "as, and to nobody else: chown lockerd: %s; chmod 0400 %s",
                            s->key_path, r == -EPERM ? "others can read it" : "it may not be read",
                            s->key_path, s->key_path);
        else
                log_message(LOG_CRIT, LOCKERD_MESSAGE_LEDGER_DAMAGED, NULL,
                            "Cannot load the cabinet's key (%s): %s. Restore the key that belongs to %s from "
                            "its backup; without it nothing sealed in the ledger can be read.",
                            s->key_path,
                            r == -ENOKEY   ? "there is none"
                            : r == -EINVAL ? "it is not 32 bytes or 64 hex digits"
                                           : strerror(-r),
                            s->ledger_path);
}

/* Another program has it locked: that is waited for, one try a second, and shown. An exit would only be
 * started over. False: lockerd is to stop. */
static bool wait_for_ledger(Daemon *d, const char *path, bool first) {
        uint64_t now = clock_now().boot_usec, until = now + LOCKED_RETRY_USEC;

        if (first)
                log_message(LOG_ERR, LOCKERD_MESSAGE_LEDGER_LOCKED, NULL,
                            "Another program has locked %s; waiting for it. End it: fuser -v %s", path, path);
        manager_tell(d->manager,
                     "STATUS=Waiting: another program has locked the ledger\nEXTEND_TIMEOUT_USEC=%d",
                     (int)LOCKED_EXTEND_USEC);
        for (; now < until; now = clock_now().boot_usec) {
                int r = sd_event_run(d->event, until - now);
                if (r < 0 || sd_event_get_state(d->event) == SD_EVENT_EXITING ||
                    sd_event_get_state(d->event) == SD_EVENT_FINISHED)
                        return false;
        }
        return true;
}

static int open_ledger(Daemon *d, const Settings *s, const Cabinet *c) {
        LedgerProblem problem = LEDGER_PROBLEM_NONE;
        _cleanup_free_ char *detail = NULL;
        Vault *vault = NULL;
        /* Never create a key for an existing ledger: its sealed data could not be read any more. */
        bool fresh = access(s->ledger_path, F_OK) < 0;
        int r = vault_load(&vault, s->key_path, fresh);

        if (r < 0) {
                log_key_failure(s, r);
                return EXIT_BAD_LEDGER;
        }
        r = ledger_open_for(&d->ledger, s->ledger_path, vault, c->number, &problem, &detail);
        for (bool waited = false; r < 0 && problem == LEDGER_PROBLEM_BUSY; waited = true) {
                free(steal_ptr(detail));
                if (!wait_for_ledger(d, s->ledger_path, !waited)) {
                        vault_free(vault);
                        return EXIT_STOPPED;
                }
                r = ledger_open_for(&d->ledger, s->ledger_path, vault, c->number, &problem, &detail);
        }
        /* Start with a full disk: parcels can still be collected. */
        if (r < 0 && problem == LEDGER_PROBLEM_FULL && storage_give_up_reserve(s->ledger_path)) {
                free(steal_ptr(detail));
                r = ledger_open_for(&d->ledger, s->ledger_path, vault, c->number, &problem, &detail);
        }
        if (r >= 0)
                return 0;
        vault_free(vault);
        log_message(LOG_CRIT,
                    problem == LEDGER_PROBLEM_NEWER           ? LOCKERD_MESSAGE_LEDGER_NEWER
                    : problem == LEDGER_PROBLEM_OTHER_CABINET ? LOCKERD_MESSAGE_LEDGER_OTHER
                                                              : LOCKERD_MESSAGE_LEDGER_DAMAGED,
                    NULL, "%s: %s (%s)", s->ledger_path, ledger_problem_sentence(problem),
                    detail ? detail : strerror(-r));
        switch (problem) {
        case LEDGER_PROBLEM_DAMAGED:
        case LEDGER_PROBLEM_NEWER:
        case LEDGER_PROBLEM_WRONG_KEY:
        case LEDGER_PROBLEM_OTHER_CABINET:
                return EXIT_BAD_LEDGER;
        case LEDGER_PROBLEM_NONE:
        case LEDGER_PROBLEM_FULL:
        case LEDGER_PROBLEM_LOCKED:
        case LEDGER_PROBLEM_BUSY:
        case LEDGER_PROBLEM_IO:
                break;
        }
        return EXIT_IO;
}

static void tell_tampering(Daemon *d) {
        const char *found = ledger_tampering(d->ledger);

        if (!*found)
                return;
        log_message(LOG_CRIT, LOCKERD_MESSAGE_LEDGER_TAMPERED, NULL,
                    "The ledger was changed while lockerd did not run: %s. Nobody opens by these rows; see "
                    "lockerd(8), CHANGED ROWS",
                    found);
        locker_set_ledger_health(d->locker,
                                 "Rows were changed while lockerd did not run; nobody opens by them. The "
                                 "journal names them; see lockerd(8), CHANGED ROWS.");
}

/* Measured: docs/identity.md. Whoever has configured it so may have a reader that is better than most. */
static void warn_of_reader(const IdentityReader *reader, const Sufficiency *alone) {
        const char *kind = credential_kind_to_string(reader->kind);
        unsigned bit = credential_bit(reader->kind);

        if (reader->usb && bit & (alone->deposit | alone->collect | alone->take_back | alone->lift))
                log_warning("A reader at USB takes a %s for somebody else's far more often than a module "
                            "does: leave it out of AloneForDeposit=, AloneForCollect=, AloneForTakeBack= and "
                            "AloneForLift=, see lockerd-%s-usb(8)",
                            kind, kind);
}

static int wire(Daemon *d, const Settings *settings, const Cabinet *cabinet) {
        LockerOptions options = {
                .cabinet = cabinet, .settings = settings, .ledger = d->ledger, .now = clock_now};
        const LocksOptions lock_options = {.worker_directory = settings->worker_directory};
        int r = read_boot_id(options.boot_id);

        if (r < 0)
                return log_error_errno(r, "Cannot read the boot id");
        r = identity_new(&d->identity, d->event, settings->worker_directory, settings->scrypt_log_n,
                         vault_key(ledger_vault(d->ledger), VAULT_PEPPER));
        if (r >= 0)
                r = identity_set_cost(d->identity, CREDENTIAL_PATTERN, settings->pattern_log_n);
        if (r >= 0)
                r = identity_set_cost(d->identity, CREDENTIAL_CARD, CARD_LOG_N);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare the verifiers");
        identity_set_patience(d->identity, settings->reader_usec);
        for (int i = 0; i < cabinet->n_readers; i++) {
                r = identity_add_reader(d->identity, d->event, settings->worker_directory,
                                        &cabinet->readers[i]);
                if (r < 0)
                        return log_error_errno(r, "Cannot prepare the readers");
                warn_of_reader(&cabinet->readers[i], &settings->alone);
        }
        options.identity = d->identity;
        r = locker_new(&d->locker, &options);
        if (r < 0)
                return log_error_errno(r, "Cannot load the cabinet's state");
        r = locks_new(&d->locks, d->event, cabinet, &lock_options, locker_locks_handlers(),
                      locker_locks_userdata(d->locker));
        if (r < 0)
                return log_error_errno(r, "Cannot prepare the locks");
        tell_tampering(d);
        locker_attach_locks(d->locker, d->locks);
        r = locks_start(d->locks);
        if (r < 0)
                return log_error_errno(r, "Cannot start the lock workers");
        r = bus_new(&d->bus, d->event, d->locker, settings);
        if (r >= 0)
                r = sync_new(&d->sync, d->event, d->locker, settings);
        return r < 0 ? r : handhelds_new(&d->handhelds, d->event, d->locker, settings);
}

static int add_sources(Daemon *d) {
        uint64_t now = clock_now().boot_usec;
        int r = sd_event_add_time(d->event, &d->timer, CLOCK_BOOTTIME, now, 1, on_timer, d);

        if (r >= 0)
                r = sd_event_add_post(d->event, &d->post, on_post, d);
        if (r >= 0)
                r = sd_event_add_time(d->event, &d->check_timer, CLOCK_BOOTTIME,
                                      now + CHECK_LEDGER_AFTER_USEC, 0, start_check, d);
        return r < 0 ? log_error_errno(r, "Cannot set up the timer") : 0;
}

static void stop(Daemon *d) {
        /* Locks first: no coil stays energised. */
        d->locks = locks_free(d->locks);
        if (d->locker)
                locker_attach_locks(d->locker, NULL);
        d->handhelds = handhelds_free(d->handhelds);
        d->sync = sync_free(d->sync);
        d->bus = bus_free(d->bus);
        d->locker = locker_free(d->locker);
        d->identity = identity_free(d->identity);
        if (d->check_pid > 0)
                (void)kill(d->check_pid, SIGKILL);
        sd_event_source_unref(d->check_child);
        sd_event_source_unref(d->check_timer);
        sd_event_source_unref(d->timer);
        sd_event_source_unref(d->post);
        if (d->ledger)
                log_audit_head(d, "stop");
        d->ledger = ledger_free(d->ledger);
        d->manager = manager_free(d->manager);
        sd_event_unref(d->event);
}

/* Notifies systemd as `systemctl reload` expects; the rest of the configuration is read at start only. */
static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        Daemon *d = userdata;

        if (!d->locker)
                return 0; /* it still waits for the ledger, and loads all of it then */
        manager_tell(d->manager, "RELOADING=1\nSTATUS=Loading keys and certificates again");
        sync_reload(d->sync);
        handhelds_reload(d->handhelds);
        if (!d->sync && !d->handhelds)
                log_info("Neither a backend nor a link is configured, so there is nothing to reload; a "
                         "changed configuration "
                         "needs a "
                         "restart.");
        tell_ready(d);
        return 0;
}

static int set_up_loop(Daemon *d) {
        sigset_t mask;
        int r;

        /* Blocked before any worker is started; sd-event and the children rely on it. */
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
        sigaddset(&mask, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        signal(SIGPIPE, SIG_IGN);
        r = sd_event_default(&d->event);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
        return r < 0 ? r : manager_new(&d->manager, d->event);
}

/* The process has one time zone, the cabinet's: for the hours of reminders. */
static void set_time_zone(const char *zone) {
        bool installed = config_timezone_is_installed(zone);

        if (!installed)
                log_warning(
                        "The time zone %s is not installed; the hours of reminders are those of UTC. Install "
                        "tzdata (tzdata-legacy has former names), or correct TimeZone= in cabinet.conf",
                        zone);
        if (setenv("TZ", installed ? zone : "UTC", true) == 0)
                tzset();
}

int daemon_run(const Settings *settings, const Cabinet *cabinet) {
        Daemon d = {0};
        int r = set_up_loop(&d), status = EXIT_FAILURE;

        set_time_zone(cabinet->timezone);
        if (r < 0) {
                log_error_errno(r, "Cannot set up the event loop");
                goto out;
        }
        manager_tell(d.manager, "STATUS=Opening the ledger");
        status = open_ledger(&d, settings, cabinet);
        if (status == EXIT_STOPPED)
                status = EXIT_SUCCESS;
        if (!d.ledger)
                goto out;
        status = EXIT_FAILURE;
        if (wire(&d, settings, cabinet) < 0 || add_sources(&d) < 0)
                goto out;
        log_message(LOG_NOTICE, LOCKERD_MESSAGE_STARTED, NULL,
                    "lockerd %s serves cabinet %s: %d slots, %d positions", LOCKERD_VERSION, cabinet->number,
                    cabinet->n_slots, cabinet->n_positions);
        log_audit_head(&d, "start");
        tell_ready(&d);
        r = sd_event_loop(d.event);
        status = r < 0 ? EXIT_FAILURE : r;
        if (r < 0)
                log_error_errno(r, "The event loop failed");
        manager_tell(d.manager, "STOPPING=1");
        log_message(LOG_NOTICE, LOCKERD_MESSAGE_STOPPED, NULL, "lockerd stops");
out:
        stop(&d);
        return status;
}
