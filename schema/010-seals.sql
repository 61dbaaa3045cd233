-- SPDX-License-Identifier: Apache-2.0
-- Rows that decide who may open are sealed: a keyed hash of the row's table, identity and content, made by the daemon (ledger/seals.c) with
-- each change; and for each table their number and the sum of all seals, with a keyed hash, so that a row that is removed, added or
-- put back is found too.
CREATE TABLE sealed (
  name  TEXT PRIMARY KEY,
  state BLOB NOT NULL CHECK (length(state) = 72)
) STRICT, WITHOUT ROWID;

ALTER TABLE meta ADD COLUMN seal BLOB;
ALTER TABLE slot ADD COLUMN seal BLOB;
ALTER TABLE position ADD COLUMN seal BLOB;
ALTER TABLE person ADD COLUMN seal BLOB;
ALTER TABLE credential ADD COLUMN seal BLOB;
ALTER TABLE parcel ADD COLUMN seal BLOB;
ALTER TABLE pickup_code ADD COLUMN seal BLOB;
ALTER TABLE renewed_code ADD COLUMN seal BLOB;
ALTER TABLE lockout ADD COLUMN seal BLOB;
ALTER TABLE lockout_parcel ADD COLUMN seal BLOB;
ALTER TABLE inbox ADD COLUMN seal BLOB;
ALTER TABLE setting ADD COLUMN seal BLOB;
ALTER TABLE epoch ADD COLUMN seal BLOB;
