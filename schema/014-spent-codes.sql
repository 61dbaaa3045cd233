-- SPDX-License-Identifier: Apache-2.0
-- Codes that were valid once: used, cancelled with their deposit, replaced. Nobody opens by these rows; they only say why such
-- a code is refused. The newest ones are kept (SPENT_CODES_MAX in src/ledger/codes.c).
CREATE TABLE spent_code (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  mac    BLOB NOT NULL CHECK (length(mac) = 32),
  parcel INTEGER NOT NULL
) STRICT;

CREATE INDEX spent_code_mac ON spent_code (mac, id);
