//! The statements of a transaction, as SQL. Each takes arrays, for all operations of its kind.

pub(super) const DELIVERIES: &str = "
    INSERT INTO deliveries (id, call_index, step, destination, status, attempts, recorded_at,
        settled_at, request, request_body, request_body_bytes, request_body_complete, response,
        response_body, response_body_bytes, response_body_complete, error_code, error_message,
        error_phase, replay_of, call, resolved_by, seq, execution, warnings, attempt_log)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[],
        $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::bytea[], $11::bigint[],
        $12::boolean[], $13::text[], $14::bytea[], $15::bigint[], $16::boolean[], $17::text[],
        $18::text[], $19::text[], $20::uuid[], $21::uuid[], $22::uuid[], $23::bigint[],
        $24::bigint[], $25::text[], $26::text[])
    ON CONFLICT (id) DO NOTHING";

pub(super) const EXECUTIONS: &str = "
    INSERT INTO executions AS e (serial, execution_id, workflow_id, attempt, started_at, emit_depth,
        trace, ended, completed_at, error, total, open, failed, discarded, dismissed, trigger,
        message, node, finished_at)
    SELECT serial, execution_id, workflow_id, attempt, started_at, emit_depth, trace, ended,
        completed_at, error, total, open, failed, discarded, dismissed, trigger, message, node,
        CASE WHEN ended IS NOT NULL AND open = 0 THEN $17 END
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::text[], $8::text[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[],
        $13::bigint[], $14::bigint[], $15::bigint[], $18::text[], $19::text[], $16::bigint[])
        AS d (serial, execution_id, workflow_id, attempt, started_at, emit_depth, trace, ended,
            completed_at, error, total, open, failed, discarded, dismissed, trigger, message,
            node)
    ON CONFLICT (serial) DO UPDATE SET
        ended = coalesce(e.ended, excluded.ended),
        completed_at = coalesce(e.completed_at, excluded.completed_at),
        error = coalesce(e.error, excluded.error),
        message = coalesce(e.message, excluded.message),
        total = e.total + excluded.total,
        open = e.open + excluded.open,
        failed = e.failed + excluded.failed,
        discarded = e.discarded + excluded.discarded,
        dismissed = e.dismissed + excluded.dismissed,
        node = CASE WHEN e.ended IS NULL AND excluded.node > 0 THEN excluded.node ELSE e.node END,
        finished_at = CASE WHEN coalesce(e.ended, excluded.ended) IS NOT NULL
            AND e.open + excluded.open = 0 THEN $17 END";

pub(super) const COMMITS: &str = "
    INSERT INTO commits (first_seq, shard, calls, execution, seed, sealed)
    SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[],
        $6::bytea[])";

/// The parts of other nodes, which are notified once.
pub(super) const INBOX: &str = "
    WITH added AS (
        INSERT INTO inbox (first_seq, shard) SELECT * FROM unnest($1::bigint[], $2::int[])
    )
    SELECT pg_notify($3, 'calls')";

/// A delivery that was settled twice has one note.
pub(super) const FORWARDS: &str = "
    INSERT INTO forwards (delivery, shard) SELECT * FROM unnest($1::uuid[], $2::int[])
    ON CONFLICT DO NOTHING";

pub(super) const RESOLVE: &str = "
    UPDATE deliveries SET resolved_by = ($2::uuid[])[1]
    WHERE (id = ($1::uuid[])[1] OR call = ($1::uuid[])[1])
        AND status = 'failed' AND resolved_by IS NULL";

pub(super) const DISMISS: &str = "
    WITH dead AS MATERIALIZED (
        SELECT id FROM deliveries WHERE id = ANY($1::uuid[]) AND status = 'failed'
            AND replayed_by IS NULL AND resolved_by IS NULL AND dismissed_at IS NULL
        ORDER BY id FOR UPDATE
    ), gone AS (
        UPDATE deliveries SET dismissed_at = $2
        WHERE id = ANY($1::uuid[]) AND id IN (SELECT id FROM dead) RETURNING id, execution
    ), counted AS (
        SELECT execution, count(*) AS n FROM gone GROUP BY execution
    ), taken AS (
        UPDATE executions e SET failed = e.failed - c.n, dismissed = e.dismissed + c.n
        FROM counted c WHERE e.serial = c.execution
    )
    SELECT id FROM gone";

pub(super) const ATTEMPTS: &str = "
    INSERT INTO attempts AS a (seq, attempts, is_under_way, due_at, error_code, error_message,
        error_phase, attempt_log)
    SELECT seq, attempts, due_at IS NULL, due_at, error_code, error_message, error_phase,
        attempt_log
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
        $7::text[])
        AS d (seq, attempts, due_at, error_code, error_message, error_phase, attempt_log)
    ON CONFLICT (seq) DO UPDATE SET
        attempts = excluded.attempts,
        is_under_way = excluded.is_under_way,
        due_at = excluded.due_at,
        error_phase = CASE WHEN excluded.error_code IS NULL THEN a.error_phase
            ELSE excluded.error_phase END,
        error_message = coalesce(excluded.error_message, a.error_message),
        error_code = coalesce(excluded.error_code, a.error_code),
        attempt_log = coalesce(excluded.attempt_log, a.attempt_log)";

/// Counts terminal deliveries. The last one finishes its execution, whichever node made it; the node
/// that recorded it is notified.
pub(super) const ENDS: &str = "
    WITH counted AS (
        UPDATE executions e SET
            open = e.open - d.n,
            delivered = e.delivered + d.delivered,
            failed = e.failed + d.failed,
            finished_at = CASE WHEN e.open - d.n <= 0 AND e.ended IS NOT NULL THEN $5
                ELSE e.finished_at END
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
            AS d (serial, n, delivered, failed)
        WHERE e.serial = d.serial AND e.serial = ANY($1::bigint[])
        RETURNING e.node, e.finished_at
    )
    SELECT pg_notify($7, 'ends') FROM counted
    WHERE finished_at IS NOT NULL AND node <> $6 LIMIT 1";

/// Takes parts out of the inbox, before they are read: none of them is taken back from here on. Those of
/// another node's shards stay: a node that stood still may have found them before its shards were taken.
pub(super) const CLAIM: &str = "
    DELETE FROM inbox WHERE first_seq = ANY($1)
        AND shard IN (SELECT shard FROM shards WHERE owner = $2)";
