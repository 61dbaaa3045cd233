-- SPDX-License-Identifier: Apache-2.0
-- What verifies somebody gets its own times, and what they agreed to. Who they are stays in person; person.salt is that person's half of
-- the data key with which name, phone and templates are sealed.

-- Which text somebody agreed to, before anything was stored of them: kept after the template is gone, as a proof. It names nobody but the
-- person's number in this cabinet, the terminal and the witness.
CREATE TABLE consent (
  person    INTEGER NOT NULL REFERENCES person (id),
  kind      TEXT NOT NULL CHECK (kind <> ''),
  given     INTEGER NOT NULL,
  text      TEXT NOT NULL CHECK (text <> ''),
  version   TEXT NOT NULL CHECK (version <> ''),
  place     TEXT NOT NULL CHECK (place <> ''),
  witness   TEXT NOT NULL CHECK (witness <> ''),
  withdrawn INTEGER,
  PRIMARY KEY (person, kind, given)
) STRICT, WITHOUT ROWID;

-- Whoever had a credential before had agreed to it, if anything was recorded, to a text that nobody has named.
INSERT INTO consent (person, kind, given, text, version, place, witness)
  SELECT c.person, c.kind, p.consented, 'unrecorded', 'unrecorded', 'unrecorded', 'unrecorded'
  FROM credential c JOIN person p ON p.id = c.person WHERE p.consented IS NOT NULL;

-- No consent, no template. A courier's PIN is given out for work and is nobody's body or habit.
ALTER TABLE credential RENAME TO credential_before;
CREATE TABLE credential (
  person   INTEGER NOT NULL REFERENCES person (id),
  kind     TEXT NOT NULL CHECK (kind <> ''),
  data     BLOB NOT NULL,
  enrolled INTEGER NOT NULL,
  used     INTEGER,
  consent  INTEGER,
  seal     BLOB,
  PRIMARY KEY (person, kind),
  FOREIGN KEY (person, kind, consent) REFERENCES consent (person, kind, given),
  CHECK (consent IS NOT NULL OR kind = 'pin')
) STRICT, WITHOUT ROWID;
WITH last AS (SELECT person, max(begun) AS begun FROM session WHERE person IS NOT NULL GROUP BY person)
INSERT INTO credential (person, kind, data, enrolled, used, consent)
  SELECT c.person, c.kind, c.data, p.enrolled, last.begun, p.consented
  FROM credential_before c JOIN person p ON p.id = c.person LEFT JOIN last ON last.person = c.person
  WHERE p.consented IS NOT NULL OR c.kind = 'pin';
DROP TABLE credential_before;
