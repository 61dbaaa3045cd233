/* SPDX-License-Identifier: Apache-2.0 */
/* The values of lockerd.conf, constant after reading. Defaults and ranges: lockerd.conf(5). */
#pragma once

#include "base/macros.h"
#include "core/credential.h"
#include "core/sufficiency.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum CodeAlphabet { CODE_CROCKFORD, CODE_DIGITS } CodeAlphabet;

/* What is not said is decided by Host=: TLS, unless all of it is this machine. */
typedef enum MqttTls { MQTT_TLS_BY_HOST, MQTT_TLS_YES, MQTT_TLS_NO } MqttTls;

/* [Mqtt]: the backend. Without Host= there is none, and nothing is started for it. */
typedef struct MqttSettings {
        char *host;                           /* Host=: one or more, blanks between them */
        unsigned port;                        /* Port=: 8883 with TLS, 1883 without */
        MqttTls tls;                          /* Tls=; what comes of it: mqtt_settings_use_tls() */
        char *ca_file, *cert_file, *key_file; /* CaFile=, CertFile=, KeyFile= */
        char *psk_identity, *psk_file;        /* PskIdentity=, PskFile= (hex), instead of certificates */
        char *username, *password_file;       /* Username=, PasswordFile= */
        char *client_id;                      /* ClientId=: lockerd-<cabinet number> */
        uint64_t keepalive_usec;              /* KeepAlive=60s */
        uint64_t session_expiry_usec;         /* SessionExpiry=7d */
        uint64_t backoff_min_usec, backoff_max_usec; /* BackoffMin=1s, BackoffMax=5min */
        unsigned window;                             /* Window=20: unacknowledged events, 1 … 1000 */
        uint64_t outbox_max; /* OutboxMaximum=1000000: events kept for the backend; beyond it door and session
                                details are summarised */
        char *community; /* Community=: numbers of cabinets, separated by blanks, of which one is recommended
                          */
        char *signing_keys; /* SigningKeys=/etc/lockerd/signing-keys.d: *.pem, Ed25519 public keys; the file's
                               name is the key id */
        char *sealing_key;  /* SealingKey=: public key (P-256, PEM) for which secrets are sealed; NULL: they
                             * are not
                             */
        bool unsigned_open; /* UnsignedOpen=no: let unsigned commands open doors */
        bool unsigned_commands; /* UnsignedCommands=no: let unsigned commands do what does not open doors */
} MqttSettings;

bool mqtt_settings_use_tls(const MqttSettings *m);

/* [Link]: handhelds at the cabinet. Without Listen=, LoopbackPort= and Bluetooth= there are none, and nothing
 * is started for them. */
typedef struct LinkSettings {
        char *listen;               /* Listen=: the path of a Unix socket */
        unsigned loopback_port;     /* LoopbackPort=: TCP at 127.0.0.1; 0: not */
        bool bluetooth;             /* Bluetooth=no: over Bluetooth LE, by lockerd-ble */
        char *adapter;              /* BluetoothAdapter=: hci0, say; NULL: the first */
        unsigned phones;            /* BluetoothPhones=4: served at a time, 1 … 8 */
        char *cert_file, *key_file; /* CertFile=, KeyFile=: the cabinet's own */
        char *ca_file;              /* CaFile=: whose certificates couriers may have */
        char *revocation_file;      /* RevocationFile=: lists of those that count no longer; NULL: none */
} LinkSettings;

static inline bool link_settings_are_on(const LinkSettings *l) {
        return l->listen || l->loopback_port || l->bluetooth;
}

/* [Reminders]: parcels that wait for long. The backend may set other thresholds at run time. */
typedef struct ReminderSettings {
        bool enabled;                                    /* Enabled= */
        uint64_t reminder_after_usec, recall_after_usec; /* ReminderAfter=, RecallAfter=; 0: never */
        unsigned quiet_from,
                quiet_until;   /* QuietFrom=, QuietUntil=: minutes of the local day; the same: never quiet */
        unsigned default_hour; /* DefaultHour=: for recipients without habits */
} ReminderSettings;

typedef struct Settings {
        /* [Daemon] */
        char *cabinet_path;     /* Cabinet= */
        char *ledger_path;      /* Ledger= */
        char *board_directory;  /* BoardDirectory= */
        char *worker_directory; /* WorkerDirectory=: lockerd-line, lockerd-gpio, … */
        char *key_path;         /* KeyFile=: used when no systemd credential "lockerd.key" is given */
        bool trust_clock;      /* TrustClock=no: an operator vouches for the calendar in the kernel's place */
        uint64_t minimum_free; /* MinimumFree=: bytes on the ledger's file system below which deposits stop */
        uint64_t keep_names_usec; /* KeepNames=: of ended parcels; 0: for ever */
        /* [Bus] */
        char *kiosk_group, *admin_group;
        /* [Codes] */
        CodeAlphabet code_alphabet; /* Alphabet= crockford | digits */
        uint64_t code_valid_usec;   /* ValidFor= */
        bool code_for_everybody;    /* Everybody= (C5) */
        /* [Lockout] */
        unsigned lockout_attempts;      /* Attempts= */
        uint64_t lockout_duration_usec; /* Duration= */
        /* [Session] */
        uint64_t session_idle_usec; /* IdleTimeout= : ends a session without activity and without an open door
                                     */
        uint64_t door_open_usec;    /* DoorOpenTimeout= : an open door becomes left_open */
        uint64_t reopen_grace_usec; /* ReopenGrace= */
        uint64_t answer_usec;       /* AnswerTimeout= : accept or reject after the door has closed */
        bool unanswered_is_collected; /* Unanswered= collected | unverified */
        unsigned max_sessions;        /* MaxSessions= */
        /* [Identity] */
        unsigned scrypt_log_n;                     /* ScryptLogN= 14 … 18 */
        unsigned pattern_log_n;                    /* PatternScryptLogN= 14 … 18 */
        unsigned min_length[CREDENTIAL_KINDS_MAX]; /* MinimumPinLength=, MinimumPasswordLength=,
                                                      MinimumPatternLength=, MinimumCardLength= */
        char *consent_text, *consent_version; /* ConsentText=, ConsentVersion=: of a consent that names no
                                                 text */
        uint32_t self_enrol;  /* SelfEnrol=: kinds (bits) that people enrol and revoke themselves; 0: none */
        uint64_t reader_usec; /* ReaderTimeout=: how long a reader waits for a person */
        uint64_t end_unused_usec; /* EndUnused=: credentials that nobody uses; 0: never */
        Sufficiency alone;        /* AloneForDeposit=, … */
        ReminderSettings reminders;
        MqttSettings mqtt;
        LinkSettings link;
} Settings;

Settings *settings_free(Settings *s);
DEFINE_CLEANUP(Settings *, settings_free);
