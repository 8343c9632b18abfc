// A log of many deliveries, written by SQLite itself: seconds for a million.

import { indexing, sqlite } from './journal.mjs'

/** Calls of a run. */
const CALLS = 10
const HOSTS = 40
const WORKFLOWS = 25

/**
 * Writes the log of a closed data directory: the newest delivery is of `now`, and there is one each
 * second before.
 *
 * @param {string} dataDir
 * @param {number} count of deliveries
 * @param {number} now milliseconds since 1970
 */
export function writeLarge(dataDir, count, now) {
  const runs = Math.ceil(count / CALLS)
  const begin = now - count * 1000
  sqlite(
    dataDir,
    `PRAGMA synchronous = OFF;
    BEGIN;
    CREATE TEMP TABLE ids (place INTEGER PRIMARY KEY, id BLOB);
    ${ids(begin, count)}
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${runs})
    INSERT INTO executions (serial, execution_id, workflow_id, attempt, started_at, ended,
      completed_at, total, delivered, failed, finished_at, trigger)
    SELECT i, printf('run-%08d', i), printf('p_%02d', i % ${WORKFLOWS}), 1,
      ${begin} + i * ${CALLS * 1000}, 'completed', ${begin} + i * ${CALLS * 1000} + 20, ${CALLS},
      ${CALLS} - (i % 20 = 0), i % 20 = 0, ${begin} + i * ${CALLS * 1000} + 900, 'POST /hook'
    FROM n;
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1})
    INSERT INTO deliveries (seq, id, execution, call_index, step, destination, status, attempts,
      recorded_at, settled_at, request, request_body, request_body_bytes, request_body_complete,
      response, response_body, response_body_bytes, response_body_complete, error_code,
      error_message)
    SELECT i + 1, (SELECT id FROM ids WHERE place = i),
      i / ${CALLS} + 1, i % ${CALLS}, 'step', 'http',
      iif(failed, 'failed', 'delivered'), 1, ${begin} + i * 1000, ${begin} + i * 1000 + 80,
      printf('{"method":"POST","url":"https://api%d.example.com/v1/things/%d","headers":{"content-type":"application/json","user-agent":"dollar-send/0.1.0"}}', i % ${HOSTS}, i),
      CAST(printf('{"number":%d,"text":"a body of some length"}', i) AS BLOB), 48, 1,
      printf('{"status":%d,"statusText":"","httpVersion":"1.1","headers":{"content-type":"application/json"},"durationMs":%d,"timings":{"firstByteMs":%d}}', iif(failed, 503, 200), 20 + i % 90, 19 + i % 90),
      CAST('{"ok":true}' AS BLOB), 11, 1, iif(failed, 'ERR_SEND_STATUS', NULL),
      iif(failed, 'the server answered 503 Service Unavailable', NULL)
    FROM (SELECT i, (i / ${CALLS} + 1) % 20 = 0 AND i % ${CALLS} = 0 AS failed FROM n);
    ${indexing(dataDir)}
    COMMIT;`,
  )
}

/** Values of one INSERT. */
const AT_ONCE = 500

/** Returns the statements that write the ids, which begin with the time. @param {number} begin @param {number} count */
function ids(begin, count) {
  const statements = []
  for (let from = 0; from < count; from += AT_ONCE) {
    const values = []
    for (let place = from; place < Math.min(from + AT_ONCE, count); place++) {
      const time = (begin + place * 1000).toString(16).padStart(12, '0')
      values.push(`(${place},x'${time}70008000${place.toString(16).padStart(12, '0')}')`)
    }
    statements.push(`INSERT INTO ids VALUES ${values.join(',')};`)
  }
  return statements.join('\n')
}
