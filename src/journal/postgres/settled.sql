-- The transaction that settled a delivery: the order in which followers of the log see them. Rows of before
-- have none.
ALTER TABLE deliveries ADD COLUMN IF NOT EXISTS settled_in xid8;
ALTER TABLE deliveries ALTER COLUMN settled_in SET DEFAULT pg_current_xact_id();
CREATE INDEX IF NOT EXISTS deliveries_by_settlement ON deliveries (settled_in, seq)
    WHERE settled_in IS NOT NULL;
