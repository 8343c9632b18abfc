// @ts-check
'use strict'

/**
 * Finds what a step started and did not wait for: timers of its own code, and requests of `node:http`,
 * which is what axios and most clients use. Node's `fetch` and many packages keep timers of their own,
 * which a step cannot wait for.
 *
 * The hook is enabled while a step runs. It collects, and the step's end asks what is still under way.
 */

const { createHook } = require('node:async_hooks')
const { stepIfAny } = require('./context.cjs')

// Taken now, so that the clock of a test does not stand for it later.
const { setImmediate } = globalThis

/** More than a message has a use for. */
const MAX_STARTED = 1000

/** @typedef {{ type: string, resource: object }} Started A resource of `async_hooks`. */
/** @typedef {{ hasRef(): boolean, _destroyed?: boolean }} Timer */
/** @typedef {{ host: string, destroyed: boolean, res?: { complete: boolean } }} Request */

/** @type {Record<string, (resource: object) => string | undefined>} Names what is under way, by its type. */
const UNDER_WAY = {
  Timeout: (timer) => (isUnderWay(/** @type {Timer} */ (timer)) ? 'a timer' : undefined),
  Immediate: (timer) => (isUnderWay(/** @type {Timer} */ (timer)) ? 'an immediate' : undefined),
  HTTPCLIENTREQUEST(resource) {
    const { req } = /** @type {{ req?: Request }} */ (resource)
    return !req || req.destroyed || req.res?.complete ? undefined : `a request to ${req.host}`
  },
}

/** @param {Timer} timer */
function isUnderWay(timer) {
  return !timer._destroyed && timer.hasRef()
}

/** Frames between a timer and the code that started it. */
const TIMER_FRAMES = /node:internal\/(?:async_hooks|timers)|node:timers/
const FRAMES = 12

/** Returns whether the code that starts a timer now is neither Node's nor a package's. */
function isOwnTimer() {
  const { stackTraceLimit } = Error
  // Unlike an assignment, it does not throw where `Error` is frozen.
  Reflect.set(Error, 'stackTraceLimit', FRAMES)
  try {
    const [, ...frames] = String(new Error('a timer starts').stack).split('\n')
    const caller = frames.find((frame) => !isOfTimers(frame))
    return caller !== undefined && !/\bnode:|node_modules/.test(caller)
  } catch {
    // A `prepareStackTrace` of others may throw; an exception in a hook would end the process.
    return false
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  }
}

/** @param {string} frame of a stack */
function isOfTimers(frame) {
  return TIMER_FRAMES.test(frame) || frame.includes(__filename)
}

let running = 0

const hook = createHook({
  init(_id, type, _trigger, resource) {
    if (type === 'PROMISE' || !Object.hasOwn(UNDER_WAY, type)) return
    const host = stepIfAny()?.host
    if (host === undefined) return
    if (host.isOver) {
      if (type === 'HTTPCLIENTREQUEST') host.late('a request')
    } else if (host.started.length < MAX_STARTED) {
      if (type === 'HTTPCLIENTREQUEST' || isOwnTimer()) host.started.push({ type, resource })
    }
  },
})

/** Begins to collect what steps start. */
function watch() {
  if (++running === 1) hook.enable()
}

/** Ends that for one step, a turn of the event loop later: a request gets its socket in the next tick. */
function unwatch() {
  setImmediate(() => {
    if (--running === 0) hook.disable()
  }).unref()
}

/**
 * Returns what a step started that is still under way.
 *
 * @param {Started[]} started
 */
function leftover(started) {
  for (const { type, resource } of started) {
    const found = UNDER_WAY[type](resource)
    if (found !== undefined) return found
  }
  return undefined
}

module.exports = { leftover, unwatch, watch }
