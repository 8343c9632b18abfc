// The tasks of a page's main thread, as Chromium's trace has them.

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {{ name: string, ph: string, pid: number, tid: number, dur?: number, tdur?: number, args: any }} Event */

/**
 * Returns the milliseconds of CPU that the longest task of the page took while `act` ran: the time that
 * other programs took from it is not the page's.
 *
 * @param {Page} page
 * @param {() => Promise<unknown>} act
 */
export async function longestTask(page, act) {
  const browser = /** @type {import('playwright-core').Browser} */ (page.context().browser())
  await browser.startTracing(page, { categories: ['toplevel', '__metadata'] })
  await act()
  const { traceEvents } = /** @type {{ traceEvents: Event[] }} */ (
    JSON.parse((await browser.stopTracing()).toString())
  )
  const main = new Set(
    traceEvents
      .filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  )
  const tasks = traceEvents.filter(
    ({ ph, pid, tid, tdur }) => ph === 'X' && tdur !== undefined && main.has(`${pid} ${tid}`),
  )
  if (tasks.length === 0) throw new Error('the trace has no tasks of the page')
  return Math.max(...tasks.map(({ tdur = 0 }) => tdur)) / 1000
}
