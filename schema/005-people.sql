-- SPDX-License-Identifier: Apache-2.0
-- Guessing budgets, a second code for a parcel, and erasure that finds what was sent to somebody before they enrolled.

-- What a subject's buckets of wrong entries hold: µs until they are empty, as of `leaked` (boot µs, of boot_id).
ALTER TABLE lockout ADD COLUMN pace INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lockout ADD COLUMN risk INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lockout ADD COLUMN leaked INTEGER NOT NULL DEFAULT 0;

-- Parcels whose code was nearly typed when a terminal was being locked.
CREATE TABLE lockout_parcel (
  subject TEXT NOT NULL CHECK (subject <> ''),
  parcel  INTEGER NOT NULL REFERENCES parcel (id) ON DELETE CASCADE,
  PRIMARY KEY (subject, parcel)
) STRICT, WITHOUT ROWID;
CREATE INDEX lockout_parcel_parcel ON lockout_parcel (parcel);

-- The code that is issued after a lockout, beside the first one: who vandalises a keypad makes nobody's code void.
CREATE TABLE renewed_code (
  parcel INTEGER PRIMARY KEY REFERENCES parcel (id),
  mac    BLOB NOT NULL UNIQUE CHECK (length(mac) = 32)
) STRICT;

-- The keyed hash of an ended parcel's phone number; rows of before have none until somebody's erasure needs it.
ALTER TABLE parcel_history ADD COLUMN phone_mac BLOB CHECK (length(phone_mac) = 32);
CREATE INDEX parcel_history_phone ON parcel_history (phone_mac) WHERE phone_mac IS NOT NULL;
CREATE INDEX parcel_history_unmarked ON parcel_history (id) WHERE phone IS NOT NULL AND phone_mac IS NULL;
-- Its recipient has been erased: name and phone go when it ends.
ALTER TABLE parcel ADD COLUMN forget INTEGER NOT NULL DEFAULT 0 CHECK (forget IN (0, 1));
