-- SPDX-License-Identifier: Apache-2.0
-- The audit chain is keyed from here on (ledger/audit.c): meta's audit-keyed has the first keyed row, and the row "audit" of sealed the
-- last. The rows before it stay as they are, because their heads are kept elsewhere.

-- What a door was when it was last seen decides whether an opening is a forced one.
ALTER TABLE door ADD COLUMN seal BLOB;
-- So does one of which nobody has seen the outcome: only these rows are sealed.
ALTER TABLE movement ADD COLUMN seal BLOB;
