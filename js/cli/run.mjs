// `dollar-send run`: one step, from its file to the last delivery.

import { Console } from 'node:console'
import { inspect } from 'node:util'

import root from '../index.cjs'
import runner from '../run-step.cjs'
import { asUsage, engineOptions } from './engine.mjs'
import { loadJson, loadStep } from './load.mjs'
import { createPaint, harmless } from './paint.mjs'
import { formatDelivery, formatResult, formatSummary } from './print.mjs'
import { showProgress } from './progress.mjs'
import { EXIT } from './usage.mjs'
import { Interrupt, watchProcess } from './watch.mjs'

/** @type {any} the engine's own types are those of `index.d.ts`; this file only passes them on */
const { Engine } = root

/** @typedef {import('./arguments.mjs').RunSettings} RunSettings */
/** @typedef {import('./print.mjs').Delivery} Delivery */
/**
 * How a run went.
 *
 * @typedef {object} Outcome
 * @property {string} executionId
 * @property {any} [result] what `runStep` answers; absent when the step threw
 * @property {{ error: unknown }} [thrown]
 * @property {Interrupt} [interrupt]
 * @property {Delivery[]} deliveries in call order
 */

/** More deliveries than a step that is interrupted will have recorded. */
const ALL = 1_000_000

/** What the log says of deliveries that an interrupt ended, as opposed to those that failed before it. */
const CUT_OFF = ['ERR_SEND_DISCARDED', 'ERR_SEND_INTERRUPTED']

/** Deliveries are over when the engine closes; this only bounds a close that goes wrong. */
const CLOSE_MS = 2000

/**
 * The deliveries of an execution as the log has them now, in call order.
 *
 * @param {any} engine
 * @param {string} executionId
 * @returns {Promise<Delivery[]>}
 */
async function logged(engine, executionId) {
  const rows = await engine.deliveries({ executionId, limit: ALL })
  return rows.reverse()
}

/**
 * Waits for every delivery of a completed execution.
 *
 * @param {any} engine
 * @param {any} execution
 * @returns {Promise<Delivery[]>}
 */
async function settle(engine, execution) {
  const total = (await logged(engine, execution.executionId)).length
  let settled = 0
  const onDelivery = (/** @type {any} */ delivery) => {
    if (delivery.executionId === execution.executionId) settled++
  }
  engine.on('delivery', onDelivery)
  const progress = showProgress(
    process.stderr,
    () => `Waiting for ${Math.max(total - settled, 0)} of ${total} deliveries`,
  )
  try {
    // Batches are not waited for until they are due.
    const [deliveries] = await Promise.all([execution.settled(), engine.flush()])
    return deliveries
  } finally {
    progress.stop()
    engine.off('delivery', onDelivery)
  }
}

/**
 * Runs the step and waits for its deliveries.
 *
 * @param {any} engine
 * @param {any} target
 * @param {RunSettings} settings
 * @param {{ event: unknown, props: any }} input
 * @returns {Promise<Outcome>}
 */
async function execute(engine, target, settings, input) {
  const { execution, step } = await asUsage(() => {
    const opened = engine.execution({ workflowId: settings.workflow })
    return { execution: opened, step: opened.step(settings.step) }
  })
  const { executionId } = execution
  /** @type {Omit<Outcome, 'deliveries'>} */
  const outcome = { executionId }
  const watch = watchProcess((error) => {
    outcome.thrown ??= { error }
  })
  let handedOver = false
  const complete = async (/** @type {any} */ end) => {
    const receipt = await execution.complete(end)
    handedOver = true
    return receipt
  }
  try {
    const run = runner.runPrepared({ executionId, complete }, step, target, input, watch.crashed)
    outcome.result = await Promise.race([run, watch.interrupted]).catch((error) => {
      if (error instanceof Interrupt) throw error
      outcome.thrown ??= { error }
    })
    // Of a completion that was refused, nothing will settle: waiting for it would never end.
    const settled = handedOver ? settle(engine, execution) : logged(engine, executionId)
    return { ...outcome, deliveries: await Promise.race([settled, watch.interrupted]) }
  } catch (error) {
    if (!(error instanceof Interrupt)) throw error
    if (!handedOver) execution.discard()
    // Cuts off what is under way, so that what is printed as not delivered stays so.
    await engine.close({ timeoutMs: 0 })
    return { ...outcome, interrupt: error, deliveries: await logged(engine, executionId) }
  } finally {
    watch.stop()
  }
}

/** @param {Outcome} outcome @returns {number} */
function exitStatus({ interrupt, thrown, deliveries }) {
  if (interrupt) return interrupt.exitStatus
  if (thrown) return EXIT.threw
  return deliveries.every(({ status }) => status === 'delivered') ? EXIT.delivered : EXIT.failed
}

/** @param {unknown} error @returns {string} */
function errorText(error) {
  const text = error instanceof Error ? inspect(error) : `The step threw ${inspect(error)}`
  const failure = /** @type {any} */ (error)?.completionError
  return failure ? `${text}\nIts deliveries were not handed over: ${failure.message}` : text
}

/** @param {Outcome} outcome @returns {string} what belongs on standard error */
function complaints({ thrown, interrupt, deliveries }) {
  const lines = []
  if (thrown) lines.push(errorText(thrown.error))
  if (interrupt) {
    const cut = deliveries.filter(
      ({ status, error }) => status !== 'delivered' && (!error || CUT_OFF.includes(error.code)),
    )
    lines.push(
      `${interrupt.message}: ${cut.length} of ${deliveries.length} recorded deliveries were not delivered.`,
    )
  }
  if (deliveries.some(({ error }) => error?.code === 'ERR_SEND_EGRESS_DENIED')) {
    lines.push(
      'Private and local addresses are refused unless --allow names them: --allow 127.0.0.0/8',
    )
  }
  return lines.map((line) => `${line}\n`).join('')
}

/** @param {Outcome} outcome @returns {string} */
function asText({ result, deliveries }) {
  const paint = createPaint(process.stdout)
  const parts = deliveries.map((delivery) => formatDelivery(delivery, paint))
  const said = result ? formatResult(result, paint) : ''
  if (said) parts.push(`${paint('bold', 'The step')}\n${said}`)
  return `${parts.map((part) => `${part}\n`).join('')}${formatSummary(deliveries, paint)}`
}

/** @param {unknown} value @returns {unknown} the value, or its text when JSON cannot hold it */
function jsonable(value) {
  try {
    return JSON.parse(JSON.stringify(value) ?? 'null')
  } catch {
    return inspect(value)
  }
}

/** @param {Outcome} outcome @returns {string} */
function asJson({ executionId, result, thrown, deliveries }) {
  const { returnValue, exports, end, exit, response } = result ?? {}
  const delivered = deliveries.filter(({ status }) => status === 'delivered').length
  const said = Object.entries({ returnValue, exports, end, exit, response })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, jsonable(value)])
  const error =
    thrown && (thrown.error instanceof Error ? thrown.error.message : inspect(thrown.error))
  const report = {
    executionId,
    ...Object.fromEntries(said),
    error,
    delivered,
    total: deliveries.length,
    deliveries,
  }
  return `${JSON.stringify(report, null, 2)}\n`
}

/**
 * Runs the step that `settings` name and prints what became of it.
 *
 * @param {RunSettings} settings
 * @returns {Promise<number>} the exit status
 * @throws {import('./usage.mjs').UsageError}
 */
export async function runCommand(settings) {
  // The step's own console.log must not get between the lines of the JSON.
  if (settings.json) globalThis.console = new Console(process.stderr)
  const event = await loadJson('--event', settings.event)
  const props = await loadJson('--props', settings.props)
  const module = await loadStep(settings.file)
  const target = await asUsage(() => runner.resolveTarget(module))
  const engine = await asUsage(() => Engine.open(engineOptions(settings)))
  engine.on('warning', (/** @type {any} */ warning) => {
    process.stderr.write(`! ${harmless(String(warning?.message ?? inspect(warning)))}\n`)
  })
  const outcome = await execute(engine, target, settings, { event, props })
  process.stdout.write(settings.json ? asJson(outcome) : asText(outcome))
  process.stderr.write(complaints(outcome))
  await engine.close({ timeoutMs: CLOSE_MS })
  return exitStatus(outcome)
}
