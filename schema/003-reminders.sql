-- SPDX-License-Identifier: Apache-2.0
-- Reminders and recall: what has been sent for each waiting parcel, at which hours its recipient uses to collect, and what the backend has
-- set. All of it is of the present: a row goes with its parcel, a habit with its person.

-- A row for each parcel that is or was stored. By the time that is believed (core/believed_clock.h), which is not always the wall clock's.
CREATE TABLE reminder (
  parcel   INTEGER PRIMARY KEY REFERENCES parcel (id) ON DELETE CASCADE,
  since    INTEGER,                                                   -- NULL: nobody has looked at it yet
  synced   INTEGER NOT NULL DEFAULT 0 CHECK (synced IN (0, 1)),       -- was the clock, when since was written?
  look     INTEGER DEFAULT 0,                                         -- when to look next; NULL: nothing more is to come
  reminded INTEGER,
  recalled INTEGER
) STRICT;

CREATE INDEX reminder_look ON reminder (look) WHERE look IS NOT NULL;

-- Whichever way a parcel becomes stored, also when an operator finds it again.
CREATE TRIGGER reminder_begin AFTER UPDATE OF state ON parcel WHEN new.state = 'stored' BEGIN
  INSERT INTO reminder (parcel) VALUES (new.id) ON CONFLICT (parcel) DO UPDATE SET look = 0;
END;

INSERT INTO reminder (parcel) SELECT id FROM parcel WHERE state = 'stored';

-- How often somebody has collected in each hour of the day: 24 counts. Whose: an enrolled person, or the keyed hash of a phone number.
CREATE TABLE habit (
  id      INTEGER PRIMARY KEY,
  person  INTEGER UNIQUE REFERENCES person (id),
  phone   BLOB UNIQUE CHECK (length(phone) = 32),
  hours   BLOB NOT NULL CHECK (length(hours) = 24),
  changed INTEGER NOT NULL, -- to the day
  CHECK ((person IS NULL) <> (phone IS NULL))
) STRICT;

CREATE INDEX habit_changed ON habit (changed);

-- Erasure erases, also what was counted before the person enrolled.
CREATE TRIGGER habit_of_the_revoked AFTER UPDATE OF revoked ON person WHEN new.revoked IS NOT NULL BEGIN
  DELETE FROM habit WHERE person = new.id OR phone = old.phone_mac;
END;

-- What was set while running and wins over the configuration.
CREATE TABLE setting (
  name  TEXT PRIMARY KEY CHECK (name <> ''),
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
