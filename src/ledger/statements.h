/* SPDX-License-Identifier: Apache-2.0 */
/* Every statement that the ledger runs, in one list, so that a test can check the query plan of each:
 * none may scan the history. */
#pragma once

#define PARCEL_LIVE                                                                                     \
        "id, state, slot, position, size, waybill, recipient, phone, person, courier, courier_number, " \
        "created, stored, expires"
/* Of the present only. */
#define PARCEL_PRESENT                                                                      \
        "choice, taking_back, was, temperature, accessible, larger, loose, doubted OR NOT " \
        "lockerd_row_ok('parcel', id)"
#define PARCEL_PAST "NULL, 0, NULL, 'ambient', 0, 1, 0, 0"
#define PERSON_COLUMNS                                                        \
        "id, kind, number, salt, name, phone, enrolled, revoked, consented, " \
        "(SELECT group_concat(kind) FROM credential c WHERE c.person = person.id)"
#define LOCKOUT_COLUMNS "subject, failures, locked, until_boot, remaining, boot_id, pace, risk, leaked"
#define INBOX_COLUMNS \
        "id, name, received, expires, command, begun, answer, response_topic, correlation, signed"
#define EVENT_COLUMNS "e.sequence, e.wall, e.synced, e.type, e.subject, e.data"
/* The columns that the hash of an audit row covers, then the hash. audit_row_hash() relies on this
 * order. */
#define AUDIT_COLUMNS EVENT_COLUMNS ", a.actor, a.reason, a.hash"

#define STATEMENTS(X)                                                                                        \
        X(BEGIN, "BEGIN IMMEDIATE")                                                                          \
        X(COMMIT, "COMMIT")                                                                                  \
        X(META_GET, "SELECT value FROM meta WHERE key = ?1")                                                 \
        X(META_SET, "INSERT INTO meta (key, value) VALUES (?1, ?2) "                                         \
                    "ON CONFLICT (key) DO UPDATE SET value = excluded.value")                                \
        /* lineage.c */                                                                                      \
        X(EPOCH_EACH, "SELECT name, since, why FROM epoch ORDER BY id")                                      \
        X(EPOCH_INSERT, "INSERT INTO epoch (name, since, why, begun) VALUES (?1, ?2, ?3, ?4)")               \
        X(EPOCH_UNTOLD, "SELECT coalesce((SELECT min(sequence) FROM outbox), "                               \
                        "(SELECT coalesce(max(sequence), 0) + 1 FROM event))")                               \
        X(EVENT_NEXT, "SELECT coalesce(max(sequence), 0) + 1 FROM event")                                    \
        X(NUMBERS_HIGHEST, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence "                              \
                           "WHERE name IN ('parcel', 'person', 'session', 'movement')")                      \
        X(NUMBERS_FORGET,                                                                                    \
          "DELETE FROM sqlite_sequence WHERE name IN ('parcel', 'person', 'session', 'movement')")           \
        X(NUMBERS_SET, "INSERT INTO sqlite_sequence (name, seq) VALUES ('parcel', ?1), ('person', ?1), "     \
                       "('session', ?1), ('movement', ?1)")                                                  \
        /* slots.c */                                                                                        \
        X(SLOT_GET, "SELECT label, 0, iif(lockerd_row_ok('slot', label), service, 'quarantined'), reason, "  \
                    "0 FROM slot WHERE label = ?1")                                                          \
        X(POSITION_GET, "SELECT slot, number, iif(lockerd_row_ok('position', slot, number), service, "       \
                        "'quarantined'), reason, last_used FROM position WHERE slot = ?1 AND number = ?2")   \
        X(SLOT_SET,                                                                                          \
          "INSERT INTO slot (label, service, reason) VALUES (?1, ?2, ?3) "                                   \
          "ON CONFLICT (label) DO UPDATE SET service = excluded.service, reason = excluded.reason")          \
        X(POSITION_SET,                                                                                      \
          "INSERT INTO position (slot, number, service, reason) VALUES (?1, ?4, ?2, ?3) "                    \
          "ON CONFLICT (slot, number) DO UPDATE SET service = excluded.service, reason = excluded.reason")   \
        X(POSITION_USED, "INSERT INTO position (slot, number, last_used) "                                   \
                         "VALUES (?1, ?2, (SELECT coalesce(max(last_used), 0) + 1 FROM position)) "          \
                         "ON CONFLICT (slot, number) DO UPDATE SET last_used = excluded.last_used")          \
        X(SLOT_DROP_WRONG, "DELETE FROM slot WHERE label = ?1 AND NOT lockerd_row_ok('slot', label)")        \
        X(POSITION_DROP_WRONG, "DELETE FROM position WHERE slot = ?1 AND number = ?4 AND NOT "               \
                               "lockerd_row_ok('position', slot, number)")                                   \
        X(SERVICE_EACH, "SELECT label, 0, iif(lockerd_row_ok('slot', label), service, 'quarantined'), "      \
                        "reason, 0 FROM slot UNION ALL "                                                     \
                        "SELECT slot, number, iif(lockerd_row_ok('position', slot, number), service, "       \
                        "'quarantined'), reason, last_used FROM position ORDER BY 1, 2")                     \
        /* doors.c */                                                                                        \
        X(DOOR_DROP_WRONG, "DELETE FROM door WHERE slot = ?1 AND position = ?2 AND NOT "                     \
                           "lockerd_row_ok('door', slot, position)")                                         \
        X(DOOR_SET, "INSERT INTO door (slot, position, seen) VALUES (?1, ?2, ?3) "                           \
                    "ON CONFLICT (slot, position) DO UPDATE SET seen = excluded.seen")                       \
        X(DOOR_EACH,                                                                                         \
          "SELECT slot, position, iif(lockerd_row_ok('door', slot, position), seen, 'shut') FROM door")      \
        /* parcels.c */                                                                                      \
        X(PARCEL_INSERT,                                                                                     \
          "INSERT INTO parcel (state, slot, position, size, waybill, recipient, phone, phone_tail, person, " \
          "courier, courier_number, created, stored, expires, temperature, accessible, larger, loose) "      \
          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)")        \
        X(PARCEL_GET, "SELECT " PARCEL_LIVE ", NULL, " PARCEL_PRESENT " FROM parcel WHERE id = ?1")          \
        X(PARCEL_HISTORY,                                                                                    \
          "SELECT " PARCEL_LIVE ", ended, " PARCEL_PAST " FROM parcel_history WHERE id = ?1")                \
        X(PARCEL_AT,                                                                                         \
          "SELECT " PARCEL_LIVE ", NULL, " PARCEL_PRESENT " FROM parcel WHERE slot = ?1 AND position = ?2")  \
        X(PARCEL_STATE, "SELECT state FROM parcel WHERE id = ?1")                                            \
        X(PARCEL_UPDATE,                                                                                     \
          "UPDATE parcel SET state = ?2, slot = ?3, position = ?4, size = ?5, person = ?6, courier = ?7, "   \
          "courier_number = ?8, stored = ?9, expires = ?10, waybill = coalesce(?11, waybill), "              \
          "recipient = coalesce(?12, recipient), phone = coalesce(?13, phone), "                             \
          "phone_tail = iif(?13 IS NULL, phone_tail, ?14), choice = ?15, taking_back = ?16, was = ?17, "     \
          "loose = ?18, doubted = iif(?2 = 'unverified', doubted, 0) WHERE id = ?1")                         \
        /* The personal data of somebody who was revoked meanwhile is not kept. */                           \
        X(PARCEL_END,                                                                                        \
          "INSERT INTO parcel_history (id, state, slot, position, size, waybill, recipient, phone, person, " \
          "courier, courier_number, created, stored, expires, ended, phone_mac) "                            \
          "SELECT id, ?2, ?3, ?4, ?5, waybill, iif(gone, NULL, recipient), iif(gone, NULL, phone), ?6, ?7, " \
          "?8, created, ?9, ?10, ?11, iif(gone OR phone IS NULL, NULL, ?12) "                                \
          "FROM (SELECT *, forget OR EXISTS (SELECT 1 FROM person q WHERE q.id = ?6 AND q.revoked IS NOT "   \
          "NULL) "                                                                                           \
          "AS gone FROM parcel WHERE id = ?1)")                                                              \
        /* Where it lies is not known any more; what it was is kept for whoever finds it. */                 \
        X(PARCEL_DOUBT,                                                                                      \
          "UPDATE parcel SET was = iif(state IN ('rejected', 'recalled'), state, "                           \
          "iif(state IN ('collecting', 'unverified'), was, NULL)), state = 'unverified', taking_back = 0, "  \
          "doubted = 1 WHERE slot IS NOT NULL AND state <> 'reserved' AND (?1 IS NULL OR id = ?1)")          \
        X(PARCEL_DELETE, "DELETE FROM parcel WHERE id = ?1")                                                 \
        X(PARCEL_EACH, "SELECT " PARCEL_LIVE ", NULL, " PARCEL_PRESENT " FROM parcel ORDER BY id")           \
        X(PARCEL_EACH_CHANGED, "SELECT id FROM parcel WHERE NOT lockerd_row_ok('parcel', id) ORDER BY id")   \
        X(PARCEL_EACH_LOOSE, "SELECT id FROM parcel WHERE loose <> 0 ORDER BY id")                           \
        X(PARCEL_EACH_OF_PERSON,                                                                             \
          "SELECT " PARCEL_LIVE ", NULL, " PARCEL_PRESENT " FROM parcel WHERE person = ?1 ORDER BY id")      \
        X(PARCEL_EACH_OF_TAIL,                                                                               \
          "SELECT " PARCEL_LIVE ", NULL, " PARCEL_PRESENT " FROM parcel WHERE phone_tail = ?1 ORDER BY id")  \
        X(PARCEL_EACH_OF_WAYBILL,                                                                            \
          "SELECT " PARCEL_LIVE ", NULL, " PARCEL_PRESENT " FROM parcel WHERE waybill = ?1 ORDER BY id")     \
        X(PARCEL_EACH_IN_SLOT,                                                                               \
          "SELECT " PARCEL_LIVE ", NULL, " PARCEL_PRESENT " FROM parcel WHERE slot = ?1 ORDER BY id")        \
        X(PLACE_EACH, "SELECT id, state, slot, position, expires FROM parcel ORDER BY id")                   \
        X(PLACE_EACH_IN_SLOT,                                                                                \
          "SELECT id, state, slot, position, expires FROM parcel WHERE slot = ?1 ORDER BY id")               \
        /* codes.c */                                                                                        \
        X(CODE_SET, "INSERT INTO pickup_code (parcel, mac) VALUES (?1, ?2)")                                 \
        X(CODE_RENEW, "INSERT INTO renewed_code (parcel, mac) VALUES (?1, ?2)")                              \
        X(CODE_FIND,                                                                                         \
          "SELECT parcel FROM pickup_code WHERE mac = ?1 AND lockerd_row_ok('pickup_code', parcel) UNION "   \
          "ALL "                                                                                             \
          "SELECT parcel FROM renewed_code WHERE mac = ?1 AND lockerd_row_ok('renewed_code', parcel)")       \
        X(CODE_GET,                                                                                          \
          "SELECT mac FROM pickup_code WHERE parcel = ?1 AND lockerd_row_ok('pickup_code', parcel)")         \
        X(CODE_GET_RENEWED,                                                                                  \
          "SELECT mac FROM renewed_code WHERE parcel = ?1 AND lockerd_row_ok('renewed_code', parcel)")       \
        X(CODE_COUNT, "SELECT (SELECT count(*) FROM pickup_code) + (SELECT count(*) FROM renewed_code)")     \
        X(CODE_SPEND,                                                                                        \
          "INSERT INTO spent_code (mac, parcel) SELECT mac, parcel FROM pickup_code WHERE parcel = ?1 "      \
          "UNION ALL SELECT mac, parcel FROM renewed_code WHERE parcel = ?1")                                \
        X(CODE_FORGET_SPENT, "DELETE FROM spent_code WHERE id <= (SELECT max(id) FROM spent_code) - ?1")     \
        X(CODE_FIND_SPENT, "SELECT parcel FROM spent_code WHERE mac = ?1 ORDER BY id DESC LIMIT 1")          \
        X(CODE_ERASE, "DELETE FROM pickup_code WHERE parcel = ?1")                                           \
        X(CODE_ERASE_RENEWED, "DELETE FROM renewed_code WHERE parcel = ?1")                                  \
        /* people.c */                                                                                       \
        X(PERSON_INSERT,                                                                                     \
          "INSERT INTO person (kind, number, salt, name, phone, phone_mac, enrolled, consented) "            \
          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                                         \
        X(PERSON_GET, "SELECT " PERSON_COLUMNS                                                               \
                      " FROM person WHERE id = ?1 AND revoked IS NULL AND lockerd_row_ok('person', id)")     \
        X(PERSON_BY_NUMBER,                                                                                  \
          "SELECT " PERSON_COLUMNS                                                                           \
          " FROM person WHERE number = ?1 AND revoked IS NULL AND lockerd_row_ok('person', id)")             \
        X(PERSON_BY_PHONE,                                                                                   \
          "SELECT " PERSON_COLUMNS                                                                           \
          " FROM person WHERE phone_mac = ?1 AND lockerd_row_ok('person', id) ORDER BY kind DESC LIMIT 1")   \
        X(PERSON_EACH, "SELECT " PERSON_COLUMNS " FROM person WHERE revoked IS NULL ORDER BY id")            \
        X(PERSON_SALT,                                                                                       \
          "SELECT salt FROM person WHERE id = ?1 AND revoked IS NULL AND lockerd_row_ok('person', id)")      \
        X(PERSON_REVOKE, "UPDATE person SET salt = NULL, name = NULL, phone = NULL, phone_mac = NULL, "      \
                         "revoked = ?2 WHERE id = ?1 AND revoked IS NULL")                                   \
        X(PERSON_FORGET_CREDENTIALS, "DELETE FROM credential WHERE person = ?1")                             \
        X(PERSON_FORGET_HISTORY,                                                                             \
          "UPDATE parcel_history SET recipient = NULL, phone = NULL, phone_mac = NULL WHERE person = ?1")    \
        X(HISTORY_FORGET_PHONE,                                                                              \
          "UPDATE parcel_history SET recipient = NULL, phone = NULL, phone_mac = NULL "                      \
          "WHERE phone_mac = ?1")                                                                            \
        X(HISTORY_UNMARKED, "SELECT id, phone FROM parcel_history INDEXED BY parcel_history_unmarked "       \
                            "WHERE phone IS NOT NULL AND phone_mac IS NULL")                                 \
        X(HISTORY_MARK, "UPDATE parcel_history SET phone_mac = ?2 WHERE id = ?1")                            \
        X(HISTORY_FORGET_OLD,                                                                                \
          "UPDATE parcel_history SET recipient = NULL, phone = NULL, phone_mac = NULL WHERE id IN (SELECT "  \
          "id FROM parcel_history INDEXED BY parcel_history_named WHERE ended < ?1 AND (recipient IS NOT "   \
          "NULL OR phone IS NOT NULL) ORDER BY ended LIMIT ?2)")                                             \
        X(PARCEL_FORGET, "UPDATE parcel SET forget = 1 WHERE id = ?1 AND person IS NULL")                    \
        X(CREDENTIAL_SET,                                                                                    \
          "INSERT INTO credential (person, kind, data, enrolled, consent) VALUES (?1, ?2, ?3, ?4, ?5) "      \
          "ON CONFLICT (person, kind) DO UPDATE SET data = excluded.data, enrolled = excluded.enrolled, "    \
          "used = NULL, consent = excluded.consent")                                                         \
        X(CREDENTIAL_USED, "UPDATE credential SET used = ?3 WHERE person = ?1 AND kind = ?2 AND "            \
                           "coalesce(used, 0) < ?3 - 3600000000")                                            \
        X(CREDENTIAL_ERASE, "DELETE FROM credential WHERE person = ?1 AND kind = ?2")                        \
        X(CREDENTIAL_EACH,                                                                                   \
          "SELECT c.person, c.kind, c.enrolled, c.used, o.given, o.text, o.version, o.place, o.witness "     \
          "FROM credential c LEFT JOIN consent o ON o.person = c.person AND o.kind = c.kind AND o.given = "  \
          "c.consent AND lockerd_row_ok('consent', o.person, o.kind, o.given) "                              \
          "WHERE c.person = ?1 ORDER BY c.kind")                                                             \
        X(CREDENTIAL_UNUSED, "SELECT person, kind FROM credential WHERE max(coalesce(used, 0), enrolled) < " \
                             "?1 ORDER BY person, kind LIMIT ?2")                                            \
        X(CONSENT_PUT,                                                                                       \
          "INSERT INTO consent (person, kind, given, text, version, place, witness) VALUES (?1, ?2, ?3, "    \
          "?4, ?5, ?6, ?7) ON CONFLICT (person, kind, given) DO UPDATE SET text = excluded.text, version = " \
          "excluded.version, place = excluded.place, witness = excluded.witness, withdrawn = NULL")          \
        X(CONSENT_WITHDRAW, "UPDATE consent SET withdrawn = ?3 WHERE person = ?1 AND (?2 IS NULL OR kind = " \
                            "?2) AND withdrawn IS NULL")                                                     \
        /* One that somebody else has written proves nothing. */                                             \
        X(CONSENT_DROP_WRONG, "DELETE FROM consent WHERE person = ?1 AND (?2 IS NULL OR kind = ?2) AND NOT " \
                              "lockerd_row_ok('consent', person, kind, given)")                              \
        X(CREDENTIAL_GET,                                                                                    \
          "SELECT c.data, p.salt FROM credential c JOIN person p ON p.id = c.person "                        \
          "WHERE c.person = ?1 AND c.kind = ?2 AND p.revoked IS NULL AND lockerd_row_ok('person', p.id) "    \
          "AND lockerd_row_ok('credential', c.person, c.kind) AND (c.consent IS NULL OR "                    \
          "lockerd_row_ok('consent', c.person, c.kind, c.consent))")                                         \
        /* lockouts.c */                                                                                     \
        X(LOCKOUT_GET, "SELECT " LOCKOUT_COLUMNS " FROM lockout WHERE subject = ?1")                         \
        X(LOCKOUT_PUT,                                                                                       \
          "INSERT INTO lockout (" LOCKOUT_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "           \
          "ON CONFLICT (subject) DO UPDATE SET failures = excluded.failures, "                               \
          "locked = excluded.locked, until_boot = excluded.until_boot, "                                     \
          "remaining = excluded.remaining, boot_id = excluded.boot_id, pace = excluded.pace, "               \
          "risk = excluded.risk, leaked = excluded.leaked")                                                  \
        X(LOCKOUT_DELETE, "DELETE FROM lockout WHERE subject = ?1")                                          \
        X(LOCKOUT_CONCERN, "INSERT OR IGNORE INTO lockout_parcel (subject, parcel) VALUES (?1, ?2)")         \
        X(LOCKOUT_CONCERNED, "SELECT parcel FROM lockout_parcel WHERE subject = ?1 ORDER BY parcel")         \
        X(LOCKOUT_UNCONCERN, "DELETE FROM lockout_parcel WHERE subject = ?1")                                \
        X(LOCKOUT_EACH, "SELECT " LOCKOUT_COLUMNS " FROM lockout ORDER BY subject")                          \
        /* movements.c */                                                                                    \
        X(MOVEMENT_INTEND,                                                                                   \
          "INSERT INTO movement (session, parcel, slot, position, action, why, actor, reason, intended) "    \
          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                                                     \
        X(MOVEMENT_SETTLE,                                                                                   \
          "UPDATE movement SET outcome = ?2, settled = ?3 WHERE id = ?1 AND outcome IS NULL")                \
        X(MOVEMENT_EXISTS, "SELECT 1 FROM movement WHERE id = ?1")                                           \
        X(MOVEMENT_EACH_OPEN,                                                                                \
          "SELECT id, slot, position, parcel, iif(lockerd_row_ok('movement', id), why, NULL) "               \
          "FROM movement INDEXED BY movement_open "                                                          \
          "WHERE outcome IS NULL ORDER BY id")                                                               \
        /* sessions.c */                                                                                     \
        X(SESSION_BEGIN, "INSERT INTO session (kind, terminal, begun) VALUES (?1, ?2, ?3)")                  \
        X(SESSION_PERSON, "UPDATE session SET person = ?2, evidence = ?3 WHERE id = ?1 AND ended IS NULL")   \
        X(SESSION_END, "UPDATE session SET ended = ?2, how = ?3 WHERE id = ?1 AND ended IS NULL")            \
        X(SESSION_DROP, "DELETE FROM session WHERE id = ?1 AND ended IS NULL AND person IS NULL AND "        \
                        "evidence IS NULL AND NOT EXISTS (SELECT 1 FROM movement WHERE session = ?1)")       \
        X(SESSION_END_ALL,                                                                                   \
          "UPDATE session INDEXED BY session_open SET ended = ?1, how = ?2 WHERE ended IS NULL")             \
        /* events.c */                                                                                       \
        X(EVENT_INSERT, "INSERT INTO event (wall, synced, type, subject, data) VALUES (?1, ?2, ?3, ?4, ?5)") \
        X(EVENT_EACH, "SELECT " EVENT_COLUMNS " FROM event e WHERE e.sequence > ?1 "                         \
                      "ORDER BY e.sequence LIMIT ?2")                                                        \
        X(OUTBOX_INSERT, "INSERT INTO outbox (sequence, secret) VALUES (?1, ?2)")                            \
        /* Rows are added at one end and removed at the other, so the difference is the length.              \
         * Summarised ones count, too. */                                                                    \
        X(OUTBOX_LENGTH, "SELECT coalesce((SELECT max(sequence) FROM outbox) - "                             \
                         "(SELECT min(sequence) FROM outbox) + 1, 0)")                                       \
        X(OUTBOX_EACH, "SELECT " EVENT_COLUMNS ", o.secret FROM outbox o "                                   \
                       "CROSS JOIN event e ON e.sequence = o.sequence WHERE o.sequence > ?1 "                \
                       "ORDER BY o.sequence LIMIT ?2")                                                       \
        X(OUTBOX_ACKNOWLEDGE, "DELETE FROM outbox WHERE sequence > ?1 AND sequence <= ?2")                   \
        X(OUTBOX_SUMMARISE,                                                                                  \
          "DELETE FROM outbox WHERE sequence > ?1 AND sequence <= ?2 AND sequence IN "                       \
          "(SELECT sequence FROM event WHERE sequence > ?1 AND sequence <= ?2 AND type IN "                  \
          "('door.commanded', 'door.released', 'door.opened', 'door.closed', 'door.unknown', "               \
          "'board.online', "                                                                                 \
          "'board.offline', 'code.wrong', 'code.refused', 'credential.wrong', 'session.prompt'))")           \
        /* inbox.c */                                                                                        \
        X(INBOX_GET, "SELECT " INBOX_COLUMNS " FROM inbox WHERE id = ?1")                                    \
        X(INBOX_INSERT,                                                                                      \
          "INSERT INTO inbox (id, arrival, name, received, expires, command, response_topic, correlation, "  \
          "signed) "                                                                                         \
          "VALUES (?1, (SELECT coalesce(max(arrival), 0) + 1 FROM inbox), ?2, ?3, ?4, ?5, ?6, ?7, ?8)")      \
        /* `begun` stays set, and an answer is kept. */                                                      \
        X(INBOX_PUT,                                                                                         \
          "INSERT INTO inbox (id, arrival, name, received, expires, command, response_topic, correlation, "  \
          "signed, begun, answer) "                                                                          \
          "VALUES (?1, (SELECT coalesce(max(arrival), 0) + 1 FROM inbox), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "  \
          "?10) "                                                                                            \
          "ON CONFLICT (id) DO UPDATE SET begun = max(begun, excluded.begun), answer = excluded.answer, "    \
          "command = excluded.command "                                                                      \
          "WHERE answer IS NULL")                                                                            \
        X(INBOX_EACH_OPEN, "SELECT " INBOX_COLUMNS " FROM inbox INDEXED BY inbox_open "                      \
                           "WHERE answer IS NULL ORDER BY arrival")                                          \
        X(INBOX_COUNT, "SELECT count(*) FROM inbox")                                                         \
        X(INBOX_WITHDRAW, "DELETE FROM inbox WHERE id = ?1 AND begun = 0 AND answer IS NULL")                \
        X(INBOX_LARGEST, "SELECT coalesce(max(expires), 0) FROM inbox INDEXED BY inbox_answered "            \
                         "WHERE answer IS NOT NULL AND expires < ?1 AND signed = 1")                         \
        X(INBOX_FORGET, "DELETE FROM inbox INDEXED BY inbox_answered "                                       \
                        "WHERE answer IS NOT NULL AND expires < ?1")                                         \
        /* reminders.c */                                                                                    \
        X(REMINDER_EACH, "SELECT parcel, since, synced, look, reminded, recalled FROM reminder "             \
                         "INDEXED BY reminder_look WHERE look IS NOT NULL ORDER BY look LIMIT ?1")           \
        X(REMINDER_PUT, "UPDATE reminder SET since = ?2, synced = ?3, look = ?4, reminded = ?5, "            \
                        "recalled = ?6 WHERE parcel = ?1")                                                   \
        X(REMINDER_LOOK_AGAIN, "UPDATE reminder SET look = 0 WHERE recalled IS NULL")                        \
        X(REMINDER_ADOPT, "UPDATE reminder SET since = min(?1, coalesce("                                    \
                          "(SELECT stored FROM parcel WHERE id = reminder.parcel), ?1)), "                   \
                          "synced = coalesce((SELECT loose & 1 = 0 FROM parcel "                             \
                          "WHERE id = reminder.parcel), 1) WHERE since IS NULL")                             \
        X(REMINDER_SHIFT, "UPDATE reminder SET since = since + ?1, synced = 1 "                              \
                          "WHERE synced = 0 AND since IS NOT NULL")                                          \
        X(HABIT_OF_PERSON, "SELECT hours FROM habit WHERE person = ?1")                                      \
        X(HABIT_OF_PHONE, "SELECT hours FROM habit WHERE phone = ?1")                                        \
        X(HABIT_PUT,                                                                                         \
          "INSERT INTO habit (person, phone, hours, changed) VALUES (?1, ?2, ?3, ?4) "                       \
          "ON CONFLICT (person) DO UPDATE SET hours = excluded.hours, changed = excluded.changed "           \
          "ON CONFLICT (phone) DO UPDATE SET hours = excluded.hours, changed = excluded.changed")            \
        X(HABIT_FORGET, "DELETE FROM habit WHERE changed < ?1")                                              \
        X(SETTING_GET, "SELECT value FROM setting WHERE name = ?1 AND lockerd_row_ok('setting', name)")      \
        X(SETTING_DROP_WRONG, "DELETE FROM setting WHERE name = ?1 AND NOT lockerd_row_ok('setting', name)") \
        X(SETTING_SET, "INSERT INTO setting (name, value) VALUES (?1, ?2) "                                  \
                       "ON CONFLICT (name) DO UPDATE SET value = excluded.value")                            \
        /* audit.c */                                                                                        \
        X(AUDIT_INSERT, "INSERT INTO audit (sequence, actor, reason, hash) VALUES (?1, ?2, ?3, ?4)")         \
        X(AUDIT_END, "INSERT INTO sealed (name, state) VALUES ('audit', ?1) "                                \
                     "ON CONFLICT (name) DO UPDATE SET state = excluded.state")                              \
        X(AUDIT_END_GET, "SELECT state FROM sealed WHERE name = 'audit'")                                    \
        X(VERSION, "SELECT user_version FROM pragma_user_version")                                           \
        X(AUDIT_HEAD, "SELECT sequence, hash FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)") \
        X(AUDIT_BOUNDS, "SELECT coalesce((SELECT max(sequence) FROM event), 0), "                            \
                        "coalesce((SELECT max(sequence) FROM audit), 0), "                                   \
                        "coalesce((SELECT min(sequence) FROM audit), 1), "                                   \
                        "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)")               \
        X(AUDIT_ROWS, "SELECT " AUDIT_COLUMNS " FROM event e LEFT JOIN audit a ON a.sequence = e.sequence "  \
                      "WHERE e.sequence >= ?1 ORDER BY e.sequence")

/* clang-format off */
typedef enum Statement {
#define X(name, sql) SQL_##name,
        STATEMENTS(X)
#undef X
        SQL_MAX,
} Statement;
/* clang-format on */
