-- SPDX-License-Identifier: Apache-2.0
-- What somebody has agreed to is a proof: its rows are sealed as those of the other tables are (010-seals.sql).
ALTER TABLE consent ADD COLUMN seal BLOB;
