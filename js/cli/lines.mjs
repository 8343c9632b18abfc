// Deliveries and executions, one line each. Pure.

import { markOf, oneLine } from './paint.mjs'
import { table } from './table.mjs'

/** @typedef {import('./paint.mjs').Paint} Paint */
/** @typedef {import('./print.mjs').Delivery} Delivery */
/** @typedef {import('./table.mjs').Cell} Cell */

/** From this width on, the lines have ids. */
const WIDE = 120

/** Characters of the shortest id that is shown. */
const SHORT_ID = 8

const COLUMNS = /** @type {import('./table.mjs').Column[]} */ ([
  {},
  {},
  {},
  { least: 10 },
  { align: 'right' },
  { align: 'right' },
  { least: 6 },
  { least: 6 },
  {},
])

/**
 * Deliveries, one line each, with the reason below those that failed or wait.
 *
 * @param {Delivery[]} deliveries
 * @param {Paint} paint
 * @param {number} [width] of the terminal
 * @returns {string}
 */
export function deliveryLines(deliveries, paint, width) {
  const hasIds = width === undefined || width >= WIDE
  const length = idLength(deliveries.map(({ id }) => id ?? ''))
  const rows = deliveries.map((delivery) => cellsOf(delivery, hasIds ? length : 0))
  const lines = table(COLUMNS, rows, paint, width)
  return lines
    .flatMap((line, place) => [line, ...reasons(deliveries[place], paint)])
    .map((line) => `${line}\n`)
    .join('')
}

/** @param {Delivery} delivery @param {number} length of its id; 0: none @returns {Cell[]} */
function cellsOf(delivery, length) {
  const { status, request, response, destination, step, index, workflowId = '' } = delivery
  const [style, mark] = markOf(status)
  const code = response?.status
  const time = response?.durationMs
  const good = code !== undefined && code >= 200 && code < 300
  return [
    { text: mark, style },
    { text: status, style },
    { text: oneLine(destination === 'http' ? String(request?.method ?? 'http') : destination) },
    { text: oneLine(targetOf(delivery)) },
    { text: code === undefined ? '' : String(code), style: good ? 'green' : 'red' },
    { text: time === undefined ? '' : `${Math.round(time)} ms`, style: 'dim' },
    { text: oneLine(workflowId), style: 'dim' },
    { text: oneLine(`${step}[${index}]`), style: 'dim' },
    { text: length === 0 ? '' : String(delivery.id ?? '').slice(0, length), style: 'dim' },
  ]
}

/** @param {Delivery} delivery */
function targetOf({ request, response }) {
  if (request?.url !== undefined) return String(request.url)
  if (response?.bucket !== undefined) return `${response.bucket}/${response.key}`
  const found = request?.subject ?? response?.table ?? request?.bucket ?? request?.table
  return found === undefined ? '' : String(found)
}

/** @param {Delivery} delivery @param {Paint} paint @returns {string[]} */
function reasons({ status, error, lastError, nextAttemptAt, warnings }, paint) {
  if (error && status !== 'delivered')
    return [paint('red', `  ${error.code}: ${oneLine(error.message)}`)]
  if (lastError) {
    const again = nextAttemptAt ? `; again at ${nextAttemptAt}` : ''
    return [paint('yellow', `  ${lastError.code}: ${oneLine(lastError.message)}${again}`)]
  }
  return warnings.map((warning) => paint('yellow', `  ! ${oneLine(warning)}`))
}

/**
 * The length at which ids differ.
 *
 * @param {string[]} ids
 */
export function idLength(ids) {
  const all = new Set(ids)
  let length = SHORT_ID
  while (length < 36 && new Set([...all].map((id) => id.slice(0, length))).size < all.size) length++
  return length
}

const RUN_COLUMNS = /** @type {import('./table.mjs').Column[]} */ ([
  { title: 'Execution', least: 8 },
  { title: 'Workflow', least: 8 },
  { title: 'Status' },
  { title: 'Dest.', align: 'right' },
  { title: 'Started' },
  { title: 'Time', align: 'right' },
  { title: 'Error', least: 8 },
])

const RUN_STYLES = /** @type {const} */ ({ completed: 'green', failed: 'red', discarded: 'yellow' })

/**
 * Executions, one line each.
 *
 * @param {import('../../index.js').ExecutionSummary[]} executions rows of `engine.executions()`
 * @param {Paint} paint
 * @param {number} [width] of the terminal
 * @returns {string}
 */
export function executionLines(executions, paint, width) {
  const rows = executions.map((row) => {
    const { executionId, workflowId, status, delivered, total, startedAt, completedAt } = row
    const took = completedAt && `${Date.parse(completedAt) - Date.parse(startedAt)} ms`
    const style = RUN_STYLES[/** @type {keyof typeof RUN_STYLES} */ (status)] ?? 'yellow'
    return /** @type {Cell[]} */ ([
      { text: oneLine(executionId) },
      { text: oneLine(workflowId) },
      { text: status, style },
      { text: `${delivered}/${total}`, style: delivered === total ? 'green' : 'red' },
      { text: startedAt, style: 'dim' },
      { text: took ?? '', style: 'dim' },
      { text: oneLine(row.error ?? ''), style: 'red' },
    ])
  })
  return table(RUN_COLUMNS, rows, paint, width)
    .map((line) => `${line}\n`)
    .join('')
}
