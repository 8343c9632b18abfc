// `dollar-send serve`: the server of a data directory, until the process is asked to end.

import root from '../index.cjs'
import { asUsage, engineOptions } from './engine.mjs'
import { Interrupt, watchProcess } from './watch.mjs'

/** @type {any} */
const { Engine } = root

/** @typedef {import('./arguments.mjs').ServeSettings} ServeSettings */

/** Deliveries that are under way may take this long when the process is asked to end. */
const CLOSE_MS = 10_000

/** Where tokens may stand that are not to be seen in a list of processes. */
const TOKENS_VARIABLE = 'DOLLAR_SEND_TOKENS'

/** @param {ServeSettings} settings */
function serverOptions({ host, port, tokens, cors, publicUrl, publicStreams }) {
  const given = (process.env[TOKENS_VARIABLE] ?? '').split(',').map((token) => token.trim())
  return {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(publicUrl === undefined ? {} : { publicUrl }),
    tokens: [...tokens, ...given.filter(Boolean)],
    cors,
    accessLog: true,
    sse: { public: publicStreams },
  }
}

/**
 * @param {ServeSettings} settings
 * @returns {Promise<number>} the exit status
 * @throws {import('./usage.mjs').UsageError}
 */
export async function serveCommand(settings) {
  const options = { ...engineOptions(settings), server: serverOptions(settings) }
  const engine = await asUsage(() => Engine.open(options))
  engine.on('warning', (/** @type {{ message: string }} */ warning) => {
    process.stderr.write(`! ${warning.message}\n`)
  })
  const watch = watchProcess(() => {})
  // The server keeps no process alive.
  const alive = setInterval(() => {}, 2 ** 30)
  try {
    process.stdout.write(`Listening on ${engine.address().url}\n`)
    if (settings.dataDir === undefined)
      process.stderr.write(
        'Without --data-dir everything is in memory and ends with this process.\n',
      )
    await Promise.race([watch.interrupted, watch.crashed])
  } catch (error) {
    if (!(error instanceof Interrupt)) throw error
  } finally {
    clearInterval(alive)
    await engine.close({ timeoutMs: CLOSE_MS })
    watch.stop()
  }
  return 0
}
