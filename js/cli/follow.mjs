// `dollar-send log --follow`: each delivery when it is terminal, once, in the order of settlement. What
// the log lost before it could be shown is counted.

import { once } from 'node:events'

import { ServerError } from './server.mjs'
import { Interrupt, watchProcess } from './watch.mjs'

/** @typedef {import('./print.mjs').Logged} Delivery */
/** @typedef {'full' | 'heads'} Detail with bodies, or without */
/** @typedef {{ data: Delivery[], cursor: string, dropped: number | null }} Settlements */
/**
 * @typedef {object} Source
 * @property {(filter: Record<string, unknown>) => Promise<Delivery[]>} deliveries newest first
 * @property {(after: string | undefined, filter: Record<string, unknown>, detail: Detail) => Promise<Settlements>} settled
 */

/** The time between two looks. */
const LOOK_MS = 500

/** Deliveries of one look. With so many there may be more at once. */
const PAGE = 1000

const TERMINAL = ['delivered', 'failed', 'discarded']

/**
 * @typedef {object} Output
 * @property {(deliveries: Delivery[]) => string} format
 * @property {Detail} detail
 * @property {NodeJS.WriteStream} notes where it is said that deliveries were dropped
 */

/**
 * Prints what is there, and then each delivery when it is terminal, until the process is asked to end.
 *
 * @param {Source} source
 * @param {Record<string, unknown>} filter
 * @param {Output} output
 * @returns {Promise<number>} the exit status
 */
export async function follow(source, filter, output) {
  const watch = watchProcess(() => {})
  try {
    await Promise.race([tail(source, filter, output), watch.interrupted, watch.crashed])
    return 0
  } catch (error) {
    if (error instanceof Interrupt) return 0
    throw error
  } finally {
    watch.stop()
  }
}

/**
 * @param {Source} source
 * @param {Record<string, unknown>} filter
 * @param {Output} output
 */
async function tail(source, { before, limit, ...filter }, { format, detail, notes }) {
  // The place first: what is settled between the two is in both, and shown once.
  let { cursor } = await source.settled(undefined, filter, detail)
  const found = await source.deliveries({ ...filter, ...given({ before, limit }) })
  const shown = new Set(found.filter(isTerminal).map(({ id }) => id))
  await print(format(found.reverse()))
  const isFiltered = Object.keys(filter).length > 0
  for (;;) {
    const page = await reached(() => source.settled(cursor, { ...filter, limit: PAGE }, detail))
    cursor = page.cursor
    if (page.dropped !== 0) notes.write(droppedNote(page.dropped, isFiltered))
    const fresh = page.data.filter(({ id }) => !shown.has(id))
    // The log that goes on in another numbering begins with all that it has.
    if (page.dropped === null) for (const { id } of fresh) shown.add(id)
    await print(format(fresh))
    if (page.data.length < PAGE) await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

/**
 * Looks until the server is there: its engine may start again.
 *
 * @param {() => Promise<Settlements>} look
 */
async function reached(look) {
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await look()
    } catch (error) {
      if (!(error instanceof ServerError) || !error.isTransient) throw error
      if (isFirst) process.stderr.write(`${error.message}. Waiting for it.\n`)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }
}

/**
 * @param {number | null} dropped
 * @param {boolean} isFiltered
 */
function droppedNote(dropped, isFiltered) {
  if (dropped === null)
    return '… An unknown number of deliveries may be missing here: the log goes on in another engine, or the log was too fast.\n'
  const [noun, verb] = dropped === 1 ? ['delivery', 'was'] : ['deliveries', 'were']
  const others = isFiltered ? ', those outside the filter included,' : ''
  return `… ${dropped} ${noun}${others} ${verb} dropped from the log before they could be shown.\n`
}

/** @param {string} text */
async function print(text) {
  if (text && !process.stdout.write(text)) await once(process.stdout, 'drain')
}

/** @param {Record<string, unknown>} members @returns {Record<string, unknown>} those with a value */
function given(members) {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

/** @param {{ status: string }} delivery */
function isTerminal({ status }) {
  return TERMINAL.includes(status)
}
