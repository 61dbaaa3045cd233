-- SPDX-License-Identifier: Apache-2.0
-- What each door and lid was when it was last seen, so that one that is forced while nobody looks is noticed by the next start.
-- position 0: the slot's door. No row: it has never moved.
CREATE TABLE door (
  slot     TEXT NOT NULL CHECK (slot <> ''),
  position INTEGER NOT NULL CHECK (position >= 0),
  seen     TEXT NOT NULL CHECK (seen IN ('unknown', 'shut', 'open', 'forced')),
  PRIMARY KEY (slot, position)
) STRICT, WITHOUT ROWID;

-- Behind what is stored a door was shut, unless the newest events say otherwise: an operator may be at it.
WITH newest AS (
  SELECT subject, max(sequence) AS sequence FROM event
    WHERE sequence > (SELECT max(sequence) - 100000 FROM event)
      AND type IN ('door.released', 'door.opened', 'door.closed', 'door.forced-open')
    GROUP BY subject
)
INSERT INTO door (slot, position, seen)
  SELECT DISTINCT parcel.slot, 0,
      CASE event.type WHEN 'door.forced-open' THEN 'forced' WHEN 'door.released' THEN 'open' WHEN 'door.opened' THEN 'open' ELSE 'shut' END
    FROM parcel
      LEFT JOIN newest ON newest.subject = 'slot:' || parcel.slot
      LEFT JOIN event ON event.sequence = newest.sequence
    WHERE parcel.state IN ('stored', 'rejected', 'recalled');
