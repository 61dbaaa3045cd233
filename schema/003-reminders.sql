-- SPDX-License-Identifier: Apache-2.0
-- Reminders and recall: what has been sent for each waiting parcel, the hours at which its recipient usually collects, and the settings of
-- the backend. All tables are of the present: a row is deleted with its parcel, a habit with its person.

-- A row for each parcel that is or was stored. By the time that is believed (core/believed_clock.h), which is not always the wall clock's.
CREATE TABLE reminder (
  parcel   INTEGER PRIMARY KEY REFERENCES parcel (id) ON DELETE CASCADE,
  since    INTEGER,                                                   -- NULL: not examined yet
  synced   INTEGER NOT NULL DEFAULT 0 CHECK (synced IN (0, 1)),       -- was the clock synchronised when since was written?
  look     INTEGER DEFAULT 0,                                         -- when it is due next; NULL: never again
  reminded INTEGER,
  recalled INTEGER
) STRICT;

CREATE INDEX reminder_look ON reminder (look) WHERE look IS NOT NULL;

-- For every way in which a parcel becomes stored, also when an operator finds it again.
CREATE TRIGGER reminder_begin AFTER UPDATE OF state ON parcel WHEN new.state = 'stored' BEGIN
  INSERT INTO reminder (parcel) VALUES (new.id) ON CONFLICT (parcel) DO UPDATE SET look = 0;
END;

INSERT INTO reminder (parcel) SELECT id FROM parcel WHERE state = 'stored';

-- Number of collections in each hour of the day: 24 counts, of an enrolled person or the keyed hash of a phone number.
CREATE TABLE habit (
  id      INTEGER PRIMARY KEY,
  person  INTEGER UNIQUE REFERENCES person (id),
  phone   BLOB UNIQUE CHECK (length(phone) = 32),
  hours   BLOB NOT NULL CHECK (length(hours) = 24),
  changed INTEGER NOT NULL, -- to the day
  CHECK ((person IS NULL) <> (phone IS NULL))
) STRICT;

CREATE INDEX habit_changed ON habit (changed);

-- Erasure includes the counts from before the person enrolled.
CREATE TRIGGER habit_of_the_revoked AFTER UPDATE OF revoked ON person WHEN new.revoked IS NOT NULL BEGIN
  DELETE FROM habit WHERE person = new.id OR phone = old.phone_mac;
END;

-- Settings changed at run time; they take precedence over the configuration.
CREATE TABLE setting (
  name  TEXT PRIMARY KEY CHECK (name <> ''),
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
