CREATE TABLE meta (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version integer NOT NULL,
    shards integer NOT NULL,
    key_check bytea NOT NULL,
    next_block bigint NOT NULL DEFAULT 1,
    registrations bigint NOT NULL DEFAULT 0
);
CREATE TABLE nodes (
    id bigint PRIMARY KEY,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    last_transaction bigint NOT NULL DEFAULT 0,
    is_gone boolean NOT NULL DEFAULT false,
    delivers boolean NOT NULL,
    follows boolean NOT NULL DEFAULT false
) WITH (fillfactor = 20);
CREATE TABLE shards (
    shard integer PRIMARY KEY,
    owner bigint,
    epoch bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);

CREATE TABLE executions (
    serial bigint PRIMARY KEY,
    execution_id text NOT NULL,
    workflow_id text NOT NULL,
    attempt bigint NOT NULL,
    started_at bigint NOT NULL,
    emit_depth bigint NOT NULL,
    trace text,
    trigger text,
    node bigint NOT NULL,
    ended text,
    completed_at bigint,
    error text,
    message text,
    total bigint NOT NULL,
    open bigint NOT NULL,
    delivered bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    discarded bigint NOT NULL DEFAULT 0,
    dismissed bigint NOT NULL DEFAULT 0,
    finished_at bigint
) PARTITION BY RANGE (serial);
CREATE TABLE executions_other PARTITION OF executions DEFAULT;
CREATE INDEX executions_of_workflow ON executions (workflow_id, serial);
CREATE INDEX executions_by_id ON executions (execution_id);
CREATE INDEX executions_open ON executions (node) WHERE finished_at IS NULL;

CREATE TABLE commits (
    first_seq bigint PRIMARY KEY,
    shard integer NOT NULL,
    calls bigint NOT NULL,
    is_open boolean NOT NULL DEFAULT true,
    execution bigint NOT NULL,
    seed bigint NOT NULL,
    sealed bytea NOT NULL
);
CREATE INDEX commits_open ON commits (shard, first_seq) WHERE is_open;
CREATE INDEX commits_closed ON commits (execution) WHERE NOT is_open;
CREATE TABLE inbox (
    first_seq bigint PRIMARY KEY,
    shard integer NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE attempts (
    seq bigint PRIMARY KEY,
    attempts bigint NOT NULL,
    is_under_way boolean NOT NULL,
    due_at bigint,
    error_code text,
    error_message text,
    error_phase text
);
CREATE TABLE batches (
    id bigint PRIMARY KEY,
    shard integer NOT NULL,
    destination text NOT NULL,
    lane text NOT NULL,
    name text NOT NULL,
    reason text NOT NULL,
    sealed_at bigint NOT NULL,
    records text NOT NULL,
    note text,
    conclusion text
);

CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    seq bigint NOT NULL,
    execution bigint NOT NULL,
    call_index bigint NOT NULL,
    step text NOT NULL,
    destination text NOT NULL,
    status text NOT NULL,
    attempts bigint NOT NULL,
    recorded_at bigint NOT NULL,
    settled_at bigint NOT NULL,
    request text NOT NULL,
    request_body bytea,
    request_body_bytes bigint,
    request_body_complete boolean,
    response text,
    response_body bytea,
    response_body_bytes bigint,
    response_body_complete boolean,
    error_code text,
    error_message text,
    error_phase text,
    warnings text,
    attempt_log text,
    replay_of uuid,
    call uuid,
    replayed_by uuid,
    resolved_by uuid,
    dismissed_at bigint
) PARTITION BY RANGE (id);
CREATE TABLE deliveries_other PARTITION OF deliveries DEFAULT;
CREATE INDEX deliveries_of_execution ON deliveries (execution, seq);
CREATE INDEX deliveries_of_call ON deliveries (call) WHERE call IS NOT NULL;
CREATE INDEX deliveries_by_end ON deliveries USING brin (settled_at) WITH (autosummarize = on);
CREATE INDEX deliveries_dead ON deliveries (id) WHERE status = 'failed'
    AND replayed_by IS NULL AND resolved_by IS NULL AND dismissed_at IS NULL;

CREATE TABLE forwards (
    delivery uuid PRIMARY KEY,
    shard integer NOT NULL
);

CREATE TABLE events (
    id bigint PRIMARY KEY,
    stream text NOT NULL,
    workflow_id text NOT NULL,
    delivery uuid NOT NULL,
    name text NOT NULL,
    depth bigint NOT NULL,
    content bytea NOT NULL
);
CREATE TABLE registrations (
    id text PRIMARY KEY,
    sealed bytea NOT NULL
);

-- Rows of the log that changed, for nodes that show them. There are none while no node follows.
CREATE UNLOGGED TABLE changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    node bigint NOT NULL,
    content text NOT NULL
);

-- Commands to the nodes that deliver, and their results. They are kept for a minute.
CREATE TABLE commands (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    content text NOT NULL
);
CREATE TABLE command_results (
    command bigint NOT NULL,
    node bigint NOT NULL,
    result bigint NOT NULL,
    PRIMARY KEY (command, node)
);

-- Renews a node's lease and numbers its transaction. A node that was replaced changes nothing: the
-- exception ends its transaction.
CREATE FUNCTION fence(node bigint, number bigint, millis bigint) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE nodes SET last_transaction = number,
        expires_at = clock_timestamp() + millis * interval '1 millisecond'
    WHERE id = node AND NOT is_gone;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the node % was replaced', node USING ERRCODE = 'DS001';
    END IF;
END $$;

-- Claims deliveries for their replays: each is repeated once, whichever nodes replay it at a time. One
-- that is not in the expected state any more ends the transaction; the detail names all of these.
CREATE FUNCTION claim(ids uuid[], replays uuid[], befores text[]) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    taken uuid[];
BEGIN
    -- In one order, so that no two transactions wait for each other.
    PERFORM 1 FROM deliveries d WHERE d.id = ANY(ids) ORDER BY d.id FOR UPDATE;
    WITH claimed AS (
        UPDATE deliveries d SET replayed_by = c.replay
        FROM unnest(ids, replays, befores) AS c (id, replay, before)
        WHERE d.id = c.id AND d.id = ANY(ids) AND d.replayed_by IS NULL AND CASE c.before
            WHEN 'failed' THEN d.resolved_by IS NULL AND d.dismissed_at IS NULL
            WHEN 'dismissed' THEN d.resolved_by IS NULL AND d.dismissed_at IS NOT NULL
            ELSE true
        END
        RETURNING d.id
    )
    SELECT array_agg(c.id) INTO taken FROM unnest(ids) AS c (id)
    WHERE c.id NOT IN (SELECT id FROM claimed);
    IF taken IS NOT NULL THEN
        RAISE EXCEPTION 'another node has replayed or dismissed a call'
            USING ERRCODE = 'DS002', DETAIL = taken::text;
    END IF;
END $$;

-- Takes the notes of deliveries that are forwarded with the transaction: each is forwarded once. One
-- without a note ends the transaction; the detail names all of these.
CREATE FUNCTION forward(ids uuid[]) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    taken uuid[];
BEGIN
    PERFORM 1 FROM forwards f WHERE f.delivery = ANY(ids) ORDER BY f.delivery FOR UPDATE;
    WITH forwarded AS (DELETE FROM forwards f WHERE f.delivery = ANY(ids) RETURNING f.delivery)
    SELECT array_agg(c.id) INTO taken FROM unnest(ids) AS c (id)
    WHERE c.id NOT IN (SELECT delivery FROM forwarded);
    IF taken IS NOT NULL THEN
        RAISE EXCEPTION 'another node has forwarded a call' USING ERRCODE = 'DS002', DETAIL = taken::text;
    END IF;
END $$;
