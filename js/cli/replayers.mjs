// The engines that replay for the command: one of its own, or a running one by REST.

import { asUsage, engineOptions, LOOKING, openOrFind } from './engine.mjs'
import { oneLine } from './paint.mjs'
import { Server, ServerError } from './server.mjs'

/** @typedef {import('./replay.mjs').Delivery} Delivery */
/** @typedef {import('./replay.mjs').Replayer} Replayer */
/** @typedef {import('../engine.cjs').Engine} Engine */

/** What is left when the command ends waits in the journal. */
const CLOSE_MS = 2000

/** The time between two looks at a replay. */
const LOOK_MS = 200

/** Ids of one request to the log. */
const IDS = 100

const TERMINAL = ['delivered', 'failed', 'discarded']

/** Deliveries as they are, each of which is read until it is terminal. */
class Deliveries {
  /** @type {Map<string, Delivery>} */ #done = new Map()

  /**
   * @param {string[]} ids
   * @param {(filter: Record<string, unknown>) => Promise<Delivery[]>} read
   * @returns {Promise<Delivery[]>} the oldest first
   */
  async look(ids, read) {
    const open = ids.filter((id) => !this.#done.has(id))
    const found = []
    for (let start = 0; start < open.length; start += IDS)
      found.push(...(await read({ ids: open.slice(start, start + IDS), limit: IDS })))
    for (const one of found) if (TERMINAL.includes(one.status)) this.#done.set(one.id, one)
    const left = found.filter(({ id }) => !this.#done.has(id))
    return [...this.#done.values(), ...left].sort((one, other) => (one.id < other.id ? -1 : 1))
  }
}

/**
 * Replays in a data directory. Nothing is delivered before the plan runs.
 *
 * @implements {Replayer}
 */
export class LocalReplayer {
  #configured
  #settings
  /** @type {Engine} The engine that plans, then the one that delivers. */ #engine
  /** @type {Record<string, unknown>} */ #selection = {}
  #deliveries = new Deliveries()

  /**
   * @param {import('./config.mjs').Configuration} configured
   * @param {import('./arguments.mjs').ReplaySettings} settings
   * @returns {Promise<Replayer>} the one of the engine that has the directory open, if one has
   */
  static async open(configured, settings) {
    const { file } = configured
    const looking = file === undefined ? LOOKING : { deliver: false }
    const options = { ...engineOptions(configured, settings), ...looking }
    const { engine, address } = await openOrFind(configured, options, 'replay')
    return engine
      ? new LocalReplayer(configured, settings, engine)
      : new ServerReplayer(String(address), settings.token)
  }

  /**
   * @param {import('./config.mjs').Configuration} configured
   * @param {import('./arguments.mjs').ReplaySettings} settings
   * @param {Engine} engine
   */
  constructor(configured, settings, engine) {
    this.#configured = configured
    this.#settings = settings
    this.#engine = engine
  }

  /** @param {Record<string, unknown>} selection */
  async plan(selection) {
    this.#selection = selection
    return asUsage(() => this.#engine.replay(selection, { dryRun: true }))
  }

  /** @type {Replayer['run']} */
  async run({ onProgress, signal }) {
    await this.#engine.close({ timeoutMs: 0 })
    const { Engine } = (await import('../index.cjs')).default
    const options = engineOptions(this.#configured, this.#settings)
    this.#engine = await asUsage(() => Engine.open(options))
    this.#engine.on('warning', (/** @type {{ message: string }} */ warning) => {
      process.stderr.write(`! ${oneLine(warning.message)}\n`)
    })
    let all = 0
    this.#engine.on(
      'replay',
      (/** @type {{ replayed: number, total: number }} */ { replayed, total }) => {
        all = total
        onProgress(replayed, total)
      },
    )
    const plan = await asUsage(() => this.#engine.replay(this.#selection, { dryRun: true }))
    const { replayed, skipped, cancelled } = await asUsage(() =>
      this.#engine.replay({ plan: plan.id }, { signal }),
    )
    // Batches are not waited for until they are due.
    void this.#engine.flush().catch(() => {})
    const ids = replayed.map((/** @type {{ id: string }} */ { id }) => id)
    return { ids, skipped, cancelled, total: all || plan.count }
  }

  /** @type {Replayer['look']} */
  look(ids) {
    return this.#deliveries.look(ids, (filter) => this.#engine.deliveries(filter))
  }

  async close() {
    await this.#engine.close({ timeoutMs: CLOSE_MS })
  }
}

/**
 * Replays in a running engine, by REST.
 *
 * @implements {Replayer}
 */
export class ServerReplayer {
  #server
  #plan = ''
  #deliveries = new Deliveries()

  /** @param {string} url @param {string} [token] */
  constructor(url, token) {
    this.#server = new Server(url, token)
  }

  /** @param {Record<string, unknown>} selection */
  async plan(selection) {
    const plan = await this.#server.plan(selection)
    this.#plan = plan.id
    return plan
  }

  /** @type {Replayer['run']} */
  async run({ onProgress, signal }) {
    let state = await this.#server.beginReplay(this.#plan)
    const { id } = state
    let isCancelled = false
    while (state.status === 'running') {
      if (signal.aborted && !isCancelled) {
        isCancelled = true
        await this.#server.cancelReplay(id)
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
      state = (await this.#server.replayed(id, 0)).replay
      onProgress(state.replayed, state.total)
    }
    const { ids, skipped } = await this.#parts(id)
    if (state.status === 'failed') throw new ServerError(String(state.error))
    return { ids, skipped, cancelled: state.status === 'cancelled', total: state.total }
  }

  /** @param {string} id of a replay that ended */
  async #parts(id) {
    const ids = /** @type {string[]} */ ([])
    const skipped = /** @type {import('./server.mjs').Skipped[]} */ ([])
    for (let offset = 0; ;) {
      const { deliveries, skips } = await this.#server.replayed(id, offset)
      ids.push(...deliveries.map((delivery) => delivery.id))
      skipped.push(...skips)
      const size = Math.max(deliveries.length, skips.length)
      if (size === 0) return { ids, skipped }
      offset += size
    }
  }

  /** @type {Replayer['look']} */
  look(ids) {
    return this.#deliveries.look(ids, (filter) => this.#server.deliveries(filter))
  }

  async close() {}
}
