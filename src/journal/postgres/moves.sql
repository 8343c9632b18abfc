ALTER TABLE attempts ADD COLUMN IF NOT EXISTS attempt_log text;

-- Data directories whose content was moved here, or is being moved. `after` is the last execution that
-- was moved. Rows that wait for the end of the move, or for the owner of their shard, have a negative
-- shard.
CREATE TABLE IF NOT EXISTS moves (
    id uuid PRIMARY KEY,
    source text NOT NULL,
    block bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    after bigint NOT NULL DEFAULT -1,
    executions bigint NOT NULL DEFAULT 0,
    deliveries bigint NOT NULL DEFAULT 0,
    calls bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz
);
