// A disk that takes no more while the warehouse works: with room again it goes on, without a restart.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { dataDirectory } from '../support/data-dir.mjs'

const SCRIPT = fileURLToPath(new URL('../support/sql-full.mjs', import.meta.url))

for (const [when, settings, expected] of /** @type {const} */ ([
  [
    'while the file is made',
    // Less than the three parts that an empty one has.
    { bytes: 4096, batches: 1, rows: 10, text: 10 },
    /Could not write file .*: File too large/,
  ],
  [
    'while rows go from the log of writes into the tables',
    // More than the log may have before that.
    { bytes: 6_000_000, batches: 8, rows: 500, text: 2500 },
    /Checkpoint failed .*: File too large/,
  ],
])) {
  test(`a disk that is full ${when} loses nothing, and is waited for`, (t) => {
    const asked = JSON.stringify({ file: join(dataDirectory(t), 'w.duckdb'), ...settings })
    const { stdout, stderr } = spawnSync(process.execPath, [SCRIPT, asked], { encoding: 'utf8' })
    assert.equal(stderr, '')
    const { told, found } = JSON.parse(stdout)
    assert.match(told, expected)
    const all = settings.batches * settings.rows
    assert.deepEqual(found, { n: all, m: all })
  })
}
