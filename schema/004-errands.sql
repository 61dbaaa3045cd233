-- SPDX-License-Identifier: Apache-2.0
-- What an errand has to remember when the power goes, and what was wished when a parcel was announced.

-- What the person at the open door has decided, from the moment it was said.
ALTER TABLE parcel ADD COLUMN choice TEXT CHECK (choice IN ('accept', 'reject', 'cancel'));
-- A courier's take-back of it is under way; its state stays what it is until the door is shut again.
ALTER TABLE parcel ADD COLUMN taking_back INTEGER NOT NULL DEFAULT 0 CHECK (taking_back IN (0, 1));
-- What it was before it was being collected, or became unverified: it may become that again.
ALTER TABLE parcel ADD COLUMN was TEXT CHECK (was IN ('stored', 'unverified', 'rejected', 'recalled'));
-- Wishes for the position that is chosen when it comes.
ALTER TABLE parcel ADD COLUMN temperature TEXT NOT NULL DEFAULT 'ambient' CHECK (temperature IN ('ambient', 'chilled', 'frozen'));
ALTER TABLE parcel ADD COLUMN accessible INTEGER NOT NULL DEFAULT 0 CHECK (accessible IN (0, 1));
ALTER TABLE parcel ADD COLUMN larger INTEGER NOT NULL DEFAULT 1 CHECK (larger IN (0, 1));
