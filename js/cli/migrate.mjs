// `dollar-send migrate`: a data directory becomes part of the journal that many machines share.

import { createRequire } from 'node:module'
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'

import { configuration } from './config.mjs'
import { harmless, harmlessJson, oneLine } from './paint.mjs'
import { showProgress } from './progress.mjs'
import { EXIT, UsageError } from './usage.mjs'
import { Interrupt, watchProcess } from './watch.mjs'

const require = createRequire(import.meta.url)
const { keyText } = require('../options.cjs')

/** @typedef {import('./migrate-arguments.mjs').MigrateSettings} MigrateSettings */
/**
 * @typedef {object} Report
 * @property {'planned' | 'begun' | 'moved' | 'alreadyMoved'} state
 * @property {string} target
 * @property {string | null} movedAt
 * @property {number} executions
 * @property {number} deliveries terminal ones
 * @property {number} calls that wait
 * @property {number} batches that wait
 * @property {number} pauses
 * @property {number} events that are kept
 * @property {number} subscriptions
 * @property {number} webhooks
 */

/** The variable with the key that the nodes share. */
const KEY_VARIABLE = 'DOLLAR_SEND_JOURNAL_KEY'
/** The variable with the directory's key, where the directory has no `journal.key`. */
const FROM_KEY_VARIABLE = 'DOLLAR_SEND_DATA_DIR_KEY'

/** What options of the addon are called on the command line. */
const NAMES = /** @type {Record<string, string>} */ ({
  key: `${KEY_VARIABLE} (journal.key of the fleet)`,
  fromKey: `${FROM_KEY_VARIABLE} (the directory's journal.key)`,
  'to.url': '--to',
  url: '--to',
  schema: '--schema',
  shards: 'journal.postgres.shards',
})

/** The move was refused, or ended early. */
class MoveError extends Error {}

/**
 * @param {MigrateSettings} settings
 * @returns {Promise<number>} the exit status
 * @throws {UsageError}
 */
export async function migrateCommand(settings) {
  const options = JSON.stringify(await moveOptions(settings))
  const watch = watchProcess(() => {})
  try {
    return await moveAs(options, settings, watch)
  } catch (error) {
    if (error instanceof Interrupt) {
      process.stderr.write('Interrupted. The same command goes on.\n')
      return error.exitStatus
    }
    if (!(error instanceof MoveError)) throw error
    process.stderr.write(`dollar-send: ${harmless(error.message)}\n`)
    return EXIT.failed
  } finally {
    watch.stop()
  }
}

/**
 * @param {string} options
 * @param {MigrateSettings} settings
 * @param {ReturnType<typeof watchProcess>} watch
 */
async function moveAs(options, settings, watch) {
  const plan = await move(options, true, watch)
  const isOver = plan.state === 'alreadyMoved'
  if (settings.plan || isOver) return print(plan, settings)
  if (!settings.json) process.stderr.write(planText(plan, settings))
  if (!(await agreed(settings, watch))) return EXIT.failed
  return print(await move(options, false, watch), settings)
}

/**
 * The options of the move: those of the command line, then those of the configuration.
 *
 * @param {MigrateSettings} settings
 */
async function moveOptions({ from, to, schema, ca, config }) {
  const { options } = await configuration({ config }, 'optional')
  const { journal = {} } = options
  const shared = journal.postgres
  const url = to ?? shared?.url
  if (url === undefined)
    throw new UsageError(
      'migrate needs the database: --to postgres://…, or a --config with journal.postgres.',
    )
  // The configuration is that of the fleet, or that of the directory.
  const own = keyText(journal.key)
  const key = process.env[KEY_VARIABLE] || (shared ? own : undefined)
  if (key === undefined)
    throw new UsageError(
      `migrate needs the key that the nodes share: ${KEY_VARIABLE} in the environment, or a ` +
        '--config with journal.postgres and journal.key.',
    )
  const fromKey = process.env[FROM_KEY_VARIABLE] || (shared ? undefined : own)
  return {
    from: resolve(from),
    fromKey,
    key,
    to: {
      url,
      schema: schema ?? shared?.schema,
      shards: shared?.shards,
      ca: ca === undefined ? shared?.ca : authorities(ca),
    },
  }
}

/** @param {string} file @returns {string} */
function authorities(file) {
  if (!existsSync(file)) throw new UsageError(`--ca ${file}: there is no such file.`)
  return readFileSync(file, 'utf8')
}

/**
 * Moves, or plans to.
 *
 * @param {string} options
 * @param {boolean} isPlan
 * @param {ReturnType<typeof watchProcess>} watch
 * @returns {Promise<Report>}
 * @throws {MoveError}
 */
async function move(options, isPlan, watch) {
  const native = require('../native.cjs')
  const progress = showProgress(process.stderr, () => {
    const [moved, total] = native.migrated()
    return isPlan || !total ? 'Reading the directory' : `Moved ${moved} of ${total} executions`
  })
  try {
    return JSON.parse(await Promise.race([native.migrate(options, isPlan), watch.interrupted]))
  } catch (error) {
    const { code, message } = /** @type {{ code?: string, message: string }} */ (error)
    if (!code?.startsWith('ERR_SEND_')) throw error
    const named = message.replace(/^migrate: ([\w.]+)/, (_, name) => NAMES[name] ?? name)
    if (code === 'ERR_SEND_INVALID_OPTION') throw new UsageError(named, { cause: error })
    throw new MoveError(named, { cause: error })
  } finally {
    progress.stop()
  }
}

/**
 * Asks, on a terminal.
 *
 * @param {MigrateSettings} settings
 * @param {ReturnType<typeof watchProcess>} watch
 */
async function agreed({ yes }, watch) {
  if (yes || !(process.stdin.isTTY && process.stderr.isTTY)) return true
  const reader = createInterface({ input: process.stdin, output: process.stderr })
  // A terminal in raw mode sends the key, not the signal.
  reader.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    const answer = await Promise.race([
      reader.question('No engine opens the directory again after that. Move it? [y/N] '),
      watch.interrupted,
    ])
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    reader.close()
  }
}

/** @param {Report} report @param {MigrateSettings} settings @returns {number} the exit status */
function print(report, settings) {
  if (settings.json) process.stdout.write(`${harmlessJson(report)}\n`)
  else if (report.state === 'alreadyMoved')
    process.stdout.write(
      `Already moved: ${oneLine(settings.from)} is in ${oneLine(report.target)} since ${report.movedAt}.\n`,
    )
  else if (report.state === 'moved')
    process.stdout.write(
      `Moved ${contentText(report)} to ${oneLine(report.target)}.\n` +
        `The nodes deliver what waits. ${oneLine(settings.from)} is only needed for the stores of steps, ` +
        'the warehouse and the files in it.\n',
    )
  else process.stdout.write(planText(report, settings))
  return EXIT.delivered
}

/** @param {Report} plan @param {MigrateSettings} settings @returns {string} */
function planText(plan, { from }) {
  const { state, target } = plan
  const verb = state === 'begun' ? 'Goes on moving' : 'Moves'
  return `${verb} ${oneLine(from)} to ${oneLine(target)}:\n  ${contentText(plan)}\n`
}

/** @param {Report} report @returns {string} what the directory has */
function contentText(report) {
  const { executions, deliveries, calls, batches, pauses, events, subscriptions, webhooks } = report
  const more = /** @type {[number, string, string?][]} */ ([
    [batches, 'sealed batch', 'sealed batches'],
    [pauses, 'pause'],
    [events, 'event'],
    [subscriptions, 'subscription'],
    [webhooks, 'webhook'],
  ])
  const parts = [
    counted(executions, 'execution'),
    counted(deliveries, 'finished delivery', 'finished deliveries'),
    counted(calls, 'waiting call'),
    ...more.filter(([count]) => count > 0).map((part) => counted(...part)),
  ]
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`
}

/** @param {number} count @param {string} one @param {string} [many] */
function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`
}
