-- SPDX-License-Identifier: Apache-2.0
-- What each door and lid was when it was last seen, so that one that is forced while nobody looks is noticed by the next start.
-- position 0: the slot's door. No row: it has never moved.
CREATE TABLE door (
  slot     TEXT NOT NULL CHECK (slot <> ''),
  position INTEGER NOT NULL CHECK (position >= 0),
  seen     TEXT NOT NULL CHECK (seen IN ('unknown', 'shut', 'open', 'forced')),
  PRIMARY KEY (slot, position)
) STRICT, WITHOUT ROWID;

-- Behind what is stored a door was shut.
INSERT INTO door (slot, position, seen)
  SELECT DISTINCT slot, 0, 'shut' FROM parcel WHERE state IN ('stored', 'rejected', 'recalled');
