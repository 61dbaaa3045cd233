-- SPDX-License-Identifier: Apache-2.0
-- What anybody can make grow has an end: sessions in which nobody signed in and nothing moved leave no row.

-- To know that nothing moved, whatever the history.
CREATE INDEX movement_session ON movement (session) WHERE session IS NOT NULL;

DELETE FROM session
  WHERE ended IS NOT NULL AND person IS NULL AND evidence IS NULL
    AND NOT EXISTS (SELECT 1 FROM movement WHERE movement.session = session.id);

-- Names and phone numbers of ended parcels that are still there, the oldest first.
CREATE INDEX parcel_history_named ON parcel_history (ended) WHERE recipient IS NOT NULL OR phone IS NOT NULL;
