// @ts-check
'use strict'

// Deletes what is older than it may be: rows by their arrival, and results of queries.

const { readdir, rm, stat } = require('node:fs/promises')
const { join } = require('node:path')

const DAY_MS = 86_400_000
/** How long results are kept, and how many bytes of them at most. */
const RESULTS_MS = DAY_MS
const RESULTS_BYTES = 4e9

/**
 * @param {import('./load.cjs').Loader} loader
 * @param {import('./main.cjs').Settings} settings
 * @param {import('./clock.cjs').Clock} clock
 */
async function retire(loader, { retentionDays, results }, clock) {
  await retireResults(results)
  const now = clock.now()
  if (!retentionDays || now === undefined) return
  const oldest = `make_timestamp(${Math.floor((now - retentionDays * DAY_MS) * 1000)})`
  const tables = await loader.run('SELECT name FROM dollar_send.tables')
  let deleted = 0n
  for (const [name] of tables) {
    const gone = await loader.run(`DELETE FROM data."${name}" WHERE _arrived_at < ${oldest}`)
    deleted += BigInt(String(gone[0]?.[0] ?? 0))
  }
  await loader.run(`DELETE FROM dollar_send.batches WHERE loaded_at < ${oldest}`)
  if (deleted > 0n) await loader.run('CHECKPOINT')
}

/** @param {string} [directory] there is none without queries */
async function retireResults(directory) {
  if (directory === undefined) return
  const names = await readdir(directory).catch(() => [])
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(directory, name)
      const found = await stat(path).catch(() => undefined)
      return { path, at: found?.mtimeMs ?? 0, bytes: found?.size ?? 0 }
    }),
  )
  files.sort((one, other) => other.at - one.at)
  let kept = 0
  for (const { path, at, bytes } of files) {
    kept += bytes
    if (at < Date.now() - RESULTS_MS || kept > RESULTS_BYTES) await rm(path, { force: true })
  }
}

module.exports = { retire, retireResults }
