// `dollar-send run`: steps, from their files to the last delivery.

import { Console } from 'node:console'
import { inspect } from 'node:util'

import executions from '../execution.cjs'
import root from '../index.cjs'
import components from '../runner/component.cjs'
import results from '../runner/result.cjs'
import runner from '../runner/run.cjs'
import values from '../values.cjs'
import { configuration } from './config.mjs'
import { asUsage, engineOptions } from './engine.mjs'
import { loadEnvironment, loadJson, loadObject, loadStep } from './load.mjs'
import { createPaint, harmless, harmlessJson, oneLine } from './paint.mjs'
import { asText as deliveriesText } from './log.mjs'
import { formatResult, formatSummary } from './print.mjs'
import { propsOf, runInOrder, stepNames } from './sequence.mjs'
import { EXIT } from './usage.mjs'
import { leftText, waitForDeliveries } from './wait.mjs'
import { Interrupt, watchProcess } from './watch.mjs'

const { Engine } = root

/** @typedef {import('./arguments.mjs').RunSettings} RunSettings */
/** @typedef {import('./print.mjs').Logged} Delivery */
/** @typedef {import('../engine.cjs').Engine} Engine */
/** @typedef {import('../runner/run.cjs').Result} Result */
/** @typedef {import('./sequence.mjs').Dictionary} Dictionary */
/** @typedef {import('./sequence.mjs').NamedStep} NamedStep */
/**
 * How a run went.
 *
 * @typedef {object} Outcome
 * @property {string} executionId
 * @property {Result & { steps?: Record<string, Result> }} [result] how the step ended; absent when it did not
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
 * @param {Engine} engine
 * @param {string} executionId
 * @returns {Promise<Delivery[]>}
 */
async function logged(engine, executionId) {
  const rows = await engine.deliveries({ executionId, limit: ALL })
  return rows.reverse()
}

/**
 * Waits for the deliveries of a completed execution.
 *
 * @param {Engine} engine
 * @param {string} executionId
 * @param {number} waitMs
 * @returns {Promise<Delivery[]>}
 */
async function settle(engine, executionId, waitMs) {
  // Batches are not waited for until they are due.
  void engine.flush().catch(() => {})
  return waitForDeliveries(() => logged(engine, executionId), { waitMs })
}

/**
 * Runs the steps in one execution and waits for their deliveries.
 *
 * @param {Engine} engine
 * @param {NamedStep[]} steps
 * @param {RunSettings} settings
 * @param {import('./sequence.mjs').Input} input
 * @returns {Promise<Outcome>}
 */
async function execute(engine, steps, settings, input) {
  const execution = await asUsage(() => engine.execution({ workflowId: settings.workflow }))
  const { executionId } = execution
  /** @type {Omit<Outcome, 'deliveries'>} */
  const outcome = { executionId }
  const watch = watchProcess((error) => {
    outcome.thrown ??= { error }
  })
  let handedOver = false
  const complete = async (/** @type {{ error?: unknown } | undefined} */ end = undefined) => {
    const receipt = await execution.complete(end)
    handedOver = true
    return receipt
  }
  try {
    const state = executions.stateOf(execution)
    const run = asUsage(() =>
      runInOrder(steps, input, ({ name, target }, own) =>
        runner.runResolved(execution, state, name, target, own, watch.crashed),
      ),
    )
    const result = await Promise.race([run, watch.interrupted])
    outcome.result = result
    if (result.status === 'threw') {
      outcome.thrown ??= { error: result.error }
      await results.completeFailed({ complete }, result.error)
    } else {
      await complete().catch((error) => {
        outcome.thrown ??= { error }
      })
    }
    // Of a completion that was refused, nothing will settle: waiting for it would never end.
    const settled = handedOver
      ? settle(engine, executionId, settings.waitMs)
      : logged(engine, executionId)
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
  const failure = values.memberOf(error, 'completionError')
  if (!failure) return text
  return `${text}\nIts deliveries were not handed over: ${values.memberOf(failure, 'message')}`
}

/** @param {Outcome} outcome @param {number} waitMs @returns {string} what belongs on standard error */
function complaints({ thrown, interrupt, deliveries }, waitMs) {
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
  const left = interrupt ? '' : leftText(deliveries, waitMs)
  return `${lines.map((line) => `${harmless(line)}\n`).join('')}${left}`
}

/** @param {Outcome} outcome @param {boolean} verbose @returns {string} */
function asText({ result, deliveries }, verbose) {
  const paint = createPaint(process.stdout)
  const parts = []
  const results = Object.entries(result?.steps ?? { '': result })
  for (const [name, one] of results) {
    const said = one ? formatResult(one, paint) : ''
    if (said)
      parts.push(`${paint('bold', name ? `The step ${oneLine(name)}` : 'The step')}\n${said}`)
  }
  const text = parts.map((part) => `${part}\n`).join('')
  return `${deliveriesText(deliveries, verbose)}${text}${formatSummary(deliveries, paint)}`
}

/** @param {unknown} value @returns {unknown} the value, or its text when JSON cannot hold it */
function jsonable(value) {
  try {
    return JSON.parse(JSON.stringify(value) ?? 'null')
  } catch {
    return inspect(value)
  }
}

/** @param {Partial<Result>} result of a step @returns {Record<string, unknown>} what the report has of it */
function said({ returnValue, exports, end, exit, response }) {
  return Object.fromEntries(
    Object.entries({ returnValue, exports, end, exit, response })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, jsonable(value)]),
  )
}

/** @param {Outcome} outcome @returns {string} */
function asJson({ executionId, result, thrown, deliveries }) {
  const delivered = deliveries.filter(({ status }) => status === 'delivered').length
  const all = Object.entries(result?.steps ?? {}).map(([name, one]) => [name, said(one)])
  const error =
    thrown && (thrown.error instanceof Error ? thrown.error.message : inspect(thrown.error))
  const report = {
    executionId,
    ...said(result ?? {}),
    steps: result?.steps && Object.fromEntries(all),
    error,
    delivered,
    total: deliveries.length,
    deliveries,
  }
  return `${harmlessJson(report)}\n`
}

/**
 * Loads the steps that `settings` name.
 *
 * @param {RunSettings} settings
 * @param {Dictionary} props
 * @returns {Promise<NamedStep[]>}
 */
async function loadSteps({ files, step }, props) {
  const names = files.length === 1 ? [step] : stepNames(files)
  const parts = propsOf(names, props)
  const steps = []
  for (const [index, file] of files.entries()) {
    const loaded = await loadStep(file)
    const target = await asUsage(() => components.resolveTarget(loaded))
    steps.push({ name: names[index], target, props: parts[index] })
  }
  return steps
}

/**
 * Runs the steps that `settings` name and prints what became of them.
 *
 * @param {RunSettings} settings
 * @returns {Promise<number>} the exit status
 * @throws {import('./usage.mjs').UsageError}
 */
export async function runCommand(settings) {
  // The step's own console.log must not get between the lines of the JSON.
  if (settings.json) globalThis.console = new Console(process.stderr)
  const event = await loadJson('--event', settings.event)
  const props = await loadObject('--props', settings.props)
  const earlier = await loadObject('--steps', settings.steps)
  const auths = await loadObject('--auths', settings.auths)
  await loadEnvironment(settings.envFile)
  const steps = await loadSteps(settings, props)
  const configured = await configuration(settings, 'optional')
  const engine = await asUsage(() => Engine.open(engineOptions(configured, settings)))
  engine.on('warning', (/** @type {import('../../index.js').WarningEvent} */ { message }) => {
    process.stderr.write(`! ${oneLine(message)}\n`)
  })
  const outcome = await execute(engine, steps, settings, { event, steps: earlier, auths })
  process.stdout.write(settings.json ? asJson(outcome) : asText(outcome, settings.verbose))
  process.stderr.write(complaints(outcome, settings.waitMs))
  await engine.close({ timeoutMs: CLOSE_MS })
  return exitStatus(outcome)
}
