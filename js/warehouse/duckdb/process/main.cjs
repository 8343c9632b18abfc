// @ts-check
'use strict'

// The process of DuckDB: one message is one thing to do, and gets one answer. It ends with the process
// that started it.

const { Database } = require('./database.cjs')
const { failure, isGivenUp, WarehouseError } = require('./failure.cjs')
const { loadPackage } = require('./package.cjs')
const { retire } = require('./retire.cjs')
const { runQuery } = require('./query.cjs')
const { watchMemory } = require('./memory.cjs')

/**
 * @typedef {object} Settings
 * @property {string | null} file `null`: the database is in memory
 * @property {string} [folder] may be written to
 * @property {string} [results]
 * @property {number | null} retentionDays
 * @property {number} memoryBytes
 * @property {number} threads
 * @property {boolean} readOnly
 * @property {string} scratch the folder for what does not fit into memory
 * @property {string[]} places where packages are looked for
 * @property {string} purpose of DuckDB, as messages begin with it
 * @property {string} whenFull what to do when it needs more memory
 */

/**
 * @typedef {{ op: 'query' } & import('./query.cjs').Question} Query
 * @typedef {{ op: 'look', table: string, batch: string }} Look
 * @typedef {{ op: 'load' } & import('./load.cjs').Load} Load
 * @typedef {{ op: 'open' | 'retire' | 'release' | 'close' }} Other
 * @typedef {{ id: number, work: Query | Look | Load | Other }} Asked A message of the process that started
 *   this one.
 */

/** @type {Settings} */
const settings = JSON.parse(process.argv[2])
const memory = watchMemory(settings)

/** @type {Database | undefined} */
let database
let working = 0
let isClosing = false

/** @param {Asked['work']} work */
async function done(work) {
  if (work.op === 'release') return database?.close()
  database ??= new Database(loadPackage(settings), settings)
  const open = await database.open()
  if (isClosing) throw new WarehouseError('ERR_SEND_UNAVAILABLE', 'the warehouse is closed')
  switch (work.op) {
    case 'query':
      return runQuery(open, settings, work)
    case 'look':
      return open.loader?.look(work)
    case 'load':
      return open.loader?.load(work)
    case 'retire':
      return open.loader && open.clock && retire(open.loader, settings, open.clock)
    default:
      // To open it was all.
      return null
  }
}

/** @param {Asked} asked */
async function answer({ id, work }) {
  working++
  memory.begin()
  let isOver = false
  const answered = await done(work).then(
    (result) => ({ done: result ?? null }),
    (error) => {
      // What does not open, load or work any more is tried again in a new process: this one may
      // have kept what it found.
      isOver = !database?.isOpen || isGivenUp(error)
      return { failed: failure(error, settings.whenFull) }
    },
  )
  working--
  memory.end()
  if (process.connected) process.send?.({ id, answer: answered, isOver }, () => isOver && end())
}

/** Closes the file if nothing else uses it, and ends the process. */
function end() {
  try {
    if (working === 0) database?.closeNow()
  } catch {
    // What is not closed is read from the log of writes by the next.
  }
  // Not `process.exit`: threads of DuckDB that still work would abort it.
  process.kill(process.pid, 'SIGKILL')
}

/** Interrupts what is loaded: it is loaded again by the next that opens the file. */
async function close() {
  isClosing = true
  await database?.interrupt()
  while (working > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  end()
}

// The process that started this one says when it ends; signals for all of a group do not.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})
process.on('disconnect', end)
process.on('message', (/** @type {Asked} */ asked) => {
  if (asked.work.op === 'close') void close()
  else void answer(asked)
})
