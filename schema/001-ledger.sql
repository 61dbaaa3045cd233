-- SPDX-License-Identifier: Apache-2.0
-- The first schema of the ledger. Tables of the present (small) are separate from tables of the past, so
-- that no operation, including the check at start, costs more after a million parcels.
-- Times are microseconds since 1970 UTC. States are stored as their words.

-- Facts about this file: the check value of the key, the start of the audit chain.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- --- The present ------------------------------------------------------------------------------------------------

CREATE TABLE slot (
  label   TEXT PRIMARY KEY CHECK (label <> ''),
  service TEXT NOT NULL DEFAULT 'in' CHECK (service IN ('in', 'disabled', 'quarantined')),
  reason  TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE position (
  slot      TEXT NOT NULL CHECK (slot <> ''),
  number    INTEGER NOT NULL CHECK (number > 0),
  service   TEXT NOT NULL DEFAULT 'in' CHECK (service IN ('in', 'disabled', 'quarantined')),
  reason    TEXT,
  last_used INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (slot, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX position_last_used ON position (last_used);

-- Revoking erases salt, name, phone and their hash: the salt is a part of the key they are sealed with.
CREATE TABLE person (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  kind      TEXT NOT NULL CHECK (kind IN ('courier', 'recipient')),
  number    TEXT,
  salt      BLOB CHECK (length(salt) = 16),
  name      BLOB,
  phone     BLOB,
  phone_mac BLOB CHECK (length(phone_mac) = 32),
  enrolled  INTEGER NOT NULL,
  revoked   INTEGER,
  consented INTEGER,
  CHECK ((revoked IS NULL) = (salt IS NOT NULL)),
  CHECK (revoked IS NULL OR coalesce(name, phone, phone_mac) IS NULL)
) STRICT;

CREATE UNIQUE INDEX person_number ON person (number) WHERE revoked IS NULL;
CREATE UNIQUE INDEX person_phone ON person (phone_mac, kind) WHERE phone_mac IS NOT NULL;

CREATE TABLE credential (
  person INTEGER NOT NULL REFERENCES person (id),
  kind   TEXT NOT NULL CHECK (kind <> ''),
  data   BLOB NOT NULL,
  PRIMARY KEY (person, kind)
) STRICT, WITHOUT ROWID;

-- Live parcels only. An id is never used again, not even after its row has gone to the history.
CREATE TABLE parcel (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  state          TEXT NOT NULL CHECK (state IN ('announced', 'reserved', 'depositing', 'stored', 'collecting', 'rejected',
                                                'recalled', 'unverified')),
  slot           TEXT,
  position       INTEGER CHECK (position > 0),
  size           TEXT NOT NULL,
  waybill        TEXT,
  recipient      BLOB,
  phone          BLOB,
  phone_tail     BLOB CHECK (length(phone_tail) = 32),
  person         INTEGER REFERENCES person (id),
  courier        INTEGER REFERENCES person (id),
  courier_number TEXT,
  created        INTEGER NOT NULL,
  stored         INTEGER,
  expires        INTEGER,
  CHECK ((slot IS NULL) = (position IS NULL)),
  CHECK ((slot IS NULL) = (state = 'announced'))
) STRICT;

-- A position holds at most one live parcel.
CREATE UNIQUE INDEX parcel_place ON parcel (slot, position) WHERE slot IS NOT NULL;
CREATE INDEX parcel_phone_tail ON parcel (phone_tail) WHERE phone_tail IS NOT NULL;
CREATE INDEX parcel_person ON parcel (person) WHERE person IS NOT NULL;

CREATE TABLE pickup_code (
  parcel INTEGER PRIMARY KEY REFERENCES parcel (id),
  mac    BLOB NOT NULL UNIQUE CHECK (length(mac) = 32)
) STRICT;

CREATE TABLE lockout (
  subject    TEXT PRIMARY KEY CHECK (subject <> ''),
  failures   INTEGER NOT NULL CHECK (failures >= 0),
  locked     INTEGER NOT NULL CHECK (locked IN (0, 1)),
  until_boot INTEGER NOT NULL,
  remaining  INTEGER NOT NULL,
  boot_id    BLOB NOT NULL CHECK (length(boot_id) = 16)
) STRICT, WITHOUT ROWID;

-- --- The past ---------------------------------------------------------------------------------------------------

CREATE TABLE parcel_history (
  id             INTEGER PRIMARY KEY,
  state          TEXT NOT NULL CHECK (state IN ('collected', 'returned', 'cancelled')),
  slot           TEXT,
  position       INTEGER,
  size           TEXT NOT NULL,
  waybill        TEXT,
  recipient      BLOB,
  phone          BLOB,
  person         INTEGER REFERENCES person (id),
  courier        INTEGER REFERENCES person (id),
  courier_number TEXT,
  created        INTEGER NOT NULL,
  stored         INTEGER,
  expires        INTEGER,
  ended          INTEGER NOT NULL
) STRICT;

CREATE INDEX parcel_history_person ON parcel_history (person) WHERE person IS NOT NULL;

CREATE TABLE session (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  kind     TEXT NOT NULL CHECK (kind <> ''),
  terminal TEXT NOT NULL,
  begun    INTEGER NOT NULL,
  person   INTEGER REFERENCES person (id),
  evidence TEXT,
  ended    INTEGER,
  how      TEXT,
  CHECK ((ended IS NULL) = (how IS NULL))
) STRICT;

CREATE INDEX session_open ON session (id) WHERE ended IS NULL;

-- The intent is written before a lock is moved, the outcome after it.
CREATE TABLE movement (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  session  INTEGER REFERENCES session (id),
  parcel   INTEGER,
  slot     TEXT NOT NULL,
  position INTEGER NOT NULL,
  action   TEXT NOT NULL CHECK (action IN ('unlock', 'secure')),
  why      TEXT NOT NULL CHECK (why IN ('deposit', 'collect', 'reopen', 'take-back', 'operator', 'safety', 'retry', 'secure',
                                        'too-small', 'not-empty', 'does-not-open')),
  actor    TEXT NOT NULL,
  reason   TEXT,
  intended INTEGER NOT NULL,
  settled  INTEGER,
  outcome  TEXT CHECK (outcome IN ('released', 'failed', 'not-sent', 'refused', 'unknown', 'withdrawn', 'secured')),
  CHECK ((settled IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX movement_open ON movement (id) WHERE outcome IS NULL;

-- A sequence number is never used again and, because a rolled-back one is assigned again, has no gaps.
CREATE TABLE event (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  wall     INTEGER NOT NULL,
  synced   INTEGER NOT NULL CHECK (synced IN (0, 1)),
  type     TEXT NOT NULL,
  subject  TEXT NOT NULL,
  data     TEXT NOT NULL
) STRICT;

-- Who and why for each event; hash covers the row before, the event and this row.
CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY REFERENCES event (sequence),
  actor    TEXT NOT NULL,
  reason   TEXT,
  hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- What the backend has not acknowledged yet; the row is deleted, with its sealed secret, on acknowledgement.
CREATE TABLE outbox (
  sequence INTEGER PRIMARY KEY REFERENCES event (sequence),
  secret   BLOB
) STRICT;

CREATE TRIGGER event_no_update BEFORE UPDATE ON event BEGIN SELECT raise(ABORT, 'events are never changed'); END;
CREATE TRIGGER event_no_delete BEFORE DELETE ON event BEGIN SELECT raise(ABORT, 'events are never deleted'); END;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit is never changed'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit is never deleted'); END;
