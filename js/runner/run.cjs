// @ts-check
'use strict'

/**
 * Runs one step of an open execution: gives it what it expects of its host, and returns how it ended.
 *
 * It schedules nothing, retries nothing and completes nothing: `workflow.cjs` and runners do that.
 */

const { sendError } = require('../errors.cjs')
const { memberOf } = require('../values.cjs')
const { Checkpoint } = require('./checkpoint.cjs')
const { componentThis, resolveTarget } = require('./component.cjs')
const { runInStep } = require('./context.cjs')
const { StepHost } = require('./host.cjs')
const { unwatch, watch } = require('./leftover.cjs')
const { STEP, checkName, checkOptions } = require('./options.cjs')
const { endOf } = require('./result.cjs')
const { servicesFor } = require('./services.cjs')
require('./globals.cjs')

/** @typedef {import('./component.cjs').Target} Target */
/** @typedef {import('./options.cjs').Input} Input */
/** @typedef {import('./services.cjs').HostState} HostState */
/** @typedef {import('./steps.cjs').Dictionary} Dictionary */
/** @typedef {import('../../index.d.ts').CompletionReceipt} Receipt */
/** @typedef {import('./context.cjs').CurrentStep & { $?: { send?: unknown } }} Step */
/**
 * @typedef {object} Running What running a step needs of an execution.
 * @property {string} [executionId]
 * @property {string} [workflowId]
 * @property {(name: string) => Step} step
 * @property {() => Promise<unknown>} [flush]
 *
 * @typedef {object} Ending What ending an execution needs of it.
 * @property {(outcome?: { error?: unknown }) => Promise<Receipt>} complete
 * @property {() => unknown} discard
 *
 * @typedef {Running & Ending} Execution
 */
/** @typedef {ReturnType<typeof resultOf>} Result */
/** @typedef {'returned' | 'threw' | 'ended' | 'exited' | 'suspended'} Status */

// Taken now, so that the clock of a test does not stand for it later.
const { setTimeout, clearTimeout } = globalThis

/**
 * Runs a step of an execution. Rejects for wrong arguments alone: what the step throws is in the result.
 *
 * @param {Running} execution
 * @param {HostState} state of the execution's engine
 * @param {string} name the step's
 * @param {unknown} given the step
 * @param {unknown} [options]
 */
async function runGiven(execution, state, name, given, options = {}) {
  checkName('execution.run(): the name of the step', name)
  const input = checkOptions('execution.run()', options, STEP)
  return runResolved(execution, state, name, resolveTarget(given, 'execution.run()'), input)
}

/**
 * Runs a step whose target and options were checked.
 *
 * @param {Running} execution
 * @param {HostState} state
 * @param {string} name
 * @param {Target} target
 * @param {Input} input
 * @param {Promise<never>} [abandoned] rejects when the caller stops waiting for the step, which then
 *   counts as thrown with that reason
 */
async function runResolved(execution, state, name, target, input, abandoned) {
  const services = servicesFor(state, execution.workflowId ?? '', name, input.services)
  const checkpoint = new Checkpoint(services.checkpoint, services.key)
  if (input.services?.checkpoint) await checkpoint.load()
  const host = new StepHost(execution, name, input, checkpoint, state.attempt)
  const self = selfOf(target, input, host, services)
  const step = Object.assign(execution.step(name), { host })
  const before = new Set(Object.keys(self))
  watch()
  const outcome = await settle(target, step, self, input, services, abandoned)
  host.end()
  unwatch()
  exportsOfThis(target, self, before, host)
  await host.finishFlushes()
  if (checkpoint.isUsed) keepWarning(host, await checkpoint.save())
  const result = resultOf(execution, name, host, outcome)
  if (result.status === 'threw') {
    const { event, context } = host
    state.onThrown?.({ error: result.error, cellId: name, event, context })
  }
  if (result.status === 'ended') state.onEnded?.(result.end?.message)
  if (result.status === 'exited') state.onEnded?.(result.exit?.reason)
  return result
}

/**
 * Returns the `this` of a step: for v1, what it assigns to it is what it exports.
 *
 * @param {Target} target
 * @param {Input} input
 * @param {StepHost} host
 * @param {import('./services.cjs').Services} services
 */
function selfOf(target, input, host, services) {
  const { props = {}, auths = {} } = input
  const self =
    target.kind === 'component'
      ? componentThis(target.component, props, auths, { host, services })
      : {}
  Object.defineProperty(self, '$checkpoint', {
    get: () => host.checkpoint.value,
    set: (value) => {
      host.checkpoint.value = value
    },
    configurable: true,
    enumerable: false,
  })
  return self
}

/**
 * Calls the step's function in its context and waits for it.
 *
 * @param {Target} target
 * @param {Step & { host: StepHost }} step
 * @param {Dictionary} self
 * @param {Input} input
 * @param {import('./services.cjs').Services} services
 * @param {Promise<never> | undefined} abandoned
 * @returns {Promise<{ returnValue?: unknown, thrown?: { error: unknown } }>}
 */
async function settle(target, step, self, input, services, abandoned) {
  const { host } = step
  const { props = {}, auths = {}, timeoutMs } = input
  const running = () =>
    runInStep(step, async () => {
      if (target.kind !== 'component') {
        return target.run.call(self, host.event, host.steps, props, auths)
      }
      const $ = host.dollar(step, (name) => services.open(`${services.key}/${name}`))
      return target.run.call(self, { event: host.event, steps: host.steps, $, auths })
    })
  try {
    if (timeoutMs === undefined && !abandoned) return { returnValue: await running() }
    return { returnValue: await raced(running, step, timeoutMs, abandoned) }
  } catch (error) {
    return { thrown: { error } }
  }
}

/**
 * @param {() => Promise<unknown>} running
 * @param {Step & { host: StepHost }} step
 * @param {number | undefined} timeoutMs
 * @param {Promise<never> | undefined} abandoned
 */
async function raced(running, { name, host }, timeoutMs, abandoned) {
  const others = abandoned ? [abandoned] : []
  if (timeoutMs !== undefined) {
    const timeout = new Promise((_, reject) => {
      host.deadline = setTimeout(() => {
        const message = `step ${name} did not end within ${timeoutMs} ms (timeoutMs)`
        reject(sendError(Error, 'ERR_SEND_TIMEOUT', message))
      }, timeoutMs)
    })
    others.push(/** @type {Promise<never>} */ (timeout))
  }
  try {
    return await Promise.race([running(), ...others])
  } finally {
    clearTimeout(host.deadline)
  }
}

/**
 * Adds what the step assigned to `this` to its exports. In a component those are the names that are
 * neither props nor methods.
 *
 * @param {Target} target
 * @param {Dictionary} self
 * @param {Set<string>} before names that it had before the step ran
 * @param {StepHost} host
 */
function exportsOfThis(target, self, before, host) {
  for (const name of Object.keys(self)) {
    if (before.has(name) || host.exports.has(name)) continue
    try {
      const value = self[name]
      if (target.kind === 'component' && typeof value === 'function') continue
      host.exports.set(name, value)
    } catch (error) {
      keepWarning(host, `this.${name} is not exported: ${memberOf(error, 'message')}`)
    }
  }
}

/** @param {StepHost} host @param {string | undefined} warning */
function keepWarning(host, warning) {
  if (warning !== undefined) host.warnings.push(warning)
}

/**
 * @param {Running} execution
 * @param {string} name
 * @param {StepHost} host
 * @param {{ returnValue?: unknown, thrown?: { error: unknown } }} outcome
 */
function resultOf(execution, name, host, { returnValue, thrown }) {
  const { exports, exit, response, flow, warnings } = host
  const end = thrown && endOf(thrown.error)
  if (returnValue !== undefined) exports.set('$return_value', returnValue)
  const result = {
    status: statusOf(thrown !== undefined, end !== undefined, host),
    executionId: execution.executionId,
    step: name,
    returnValue,
    error: end ? undefined : thrown?.error,
    exports: Object.fromEntries(exports),
    summary: exports.get('$summary'),
    response,
    flow,
    warnings,
  }
  return { ...result, ...(end && { end }), ...(exit && { exit }) }
}

/**
 * @param {boolean} threw
 * @param {boolean} ended
 * @param {StepHost} host
 * @returns {Status}
 */
function statusOf(threw, ended, { exit, flow }) {
  if (ended) return 'ended'
  if (threw) return 'threw'
  if (exit) return 'exited'
  const paused = flow.some(({ name }) => ['suspend', 'delay', 'rerun'].includes(name))
  return paused ? 'suspended' : 'returned'
}

module.exports = { runGiven, runResolved }
