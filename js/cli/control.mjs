// `dollar-send pause`, `resume` and `retry-now`: the control of a running engine, or of a directory.

import { configuration } from './config.mjs'
import { Directory, wholeIds } from './directory.mjs'
import { asUsage, checkJournal, engineOptions, LOOKING, openOrFind } from './engine.mjs'
import { createPaint, harmlessJson, oneLine } from './paint.mjs'
import { Server } from './server.mjs'
import { EXIT, UsageError } from './usage.mjs'

/** @typedef {import('./queue-arguments.mjs').PauseSettings} PauseSettings */
/** @typedef {import('./queue-arguments.mjs').RetrySettings} RetrySettings */

/**
 * Opens the directory without delivering, or finds the engine that has it open.
 *
 * @param {{ config?: string, dataDir?: string, url?: string, token?: string }} settings
 * @param {string} verb
 */
async function found(settings, verb) {
  const { url, token } = settings
  if (url) return { server: new Server(url, token) }
  const configured = await configuration(settings)
  checkJournal(configured)
  const looking = configured.file === undefined ? LOOKING : { deliver: false }
  const options = { ...engineOptions(configured, {}), ...looking }
  const { engine, address } = await openOrFind(configured, options, verb)
  return engine
    ? { engine, configured }
    : { server: new Server(String(address), token), configured }
}

/**
 * @param {'pause' | 'resume'} act
 * @param {PauseSettings} settings
 * @returns {Promise<number>} the exit status
 */
export async function pauseCommand(act, settings) {
  const { server, engine, configured } = await found(settings, act)
  let pauses
  if (server) pauses = await server.changePauses(act, settings.target)
  else {
    try {
      pauses = await asUsage(() => engine[act](settings.target))
    } finally {
      await engine.close({ timeoutMs: 0 })
    }
    process.stderr.write(
      `No engine has ${oneLine(String(configured?.dataDir))} open: this holds when one opens it.\n`,
    )
  }
  process.stdout.write(settings.json ? `${harmlessJson(pauses)}\n` : pausesText(pauses))
  return EXIT.delivered
}

/** @typedef {import('../../index.js').Pause} Pause */

/** @param {Pause[]} pauses @returns {string} a line each */
function pausesText(pauses) {
  if (pauses.length === 0) return 'Nothing is paused.\n'
  const paint = createPaint(process.stdout)
  const line = (/** @type {Pause} */ { host, destination, workflowId, since }) => {
    const [kind, name] = host
      ? ['host', host]
      : destination
        ? ['destination', destination]
        : workflowId
          ? ['workflow', workflowId]
          : ['everything', '']
    const target = `${kind} ${oneLine(name)}`.trim()
    return `${paint('yellow', 'paused')}  ${target}  ${paint('dim', `since ${since}`)}\n`
  }
  return pauses.map(line).join('')
}

/**
 * @param {RetrySettings} settings
 * @returns {Promise<number>} the exit status
 */
export async function retryCommand(settings) {
  const { ids, filter, json } = settings
  const { server, engine, configured } = await found(settings, 'retry')
  if (engine) {
    await engine.close({ timeoutMs: 0 })
    throw new UsageError(
      `No engine has ${configured?.dataDir} open, so nothing is attempted there. What waits is ` +
        'attempted when one opens it: start the runner, or dollar-send serve.',
    )
  }
  const source = configured ? new Directory(configured) : /** @type {Server} */ (server)
  const selection =
    ids.length > 0
      ? { ids: await wholeIds(source, ids, ({ status }) => status === 'pending') }
      : filter
  const retried = await /** @type {Server} */ (server).retryNow(selection)
  const noun = retried === 1 ? 'delivery' : 'deliveries'
  process.stdout.write(
    json ? `${harmlessJson({ retried })}\n` : `${retried} ${noun} attempted now.\n`,
  )
  return EXIT.delivered
}
