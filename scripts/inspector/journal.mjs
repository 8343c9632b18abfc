// Writes a log into the journal of a closed data directory, by the command sqlite3: a day, or a million
// deliveries, that no engine has the time to make.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

import { Engine } from '../../js/index.mjs'

/**
 * @typedef {object} Row A delivery of a run.
 * @property {string} step
 * @property {string} destination
 * @property {'delivered' | 'failed'} status
 * @property {number} recordedAt milliseconds since 1970
 * @property {number} settledAt
 * @property {number} [attempts]
 * @property {object} request
 * @property {string} [requestBody]
 * @property {object} [response]
 * @property {string} [responseBody]
 * @property {{ code: string, message: string, phase?: string }} [error]
 * @property {string[]} [warnings]
 *
 * @typedef {object} Run
 * @property {string} workflowId
 * @property {string} [trigger]
 * @property {number} startedAt
 * @property {number} completedAt
 * @property {string} [error]
 * @property {string} [message]
 * @property {Row[]} rows
 */

/** Makes the data directory, with the tables of this version. @param {string} dataDir */
export async function createJournal(dataDir) {
  await (await Engine.open({ dataDir, deliver: false })).close()
}

/**
 * Runs statements on the journal of a closed data directory.
 *
 * @param {string} dataDir
 * @param {string} statements
 */
export function sqlite(dataDir, statements) {
  const { status, stdout, stderr, error } = spawnSync(
    'sqlite3',
    ['-bail', join(dataDir, 'journal.sqlite')],
    { input: statements, encoding: 'utf8', maxBuffer: 1 << 30 },
  )
  if (error) throw new Error(`sqlite3 is missing: apt-get install sqlite3. ${error.message}`)
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** The statement that has the index of the search take rows in, where there is one. @param {string} dataDir */
export function indexing(dataDir) {
  const found = sqlite(dataDir, "SELECT 1 FROM sqlite_master WHERE name = 'unindexed';")
  if (found.trim() === '') return ''
  return `INSERT OR IGNORE INTO unindexed SELECT seq FROM deliveries;
    INSERT OR IGNORE INTO unindexed SELECT -1 - serial FROM executions WHERE ended IS NOT NULL;`
}

/** @param {unknown} value */
function literal(value) {
  if (value === undefined || value === null) return 'NULL'
  if (typeof value === 'number') return String(value)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return `'${text.replaceAll("'", "''")}'`
}

/** @param {string} table @param {Record<string, unknown>} columns */
function insert(table, columns) {
  const values = Object.values(columns).map((value) =>
    value instanceof Uint8Array ? `x'${Buffer.from(value).toString('hex')}'` : literal(value),
  )
  return `INSERT INTO ${table} (${Object.keys(columns).join(', ')}) VALUES (${values.join(', ')});`
}

/** Returns the id of a delivery (src/id.rs). @param {number} at @param {number} index @param {number} serial */
function deliveryId(at, index, serial) {
  const id = Buffer.alloc(16)
  const seed = (BigInt(serial & 0xfffff) << 30n) | (BigInt(serial * 7919) & 0x3fffffffn)
  id.writeBigUInt64BE((BigInt(at) << 16n) | 0x7000n | ((seed >> 38n) & 0xfffn), 0)
  const low = (2n << 62n) | (((seed >> 30n) & 0xffn) << 54n) | (BigInt(index) << 30n)
  id.writeBigUInt64BE(low | (seed & 0x3fffffffn), 8)
  return id
}

/** @param {string | undefined} text */
const bodyOf = (text) => (text === undefined ? undefined : Buffer.from(text))

/**
 * Writes runs, the oldest first.
 *
 * @param {string} dataDir
 * @param {Run[]} runs
 */
export function writeRuns(dataDir, runs) {
  const statements = ['BEGIN;']
  let seq = 0
  for (const [place, run] of runs.entries()) {
    const serial = place + 1
    const failed = run.rows.filter(({ status }) => status === 'failed').length
    const executionId = uuid(deliveryId(run.startedAt, 0xfff, serial))
    statements.push(
      insert('executions', {
        ...{ serial, execution_id: executionId, workflow_id: run.workflowId, attempt: 1 },
        ...{ started_at: run.startedAt, ended: 'completed', completed_at: run.completedAt },
        ...{ error: run.error, message: run.message, trigger: run.trigger },
        ...{ total: run.rows.length, delivered: run.rows.length - failed, failed },
        finished_at: Math.max(run.completedAt, ...run.rows.map((row) => row.settledAt)),
      }),
    )
    for (const [index, row] of run.rows.entries()) {
      const body = bodyOf(row.requestBody)
      const answer = bodyOf(row.responseBody)
      statements.push(
        insert('deliveries', {
          ...{ seq: ++seq, id: deliveryId(row.recordedAt, index, serial), execution: serial },
          ...{
            call_index: index,
            step: row.step,
            destination: row.destination,
            status: row.status,
          },
          ...{
            attempts: row.attempts ?? 1,
            recorded_at: row.recordedAt,
            settled_at: row.settledAt,
          },
          ...{ request: row.request, request_body: body, request_body_bytes: body?.length },
          ...{ request_body_complete: body && 1, response: row.response, response_body: answer },
          ...{ response_body_bytes: answer?.length, response_body_complete: answer && 1 },
          ...{ error_code: row.error?.code, error_message: row.error?.message },
          ...{ error_phase: row.error?.phase, warnings: row.warnings },
        }),
      )
    }
  }
  statements.push(indexing(dataDir), 'COMMIT;')
  sqlite(dataDir, statements.join('\n'))
}

/** @param {Buffer} bytes */
function uuid(bytes) {
  return bytes.toString('hex').replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
