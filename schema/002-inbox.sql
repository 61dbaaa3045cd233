-- SPDX-License-Identifier: Apache-2.0
-- Commands of the backend, by id: stored before they are executed, answered after. As long as a row is here, a repeat of its
-- command gets the stored answer. Arguments and answers are sealed: they may hold names, phone numbers and codes.

CREATE TABLE inbox (
  id             TEXT PRIMARY KEY CHECK (id <> ''),
  arrival        INTEGER NOT NULL UNIQUE,
  name           TEXT NOT NULL CHECK (name <> ''),
  received       INTEGER NOT NULL,
  expires        INTEGER NOT NULL,
  command        BLOB NOT NULL,
  begun          INTEGER NOT NULL DEFAULT 0 CHECK (begun IN (0, 1)),
  answer         BLOB,
  response_topic TEXT,
  correlation    TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX inbox_open ON inbox (arrival) WHERE answer IS NULL;
CREATE INDEX inbox_answered ON inbox (expires) WHERE answer IS NOT NULL;
