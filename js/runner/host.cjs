// @ts-check
'use strict'

/**
 * `StepHost`: everything that one run of one step finds beside its destinations, and everything it
 * leaves behind.
 */

const { inspect } = require('node:util')
const { invalidArgument } = require('../errors.cjs')
const { memberOf, messageOf } = require('../values.cjs')
const { leftover } = require('./leftover.cjs')
const { contextOf, eventOf, isObject, stepsOf } = require('./steps.cjs')
const { NO_FILES, unsupported } = require('./unsupported.cjs')

/** @typedef {import('./steps.cjs').Dictionary} Dictionary */
/** @typedef {import('./component.cjs').Callable} Callable */
/** @typedef {import('./run.cjs').Running} Execution */
/** @typedef {import('./options.cjs').Input} Input */
/** @typedef {{ name: string, arguments: unknown[] }} FlowCall */
/** @typedef {import('./checkpoint.cjs').Checkpoint} Checkpoint */

/** Members of `$.flow` that pause the workflow: what is recorded leaves before they are called. */
const PAUSING = ['suspend', 'delay', 'rerun']
const OTHERS = ['resume', 'trigger']

class StepHost {
  /** @type {Map<string, unknown>} */ exports = new Map()
  /** @type {{ reason: unknown } | undefined} */ exit
  /** @type {unknown} */ response
  /** @type {FlowCall[]} */ flow = []
  /** @type {string[]} */ warnings = []
  /** @type {Map<string, unknown> | undefined} Globals that the step replaced for itself. */ replaced
  /** @type {Checkpoint} */ checkpoint
  /** @type {NodeJS.Timeout | undefined} */ deadline
  /** @type {import('./leftover.cjs').Started[]} Timers and requests that the step started. */
  started = []
  isOver = false
  #isLate = false
  #execution
  #name
  #input
  /** @type {Promise<unknown>[]} */ #flushes = []

  /**
   * @param {Execution} execution
   * @param {string} name the step's
   * @param {Input} input
   * @param {Checkpoint} checkpoint
   * @param {number} attempt
   */
  constructor(execution, name, input, checkpoint, attempt) {
    this.#execution = execution
    this.#name = name
    this.#input = input
    this.checkpoint = checkpoint
    const { executionId = '', workflowId = '' } = execution
    const given = memberOf(input.steps?.trigger, 'context')
    const known = isObject(given) ? given : {}
    this.event = eventOf(input)
    this.context = contextOf({ executionId, workflowId, attempt }, { ...known, ...input.context })
    this.steps = stepsOf(input.steps, this.event, this.context)
  }

  get attachments() {
    return this.#input.attachments ?? memberOf(this.#input.event, 'attachments') ?? {}
  }

  /**
   * Adds an export; later steps find it as `steps.NAME[name]`.
   *
   * @param {string} name
   * @param {unknown} value
   */
  export(name, value) {
    if (typeof name !== 'string') {
      throw invalidArgument(
        `$.export(): the name must be a string, not ${inspect(name, { depth: 0 })}`,
      )
    }
    if (!this.late('$.export()')) this.exports.set(name, value)
  }

  /**
   * Keeps the response for the trigger; the last one counts. With `immediate` the runner gets it now.
   *
   * @param {unknown} response
   * @returns {Promise<void>}
   */
  respond(response) {
    if (this.late('$.respond()')) return Promise.resolve()
    this.response = response
    const { respond } = this.#input
    if (!respond || memberOf(response, 'immediate') !== true) return Promise.resolve()
    const responded = (async () => {
      await respond(response)
    })()
    // A step need not await it: a failure must not end the process.
    responded.catch((error) => {
      this.warnings.push(`the immediate response failed: ${messageOf(error)}`)
    })
    return responded
  }

  /**
   * Returns the `$.flow` of the step.
   *
   * @returns {Dictionary}
   */
  dollarFlow() {
    const { flow = {} } = this.#input
    /** @type {Dictionary} */
    const members = {
      ...flow,
      exit: (/** @type {unknown} */ reason) => {
        // The first call decides: the workflow has ended for the runner, whatever the step still does.
        if (!this.late('$.flow.exit()')) this.exit ??= { reason }
      },
      refreshTimeout: (/** @type {unknown[]} */ ...args) => this.#refreshTimeout(args),
    }
    for (const name of PAUSING) members[name] = this.#flowMember(name, true)
    for (const name of OTHERS) members[name] = this.#flowMember(name, false)
    return members
  }

  /**
   * Returns a member of `$.flow` that is the runner's.
   *
   * @param {string} name
   * @param {boolean} pauses
   */
  #flowMember(name, pauses) {
    return (/** @type {unknown[]} */ ...args) => {
      if (this.late(`$.flow.${name}()`)) return undefined
      const member = this.#input.flow?.[name]
      if (typeof member !== 'function') throw unsupported(`$.flow.${name}()`, `flow: { ${name} }`)
      this.flow.push({ name, arguments: args })
      const flushed = pauses ? this.#flush() : undefined
      const returned = member.call(this.#input.flow, ...args)
      if (flushed === undefined || typeof returned?.then !== 'function') return returned
      return flushed.then(() => returned)
    }
  }

  /** @param {unknown[]} args */
  #refreshTimeout(args) {
    if (this.late('$.flow.refreshTimeout()')) return undefined
    const refresh = /** @type {Callable | undefined} */ (this.#input.flow?.refreshTimeout)
    if (typeof refresh !== 'function' && !this.deadline) {
      throw unsupported('$.flow.refreshTimeout()', 'timeoutMs or flow: { refreshTimeout }')
    }
    this.deadline?.refresh()
    return refresh?.call(this.#input.flow, ...args)
  }

  /**
   * Hands over what is recorded so far. The calls are taken synchronously: whatever runs next finds
   * them on their way.
   */
  #flush() {
    const flushed = Promise.resolve(this.#execution.flush?.()).catch((error) => {
      this.warnings.push(`what was recorded is not handed over yet: ${messageOf(error)}`)
    })
    this.#flushes.push(flushed)
    return flushed
  }

  /** Waits for what was flushed, and hands over what was recorded after a pausing call. */
  async finishFlushes() {
    if (this.#flushes.length === 0) return
    this.#flush()
    await Promise.all(this.#flushes)
  }

  /**
   * Returns the `$` of a component: the step's own plus what a runner adds.
   *
   * @param {import('./run.cjs').Step} step
   * @param {(name: string) => unknown} serviceDb
   * @returns {Dictionary}
   */
  dollar(step, serviceDb) {
    const respond = (/** @type {unknown} */ response) => this.respond(response)
    return {
      ...step.$,
      send: step.$?.send ?? step.$send,
      export: (/** @type {string} */ name, /** @type {unknown} */ value) =>
        this.export(name, value),
      respond,
      flow: this.dollarFlow(),
      context: this.context,
      event: this.event,
      files: this.#input.files ?? NO_FILES,
      attachments: this.attachments,
      interface: { http: { respond } },
      service: {
        get db() {
          return serviceDb('db')
        },
      },
    }
  }

  /**
   * Replaces a global for this step.
   *
   * @param {string} name
   * @param {unknown} value
   */
  replace(name, value) {
    this.replaced ??= new Map()
    this.replaced.set(name, value)
  }

  /** Ends the step, and warns of what it started and did not wait for. */
  end() {
    this.isOver = true
    const found = leftover(this.started)
    this.started = []
    if (found !== undefined) this.#warn(`${found} is not waited for`)
  }

  /**
   * Returns whether the step has ended, and warns of the first use after that.
   *
   * @param {string} used
   */
  late(used) {
    if (this.isOver) this.#warn(`${used} has no effect on it`)
    return this.isOver
  }

  /** @param {string} why */
  #warn(why) {
    if (this.#isLate) return
    this.#isLate = true
    const message =
      `step ${this.#name} of workflow ${this.#execution.workflowId} still runs when it has ended: ` +
      `${why}. Await what the step starts before it returns`
    this.warnings.push(message)
    process.emitWarning(message, {
      type: 'DollarSendWarning',
      code: 'ERR_SEND_EXECUTION_COMPLETED',
    })
  }
}

module.exports = { StepHost }
