// Deliveries and results as text. Pure: the caller writes what comes back.

import { STATUS_CODES } from 'node:http'
import { inspect } from 'node:util'

import { harmless, harmlessColours, markOf, oneLine } from './paint.mjs'

/** @typedef {import('./paint.mjs').Paint} Paint */
/**
 * A request or a response of the log, with what a destination may have of it.
 *
 * @typedef {object} Side
 * @property {string} [method]
 * @property {string} [url]
 * @property {Record<string, unknown> | [string, unknown][]} [headers]
 * @property {unknown} [body]
 * @property {unknown} [data] the body, where it was JSON
 * @property {string} [bodyEncoding]
 * @property {number} [bodyBytes]
 * @property {boolean} [truncated]
 * @property {number} [status]
 * @property {number} [durationMs]
 * @property {{ status: number, method: string, url: string }[]} [redirects]
 * @property {string} [subject] of a mail
 * @property {string} [bucket] of an object
 * @property {string} [key]
 * @property {string} [table] of a row
 * @property {string} [id] of an event
 */
/**
 * A delivery of the log.
 *
 * @typedef {object} Delivery
 * @property {string} [id]
 * @property {string} [replayOf]
 * @property {string} [recordedAt]
 * @property {string} [settledAt]
 * @property {string} [workflowId]
 * @property {string} [executionId]
 * @property {{ code: string, message: string }} [lastError] why it waits for another attempt
 * @property {string} [nextAttemptAt]
 * @property {string} step
 * @property {number} index
 * @property {string} destination
 * @property {string} status
 * @property {Side} request
 * @property {Side} [response]
 * @property {{ code: string, message: string, phase?: string }} [error]
 * @property {string[]} warnings
 * @property {number} attempts
 */
/** @typedef {Delivery & { id: string }} Logged A delivery as the log has it. */
/** @typedef {import('../runner/run.cjs').Result} Result */

/** How much of a body is shown; the log has more of it. */
const MAX_BODY_LINES = 40
const MAX_BODY_CHARACTERS = 4000
const MAX_LINE_CHARACTERS = 400

/** Members of a logged exchange that the first lines or the body show already. */
const SHOWN = [
  'method',
  'url',
  'headers',
  'status',
  'durationMs',
  'body',
  'bodyEncoding',
  'bodyBytes',
  'truncated',
  'data',
]

/** @param {string} text @returns {string} */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

/** @param {number} count @param {string} noun @returns {string} */
function counted(count, noun) {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`
}

/**
 * A body's lines: JSON indented, long ones cut with a note of what is missing.
 *
 * @param {Side} side a request or response of the log
 * @returns {string[]}
 */
function bodyLines(side) {
  const body = side.body ?? side.data
  if (body === undefined || body === null || body === '') {
    return side.truncated ? [`… ${counted(side.bodyBytes ?? 0, 'byte')}, not kept in the log`] : []
  }
  if (side.bodyEncoding === 'base64')
    return [`(${counted(side.bodyBytes ?? 0, 'byte')} that are not text)`]
  const whole =
    typeof body === 'string'
      ? side.truncated
        ? body
        : pretty(body)
      : JSON.stringify(body, null, 2)
  const text = harmless(whole)
  const lines = text
    .slice(0, MAX_BODY_CHARACTERS)
    .split('\n')
    .slice(0, MAX_BODY_LINES)
    .map((line) =>
      line.length > MAX_LINE_CHARACTERS ? `${line.slice(0, MAX_LINE_CHARACTERS)}…` : line,
    )
  const shown = lines.join('\n').length
  if (shown < text.length) lines.push(`… ${counted(text.length - shown, 'more character')}`)
  if (side.truncated)
    lines.push(`… the log keeps the beginning of ${counted(side.bodyBytes ?? 0, 'byte')}`)
  return lines
}

/** @param {Side['headers']} headers @returns {string[]} */
function headerLines(headers) {
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers ?? {})
  return pairs.flatMap(([name, value]) => [value].flat().map((one) => oneLine(`${name}: ${one}`)))
}

/** @param {Side} side @returns {string[]} what is known besides headers and body, one line each */
function otherLines(side) {
  return Object.entries(side)
    .filter(([name, value]) => !SHOWN.includes(name) && value !== undefined && value !== null)
    .map(([name, value]) =>
      oneLine(`${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`),
    )
}

/**
 * The lines of one side of an exchange, each after `sign`.
 *
 * @param {string} sign
 * @param {string[]} first
 * @param {Side} side
 * @returns {string[]}
 */
function exchangeLines(sign, first, side) {
  const body = bodyLines(side)
  const lines = [...first, ...headerLines(side.headers), ...(body.length > 0 ? ['', ...body] : [])]
  return lines.map((line) => `  ${sign} ${line}`.trimEnd())
}

/** @param {Delivery} delivery @param {Paint} paint @returns {string} */
function titleLine(delivery, paint) {
  const { request, status } = delivery
  const [colour, mark] = markOf(status)
  const target =
    request?.url === undefined
      ? ''
      : ` ${request.method ?? ''} ${request.url}`.replace(/ {2,}/, ' ')
  const state = status === 'delivered' ? '' : paint(colour, `  ${status}`)
  const place = paint('dim', `  ${oneLine(delivery.step)}[${delivery.index}]`)
  return `${paint(colour, mark)} ${paint('bold', oneLine(delivery.destination))}${oneLine(target)}${state}${place}`
}

/** @param {Side} response @param {Paint} paint @returns {string[]} */
function statusLines(response, paint) {
  if (response.status === undefined) return otherLines(response)
  const time =
    response.durationMs === undefined ? '' : paint('dim', `  ${Math.round(response.durationMs)} ms`)
  const good = response.status >= 200 && response.status < 300
  const reason = STATUS_CODES[response.status] ?? ''
  const hops = (response.redirects ?? []).map((hop) =>
    oneLine(`${hop.status} -> ${hop.method} ${hop.url}`),
  )
  return [
    ...hops,
    `${paint(good ? 'green' : 'red', `${response.status} ${reason}`.trimEnd())}${time}`,
  ]
}

/** @param {Delivery} delivery @param {Paint} paint @returns {string} what names it in other commands */
function idLine({ id, replayOf, recordedAt }, paint) {
  const origin = replayOf ? `, replay of ${replayOf}` : ''
  return paint('dim', `  ${id}  ${recordedAt}${origin}`)
}

/**
 * One delivery: what was sent, what came back, why it failed, what its author should know.
 *
 * @param {Delivery} delivery
 * @param {Paint} paint
 * @param {'identified'} [how] with its id, for what can be done with it next
 * @returns {string} lines, the last one ended too
 */
export function formatDelivery(delivery, paint, how) {
  const { request, response, error } = delivery
  const isHttp = delivery.destination === 'http'
  const lines = [titleLine(delivery, paint)]
  if (how) lines.push(idLine(delivery, paint))
  lines.push(...exchangeLines(paint('cyan', '>'), isHttp ? [] : otherLines(request), request))
  if (response)
    lines.push(...exchangeLines(paint('cyan', '<'), statusLines(response, paint), response))
  if (error) {
    const phase = error.phase ? ` (${error.phase})` : ''
    lines.push(`  ${paint('red', `${error.code}: ${oneLine(error.message)}${phase}`)}`)
  }
  for (const warning of delivery.warnings)
    lines.push(`  ${paint('yellow', `! ${oneLine(warning)}`)}`)
  return `${lines.join('\n')}\n`
}

/** @param {unknown} value @param {boolean} colors @returns {string} */
function shown(value, colors) {
  const text = inspect(value, {
    depth: 6,
    colors,
    maxStringLength: MAX_BODY_CHARACTERS,
    maxArrayLength: 50,
  })
  return harmlessColours(text).replaceAll('\n', '\n    ')
}

/**
 * What the step said besides sending: its exports, and how it ended.
 *
 * @param {Result} result
 * @param {Paint} paint
 * @returns {string} empty when there is nothing to say
 */
export function formatResult(result, paint) {
  const colors = paint('bold', 'x') !== 'x'
  const lines = Object.entries(result.exports).map(
    ([name, value]) => `  ${paint('dim', oneLine(name))} ${shown(value, colors)}`,
  )
  if (result.response !== undefined)
    lines.push(`  ${paint('dim', '$.respond')} ${shown(result.response, colors)}`)
  if (result.end)
    lines.push(`  ${paint('dim', 'ended by $end:')} ${shown(result.end.message, colors)}`)
  if (result.exit)
    lines.push(`  ${paint('dim', 'exited by $.flow.exit:')} ${shown(result.exit.reason, colors)}`)
  return lines.length > 0 ? `${lines.join('\n')}\n` : ''
}

/**
 * The last line: how many of the deliveries arrived, as the original's Dest. column has it.
 *
 * @param {Delivery[]} deliveries
 * @param {Paint} paint
 * @returns {string}
 */
export function formatSummary(deliveries, paint) {
  const delivered = deliveries.filter(({ status }) => status === 'delivered').length
  const text = `Dest. ${delivered}/${deliveries.length}`
  return `${paint('bold', paint(delivered === deliveries.length ? 'green' : 'red', text))}\n`
}
