/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd.conf and its drop-ins: the defaults and ranges of lockerd.conf(5) are these tables. */
#include "base/clock.h"
#include "base/text.h"
#include "build-config.h"
#include "config/array.h"
#include "config/keys.h"
#include "config/parse.h"
#include "config/settings_link.h"
#include "config/settings_mqtt.h"

#include <dirent.h>
#include <errno.h>

#define SECONDS(n) ((n)*USEC_PER_SEC)
#define MINUTES(n) SECONDS(60 * (n))
#define HOURS(n)   MINUTES(60 * (n))
#define DAYS(n)    HOURS(24 * (n))
#define MEBI(n)    (UINT64_C(n) << 20)

static const KeyChoice alphabets[] = {{"crockford", CODE_CROCKFORD}, {"digits", CODE_DIGITS}, {}};
static const KeyChoice unanswered[] = {{"collected", true}, {"unverified", false}, {}};

static const ConfigKey daemon_keys[] = {
        CONFIG_KEY("Cabinet", key_path, Settings, cabinet_path),
        CONFIG_KEY("Ledger", key_path, Settings, ledger_path),
        CONFIG_KEY("BoardDirectory", key_path, Settings, board_directory),
        CONFIG_KEY("WorkerDirectory", key_path, Settings, worker_directory),
        CONFIG_KEY("KeyFile", key_path, Settings, key_path),
        CONFIG_KEY("TrustClock", key_bool, Settings, trust_clock),
        CONFIG_KEY("KeepNames", key_usec, Settings, keep_names_usec, .max = DAYS(3660)),
        CONFIG_KEY("MinimumFree", key_bytes, Settings, minimum_free, .min = MEBI(1), .max = MEBI(1) << 20),
};
static const ConfigKey bus_keys[] = {
        CONFIG_KEY("KioskGroup", key_name, Settings, kiosk_group, .max = 32),
        CONFIG_KEY("AdminGroup", key_name, Settings, admin_group, .max = 32),
};
static const ConfigKey codes_keys[] = {
        CONFIG_KEY("Alphabet", key_choice, Settings, code_alphabet, .choices = alphabets),
        CONFIG_KEY("ValidFor", key_usec, Settings, code_valid_usec, .min = SECONDS(1), .max = DAYS(365)),
        CONFIG_KEY("Everybody", key_bool, Settings, code_for_everybody),
};
static const ConfigKey lockout_keys[] = {
        CONFIG_KEY("Attempts", key_unsigned, Settings, lockout_attempts, .min = 1, .max = 10),
        CONFIG_KEY("Duration", key_usec, Settings, lockout_duration_usec, .min = SECONDS(1), .max = DAYS(7)),
};
static const ConfigKey session_keys[] = {
        CONFIG_KEY("IdleTimeout", key_usec, Settings, session_idle_usec, .min = SECONDS(1), .max = HOURS(1)),
        CONFIG_KEY("DoorOpenTimeout", key_usec, Settings, door_open_usec, .min = SECONDS(1), .max = HOURS(1)),
        CONFIG_KEY("ReopenGrace", key_usec, Settings, reopen_grace_usec, .max = MINUTES(10)),
        CONFIG_KEY("AnswerTimeout", key_usec, Settings, answer_usec, .min = SECONDS(1), .max = MINUTES(10)),
        CONFIG_KEY("Unanswered", key_choice, Settings, unanswered_is_collected, .choices = unanswered),
        CONFIG_KEY("MaxSessions", key_unsigned, Settings, max_sessions, .min = 1, .max = 64),
};
static const ConfigKey identity_keys[] = {
        CONFIG_KEY("ScryptLogN", key_unsigned, Settings, scrypt_log_n, .min = 14, .max = 18),
        CONFIG_KEY("MinimumPinLength", key_unsigned, Settings, min_length[CREDENTIAL_PIN], .min = 4,
                   .max = 12),
        CONFIG_KEY("MinimumPasswordLength", key_unsigned, Settings, min_length[CREDENTIAL_PASSWORD], .min = 6,
                   .max = 64),
        CONFIG_KEY("PatternScryptLogN", key_unsigned, Settings, pattern_log_n, .min = 14, .max = 18),
        CONFIG_KEY("MinimumPatternLength", key_unsigned, Settings, min_length[CREDENTIAL_PATTERN], .min = 5,
                   .max = 9),
        CONFIG_KEY("MinimumCardLength", key_unsigned, Settings, min_length[CREDENTIAL_CARD], .min = 12,
                   .max = 64),
        CONFIG_KEY("ConsentText", key_name, Settings, consent_text, .max = 64),
        CONFIG_KEY("ConsentVersion", key_name, Settings, consent_version, .max = 64),
        CONFIG_KEY("EndUnused", key_usec, Settings, end_unused_usec, .max = DAYS(3660)),
        CONFIG_KEY("SelfEnrol", key_kinds, Settings, self_enrol),
        CONFIG_KEY("ReaderTimeout", key_usec, Settings, reader_usec, .min = SECONDS(2), .max = SECONDS(60)),
        CONFIG_KEY("AloneForDeposit", key_alone, Settings, alone.deposit),
        CONFIG_KEY("AloneForCollect", key_alone, Settings, alone.collect),
        CONFIG_KEY("AloneForTakeBack", key_alone, Settings, alone.take_back),
        CONFIG_KEY("AloneForLift", key_alone, Settings, alone.lift),
};
static const ConfigKey reminders_keys[] = {
        CONFIG_KEY("Enabled", key_bool, Settings, reminders.enabled),
        CONFIG_KEY("ReminderAfter", key_usec, Settings, reminders.reminder_after_usec, .max = DAYS(365)),
        CONFIG_KEY("RecallAfter", key_usec, Settings, reminders.recall_after_usec, .max = DAYS(365)),
        CONFIG_KEY("QuietFrom", key_clock, Settings, reminders.quiet_from),
        CONFIG_KEY("QuietUntil", key_clock, Settings, reminders.quiet_until),
        CONFIG_KEY("DefaultHour", key_unsigned, Settings, reminders.default_hour, .max = 23),
};

static const struct {
        const char *kind;
        const ConfigKey *keys;
        size_t n_keys;
} sections[] = {
        {"Daemon", daemon_keys, ARRAY_SIZE(daemon_keys)},
        {"Bus", bus_keys, ARRAY_SIZE(bus_keys)},
        {"Codes", codes_keys, ARRAY_SIZE(codes_keys)},
        {"Lockout", lockout_keys, ARRAY_SIZE(lockout_keys)},
        {"Session", session_keys, ARRAY_SIZE(session_keys)},
        {"Identity", identity_keys, ARRAY_SIZE(identity_keys)},
        {"Mqtt", mqtt_keys, N_MQTT_KEYS},
        {"Link", link_keys, N_LINK_KEYS},
        {"Reminders", reminders_keys, ARRAY_SIZE(reminders_keys)},
};

Settings *settings_new_default(void) {
        _cleanup_(settings_freep) Settings *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        *s = (Settings){
                .cabinet_path = strdup(LOCKERD_SYSCONFDIR "/cabinet.conf"),
                .ledger_path = strdup(LOCKERD_STATEDIR "/ledger.db"),
                .board_directory = strdup(LOCKERD_DATADIR "/boards"),
                .worker_directory = strdup(LOCKERD_LIBEXECDIR),
                .key_path = strdup(LOCKERD_STATEDIR "/lockerd.key"),
                .minimum_free = MEBI(16),
                .keep_names_usec = DAYS(90),
                .kiosk_group = strdup("lockerd-kiosk"),
                .admin_group = strdup("lockerd-admin"),
                .code_alphabet = CODE_CROCKFORD,
                .code_valid_usec = HOURS(72),
                .lockout_attempts = 3,
                .lockout_duration_usec = MINUTES(30),
                .session_idle_usec = SECONDS(60),
                .door_open_usec = SECONDS(120),
                .reopen_grace_usec = SECONDS(60),
                .answer_usec = SECONDS(30),
                .unanswered_is_collected = false,
                .max_sessions = 8,
                .scrypt_log_n = 14,
                .min_length[CREDENTIAL_PIN] = 6,
                .min_length[CREDENTIAL_PASSWORD] = 8,
                .pattern_log_n = 15,
                .min_length[CREDENTIAL_PATTERN] = 5,
                .min_length[CREDENTIAL_CARD] = 16,
                .consent_text = strdup("unnamed"),
                .consent_version = strdup("unnamed"),
                .end_unused_usec = DAYS(730),
                .reader_usec = SECONDS(17),
                .alone = sufficiency_default(),
                .link.phones = 4,
                .reminders = {.enabled = true,
                              .reminder_after_usec = HOURS(24),
                              .recall_after_usec = HOURS(72),
                              .quiet_from = 21 * 60,
                              .quiet_until = 8 * 60,
                              .default_hour = 17},
        };
        if (!s->cabinet_path || !s->ledger_path || !s->board_directory || !s->worker_directory ||
            !s->key_path || !s->kiosk_group || !s->admin_group || !s->consent_text || !s->consent_version ||
            settings_default_mqtt(&s->mqtt) < 0)
                return NULL;
        return steal_ptr(s);
}

static void apply_section(Complaints *c, const IniFile *f, const IniSection *s, Settings *settings) {
        const IniSection *first = ini_file_section(f, s->kind, 0);
        Suggestion suggestion = {.typed = s->kind};
        size_t k = 0;

        while (k < ARRAY_SIZE(sections) && !streq(sections[k].kind, s->kind))
                suggestion_offer(&suggestion, sections[k++].kind);
        if (k == ARRAY_SIZE(sections))
                complain(c, s, NULL,
                         "there is no such section" SUGGESTION_FORMAT
                         "; [Daemon], [Bus], [Codes], [Lockout], [Session], [Identity], [Mqtt], [Link] "
                         "and [Reminders] are allowed",
                         SUGGESTION_ARGS(suggestion));
        else if (*s->name)
                complain(c, s, NULL, "this section has no name; write [%s]", s->kind);
        else if (first != s)
                complain(c, s, NULL, "this section already begins in line %u; once is allowed", first->line);
        else
                keys_apply(c, s, sections[k].keys, sections[k].n_keys, settings);
}

void settings_apply(Complaints *c, Settings *settings, const char *path, const char *data, size_t size) {
        _cleanup_(ini_file_freep) IniFile *f = ini_file_parse(c, path, data, size);

        for (size_t i = 0; f && i < f->n_sections; i++)
                apply_section(c, f, &f->sections[i], settings);
}

void settings_check(Complaints *c, const Settings *settings, const char *path) {
        const ReminderSettings *r = &settings->reminders;

        settings_check_mqtt(c, path, &settings->mqtt);
        settings_check_link(c, path, &settings->link);
        if (r->reminder_after_usec && r->recall_after_usec && r->recall_after_usec <= r->reminder_after_usec)
                complain_at(c, path, 0, "[Reminders] RecallAfter= must be longer than ReminderAfter=");
}

static void read_file(Complaints *c, Settings *settings, const char *path, bool may_be_absent) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = ini_file_load(path, &data, &size);
        if (r == -ENOENT && may_be_absent)
                return;
        if (r < 0) {
                complain_at(c, path, 0, "cannot be read: %s", strerror(-r));
                complaints_broken(c, r);
                return;
        }
        settings_apply(c, settings, path, data, size);
}

static int is_drop_in(const struct dirent *entry) {
        size_t n = strlen(entry->d_name);

        return entry->d_name[0] != '.' && n > strlen(".conf") &&
               streq(entry->d_name + n - strlen(".conf"), ".conf");
}

/* By bytes: alphasort() follows the locale, and 90-x must override 10-y in every locale. */
static int compare_names(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_drop_ins(Complaints *c, Settings *settings, const char *path) {
        _cleanup_free_ char *directory = text_printf("%s.d", path);
        struct dirent **entries = NULL;

        if (!directory) {
                complaints_broken(c, -ENOMEM);
                return;
        }
        int n = scandir(directory, &entries, is_drop_in, compare_names);
        if (n < 0) {
                int r = -errno;
                if (r == -ENOENT || r == -ENOTDIR)
                        return;
                complain_at(c, directory, 0, "cannot be read: %s", strerror(-r));
                complaints_broken(c, r);
                return;
        }
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *file = text_printf("%s/%s", directory, entries[i]->d_name);
                if (file)
                        read_file(c, settings, file, false);
                else
                        complaints_broken(c, -ENOMEM);
                free(entries[i]);
        }
        free(entries);
}

int config_read_settings(const char *path, Settings **ret, ConfigReport *report) {
        _cleanup_(settings_freep) Settings *settings = settings_new_default();
        const char *file = path ? path : LOCKERD_SYSCONFDIR "/lockerd.conf";
        Complaints c = {.report = report};

        if (settings) {
                read_file(&c, settings, file, !path);
                read_drop_ins(&c, settings, file);
                settings_check(&c, settings, file);
        } else
                complaints_broken(&c, -ENOMEM);

        int r = complaints_result(&c);
        if (r < 0)
                return r;
        *ret = steal_ptr(settings);
        return 0;
}
