-- SPDX-License-Identifier: Apache-2.0
-- One believed clock (records/calendar.h): what was written while nobody vouched for the calendar, and what is remembered of forgotten commands.

-- Which times of a parcel are shifted when the clock is put right: 1 stored, 2 expires.
ALTER TABLE parcel ADD COLUMN loose INTEGER NOT NULL DEFAULT 0 CHECK (loose BETWEEN 0 AND 3);
-- An older version did not say so of each row; the newest event says what its calendar was like.
UPDATE parcel SET loose = 3 WHERE (SELECT synced FROM event WHERE sequence = (SELECT max(sequence) FROM event)) = 0;

-- Was it signed? Of signed ones that are forgotten the largest expiry is kept, as setting 'commands-forgotten'.
ALTER TABLE inbox ADD COLUMN signed INTEGER NOT NULL DEFAULT 1 CHECK (signed IN (0, 1));
