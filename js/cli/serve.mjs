// `dollar-send serve`: the server of a data directory, until the process is asked to end.

import root from '../index.cjs'
import { localAddress, openBrowser } from './browser.mjs'
import { configuration } from './config.mjs'
import { asUsage, engineOptions, LOOKING } from './engine.mjs'
import { oneLine } from './paint.mjs'
import { TOKENS_VARIABLE } from './server.mjs'
import { Interrupt, watchProcess } from './watch.mjs'

const { Engine } = root

/** @typedef {import('./arguments.mjs').ServeSettings} ServeSettings */

/** Deliveries that are under way may take this long when the process is asked to end. */
const CLOSE_MS = 10_000

const NOT_DELIVERING =
  'Nothing is delivered: there is no configuration (--config). --deliver delivers with the defaults.'

/**
 * The options of the server: those of the configuration, then those of the command line.
 *
 * @param {ServeSettings} settings
 * @param {import('../../index.js').ServerOptions} [own] those of the configuration
 */
function serverOptions({ host, port, tokens, cors, publicUrl, publicStreams }, own = {}) {
  const given = (process.env[TOKENS_VARIABLE] ?? '').split(',').map((token) => token.trim())
  return {
    ...own,
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(publicUrl === undefined ? {} : { publicUrl }),
    tokens: [...(own.tokens ?? []), ...tokens, ...given.filter(Boolean)],
    cors: [...(own.cors ?? []), ...cors],
    accessLog: own.accessLog ?? true,
    sse: { ...own.sse, public: [...(own.sse?.public ?? []), ...publicStreams] },
  }
}

/**
 * @param {ServeSettings} settings
 * @returns {Promise<number>} the exit status
 * @throws {import('./usage.mjs').UsageError}
 */
export async function serveCommand(settings) {
  const configured = await configuration(settings)
  const delivers = configured.file !== undefined || settings.deliver
  const options = {
    ...engineOptions(configured, settings),
    server: serverOptions(settings, configured.options.server),
    ...(delivers ? {} : LOOKING),
  }
  const engine = await asUsage(() => Engine.open(options))
  const url = String(engine.address()?.url)
  engine.on('warning', (/** @type {{ message: string }} */ warning) => {
    process.stderr.write(`! ${oneLine(warning.message)}\n`)
  })
  const watch = watchProcess(() => {})
  // The server keeps no process alive.
  const alive = setInterval(() => {}, 2 ** 30)
  try {
    process.stdout.write(`Listening on ${url}\n`)
    process.stderr.write(
      `Data directory: ${oneLine(String(configured.dataDir))}\n` +
        (configured.file === undefined ? '' : `Configuration: ${oneLine(configured.file)}\n`) +
        (delivers ? '' : `${NOT_DELIVERING}\n`),
    )
    if (settings.open) void showPage(url)
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

/** Opens the page in a browser, or says why not. @param {string} url */
async function showPage(url) {
  const address = localAddress(url)
  const reason = await openBrowser(address)
  if (reason !== undefined)
    process.stderr.write(`No browser was opened: ${oneLine(reason)}. Open ${address}\n`)
}
