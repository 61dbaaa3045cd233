-- SPDX-License-Identifier: Apache-2.0
-- Which ledger is this: the epochs of it, one after the other, and parcels whose whereabouts are doubted.

-- A new epoch begins with each new ledger, and when a ledger is not what the cabinet has last told: restored from a backup, copied,
-- behind. An event belongs to the youngest epoch that begins at its number or before it.
CREATE TABLE epoch (
  id    INTEGER PRIMARY KEY AUTOINCREMENT,
  name  TEXT NOT NULL CHECK (length(name) IN (0, 16)), -- hexadecimal digits; empty: from before there were epochs
  since INTEGER NOT NULL CHECK (since > 0),
  why   TEXT NOT NULL CHECK (why IN ('new', 'upgrade', 'restored', 'behind', 'foreign', 'unclean')),
  begun INTEGER NOT NULL -- 0: with the ledger itself
) STRICT;

CREATE UNIQUE INDEX epoch_name ON epoch (name);

-- What lies there is not known any more, for instance after a restore: nobody opens it until an operator has looked.
ALTER TABLE parcel ADD COLUMN doubted INTEGER NOT NULL DEFAULT 0 CHECK (doubted IN (0, 1));
