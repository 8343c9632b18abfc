// What can happen to the process while a step runs: signals, crashes outside the step's promise, and a
// step whose promise nothing can settle any more.

/** A signal that asks the command to stop. */
export class Interrupt extends Error {
  /** @param {'SIGINT' | 'SIGTERM'} signal */
  constructor(signal) {
    super(`Interrupted by ${signal}`)
    this.signal = signal
    /** The shell's convention: 128 and the signal's number. */
    this.exitStatus = signal === 'SIGINT' ? 130 : 143
  }
}

/**
 * Watches the process until `stop()`.
 *
 * `interrupted` rejects with an {@link Interrupt}; a second signal ends the process at once.
 * `crashed` rejects with what the step threw outside its own promise, or when it can never end.
 *
 * @param {(error: unknown) => void} onLateError told of every crash, also of those after the first
 */
export function watchProcess(onLateError) {
  const crashed = rejection()
  const interrupted = rejection()
  let interrupts = 0
  /** @param {unknown} error */
  const onCrash = (error) => {
    onLateError(error)
    crashed.reject(error)
  }
  const onIdle = () =>
    crashed.reject(
      new Error(
        'The step never ended: its promise is pending, and nothing is left that could settle it',
      ),
    )
  /** @param {unknown} signal */
  const onSignal = (signal) => {
    const interrupt = new Interrupt(/** @type {'SIGINT' | 'SIGTERM'} */ (signal))
    if (++interrupts > 1) process.exit(interrupt.exitStatus)
    interrupted.reject(interrupt)
  }
  /** @type {[string, (argument: unknown) => void][]} */
  const listeners = [
    ['uncaughtException', onCrash],
    ['unhandledRejection', onCrash],
    ['beforeExit', onIdle],
    ['SIGINT', onSignal],
    ['SIGTERM', onSignal],
  ]
  for (const [event, listener] of listeners) process.on(event, listener)
  return {
    crashed: crashed.promise,
    interrupted: interrupted.promise,
    stop() {
      for (const [event, listener] of listeners) process.off(event, listener)
    },
  }
}

/** A promise that only ever rejects, and that nobody has to handle. */
function rejection() {
  /** @type {(reason: unknown) => void} */
  let reject = () => {}
  /** @type {Promise<never>} */
  const promise = new Promise((_, refuse) => {
    reject = refuse
  })
  promise.catch(() => {})
  return { promise, reject }
}
