// A day of five workflows: 2,000 runs, with failures, retries, batches and an outage.

import { randomFrom } from './random.mjs'

/** @typedef {import('./journal.mjs').Run} Run */
/** @typedef {import('./journal.mjs').Row} Row */

const HOUR = 3_600_000
const MINUTE = 60_000
const DAY = 24 * HOUR

/** The runs of each workflow; those of `p_metrics` are one in five minutes, of `p_invoices` one an hour. */
const COUNTS = { p_orders: 900, p_signup: 500, p_support: 288 }

const NAMES = [
  'Leia Organa',
  'Han Solo',
  'Lando Calrissian',
  'Mon Mothma',
  'Wedge Antilles',
  'Ahsoka Tano',
]

/**
 * Returns the runs of the day before `now`, oldest first.
 *
 * @param {number} now
 * @returns {Run[]}
 */
export function day(now) {
  const random = randomFrom(24)
  const begin = now - DAY
  /** @type {{ at: number, make: (at: number, number: number) => Run }[]} */
  const planned = []
  for (let at = begin + MINUTE; at < now - MINUTE; at += 5 * MINUTE)
    planned.push({ at, make: metrics })
  for (let at = begin + 10 * MINUTE; at < now - MINUTE; at += HOUR)
    planned.push({ at, make: invoices })
  for (const [name, make] of Object.entries({
    p_orders: orders,
    p_signup: signup,
    p_support: support,
  })) {
    const count = COUNTS[/** @type {keyof typeof COUNTS} */ (name)]
    for (let n = 0; n < count; n++) planned.push({ at: busyTime(begin, random), make })
  }
  planned.sort((a, b) => a.at - b.at)
  const context = { random, begin }
  return planned.map(({ at, make }, number) => make.call(context, at, number))
}

/** A time of the day, more often around noon than at night. @param {number} begin @param {() => number} random */
function busyTime(begin, random) {
  for (;;) {
    const at = begin + random() * (DAY - 2 * MINUTE)
    const hour = (at % DAY) / HOUR
    if (random() < 0.15 + 0.85 * Math.sin((Math.PI * hour) / 24) ** 2) return Math.round(at)
  }
}

/**
 * @typedef {object} Http
 * @property {string} step
 * @property {string} url
 * @property {string} [method]
 * @property {object} data
 * @property {number} [status]
 * @property {object} [answer]
 * @property {number} [ms] until the first byte
 * @property {{ after: number, message: string }[]} [earlier] attempts that failed
 * @property {{ code: string, message: string, phase?: string }} [error]
 */

/** A call over HTTPS. @param {() => number} random @param {number} at @param {Http} call @returns {Row} */
function http(random, at, call) {
  const { step, url, method = 'POST', data, status = 200, answer, earlier = [] } = call
  const error = call.error ?? statusError(status)
  const requestBody = JSON.stringify(data)
  const times = timesOf(random, call.ms ?? 80)
  const waited = earlier.reduce((all, { after }) => all + after, 0)
  const response = {
    ...{ status, statusText: TEXTS[status] ?? '', httpVersion: '2' },
    headers: {
      ...{ 'content-type': 'application/json; charset=utf-8' },
      ...{ date: new Date(at).toUTCString(), server: 'envoy' },
      'x-request-id': `req_${Math.floor(random() * 36 ** 8).toString(36)}`,
    },
    ...times,
  }
  return {
    ...{ step, destination: 'http', status: error ? 'failed' : 'delivered' },
    ...{ recordedAt: at, settledAt: Math.round(at + waited + times.durationMs + 2 + 4 * random()) },
    attempts: earlier.length + 1,
    request: {
      ...{ method, url },
      headers: {
        ...{ accept: 'application/json, text/plain, */*', authorization: '[redacted]' },
        ...{ 'content-type': 'application/json', 'user-agent': 'dollar-send/0.1.0' },
        'content-length': String(Buffer.byteLength(requestBody)),
      },
    },
    requestBody,
    ...(call.error ? {} : { response, responseBody: JSON.stringify(answer ?? { ok: true }) }),
    ...(error && { error }),
    warnings: warningsOf(at, earlier),
  }
}

/** @param {number} status */
function statusError(status) {
  if (status < 400) return undefined
  return { code: 'ERR_SEND_STATUS', message: `the server answered ${status} ${TEXTS[status]}` }
}

/** The phases of an attempt; connections are often kept. @param {() => number} random @param {number} ms */
function timesOf(random, ms) {
  const timings = {
    ...(random() < 0.3 && { dnsMs: round(2 + 9 * random()), connectMs: round(9 + 20 * random()) }),
    ...(random() < 0.3 && { tlsMs: round(14 + 22 * random()) }),
  }
  const before = Object.values(timings).reduce((all, one) => all + one, 0)
  const firstByteMs = round(before + ms * (0.6 + random()))
  const bodyMs = round(0.3 + 4 * random())
  return { durationMs: round(firstByteMs + bodyMs), timings: { ...timings, firstByteMs, bodyMs } }
}

/** @param {number} at @param {{ after: number, message: string }[]} earlier */
function warningsOf(at, earlier) {
  let passed = 0
  return earlier.map(({ after, message }, index) => {
    const again = new Date(at + (passed += after)).toISOString()
    return `attempt ${index + 1} failed: ${message}; again at ${again}`
  })
}

/** @type {Record<number, string>} */
const TEXTS = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  401: 'Unauthorized',
  404: 'Not Found',
  422: 'Unprocessable Entity',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
}

const round = (/** @type {number} */ ms) => Math.round(ms * 100) / 100

/** A record of a batch. @param {number} at @param {string} step @param {Partial<Row> & { request: object }} row @returns {Row} */
function batched(at, step, row) {
  const settledAt = at + 58_000 + (at % 3000)
  return { step, destination: 's3', status: 'delivered', recordedAt: at, settledAt, ...row }
}

/** @typedef {{ random: () => number, begin: number }} Context */

/** @this {Context} @param {number} at @param {number} number @returns {Run} */
function orders(at, number) {
  const { random } = this
  const total = round(9 + 240 * random())
  const order = {
    id: `ord_${10_000 + number}`,
    customer: pick(NAMES, random),
    total,
    currency: 'EUR',
  }
  const isSlow = random() < 0.03
  const rows = [
    http(random, at + 12, {
      ...{ step: 'ship', url: 'https://api.shipping.example/v2/shipments', status: 201, ms: 160 },
      data: {
        order: order.id,
        express: random() < 0.3,
        address: { city: 'Mos Eisley', zip: '38145' },
      },
      answer: { id: `shp_${20_000 + number}`, status: 'created', eta: '2 days' },
      earlier: isSlow
        ? [{ after: 4000, message: 'the server answered 503 Service Unavailable' }]
        : [],
    }),
    http(random, at + 13, {
      ...{ step: 'notify', url: 'https://hooks.chat.example/services/T02/B7/orders', ms: 70 },
      data: { text: `New order ${order.id} of ${order.customer}: ${total} EUR` },
    }),
    batched(at + 14, 'archive', {
      request: { bucket: 'acme-orders', prefix: 'paid/', payload: order },
      response: {
        bucket: 'acme-orders',
        key: `paid/${order.id}.gz`,
        batch: { reason: 'time', records: 14 },
      },
    }),
  ]
  if (random() < 0.012) rows[1] = http(random, at + 13, chatRefusal(order.id))
  const trigger = 'POST /hooks/payments'
  return {
    workflowId: 'p_orders',
    trigger,
    startedAt: at,
    completedAt: at + 15 + Math.round(90 * random()),
    rows,
  }
}

/** @param {string} id @returns {Http} */
const chatRefusal = (id) => ({
  ...{ step: 'notify', url: 'https://hooks.chat.example/services/T02/B7/orders', status: 404 },
  data: { text: `New order ${id}` },
  answer: { error: 'channel_is_archived' },
})

/** @this {Context} @param {number} at @param {number} number @returns {Run} */
function signup(at, number) {
  const { random } = this
  const run = { workflowId: 'p_signup', trigger: 'POST /hooks/signup', startedAt: at }
  if (random() < 0.015) {
    const error = "Cannot read properties of undefined (reading 'email')"
    return { ...run, completedAt: at + 3, error, rows: [] }
  }
  if (random() < 0.04)
    return { ...run, completedAt: at + 2, message: 'The address is on the list already', rows: [] }
  const name = pick(NAMES, random)
  const email = `${name.toLowerCase().replace(' ', '.')}+${number}@rebels.example`
  const isKnown = random() < 0.03
  const isBusy = random() < 0.06
  const rows = [
    http(random, at + 8, {
      ...{ step: 'crm', url: 'https://api.crm.example/v3/contacts', ms: 210 },
      ...{ data: { name, email, source: 'website' }, status: isKnown ? 422 : 201 },
      answer: isKnown
        ? { error: 'contact_exists', field: 'email' }
        : { id: `con_${30_000 + number}`, createdAt: new Date(at).toISOString() },
      earlier: isBusy
        ? [{ after: 15_000, message: 'the server answered 429 Too Many Requests' }]
        : [],
    }),
    {
      ...{ step: 'welcome', destination: 'email', status: /** @type {const} */ ('delivered') },
      ...{ recordedAt: at + 9, settledAt: at + 9 + Math.round(200 + 400 * random()) },
      request: {
        ...{ from: 'hello@acme.example', to: [email], subject: `Welcome, ${name.split(' ')[0]}` },
        text: 'Thank you for joining. Here is how to begin …',
      },
      response: { transport: 'smtp', code: 250, message: '2.0.0 Ok: queued', durationMs: 240 },
    },
  ]
  return { ...run, completedAt: at + 11 + Math.round(20 * random()), rows }
}

/** @this {Context} @param {number} at @param {number} number @returns {Run} */
function support(at, number) {
  const { random, begin } = this
  const outage = at > begin + 17 * HOUR && at < begin + 18.2 * HOUR
  const data = {
    subject: pick(['Refund', 'Where is my order?', 'Invoice is wrong'], random),
    priority: 2,
  }
  const url = 'https://api.tickets.example/v1/tickets'
  const timeout = 'no response within 5000 ms'
  const failure = {
    error: { code: 'ERR_SEND_TIMEOUT', message: timeout, phase: 'response' },
    earlier: [1000, 5000, 30_000].map((after) => ({ after, message: timeout })),
  }
  const rows = [
    http(random, at + 6, {
      ...{ step: 'ticket', url, data, status: 201, ms: 120, answer: { id: 4000 + number } },
      ...(outage ? failure : {}),
    }),
  ]
  const trigger = 'POST /hooks/contact-form'
  return { workflowId: 'p_support', trigger, startedAt: at, completedAt: at + 8, rows }
}

/** @this {Context} @param {number} at @returns {Run} */
function metrics(at) {
  const { random } = this
  const run = { workflowId: 'p_metrics', trigger: 'every 5 minutes', startedAt: at }
  if (random() < 0.2) return { ...run, completedAt: at + 40, message: 'No new rows', rows: [] }
  const rows = Array.from({ length: 4 }, (_, index) =>
    batched(at + 200 + index, 'load', {
      destination: 'sql',
      request: {
        table: 'page_views',
        payload: {
          path: pick(['/', '/pricing', '/docs'], random),
          views: Math.ceil(90 * random()),
        },
      },
      response: { table: 'page_views', durationMs: 31, batch: { reason: 'time', records: 20 } },
    }),
  )
  return { ...run, completedAt: at + 240, rows }
}

/** @this {Context} @param {number} at @param {number} number @returns {Run} */
function invoices(at, number) {
  const { random } = this
  const rows = Array.from({ length: 6 }, (_, index) =>
    http(random, at + 30 + 40 * index, {
      ...{ step: index % 2 === 0 ? 'render' : 'post', ms: index % 2 === 0 ? 1400 : 180 },
      url:
        index % 2 === 0
          ? 'https://pdf.acme.example/render'
          : 'https://api.books.example/v1/invoices',
      ...{ data: { invoice: `inv_${number}_${index}`, lines: 1 + (index % 3) }, status: 201 },
    }),
  )
  return {
    workflowId: 'p_invoices',
    trigger: 'every hour',
    startedAt: at,
    completedAt: at + 320,
    rows,
  }
}

/** @template T @param {T[]} list @param {() => number} random @returns {T} */
function pick(list, random) {
  return /** @type {T} */ (list[Math.floor(random() * list.length)])
}
