// A log with many deliveries, and the time of each list, filter and search in it by the REST API.

import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'

import { CALLS_EACH, fill, optionsOf } from './filled.mjs'

const TIMES = 15
/** The time that the index has for the last rows. */
const INDEX_TIMEOUT_MS = 120_000

const { entry, url, deliveries, dataDir } = JSON.parse(process.argv[2])
const { Engine } = createRequire(import.meta.url)(entry)

const ask = async (address, path) => {
  const response = await fetch(address + path)
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`)
  return JSON.parse(text)
}

const searched = (list, search) => `/v1/${list}?limit=50&search=${encodeURIComponent(search)}`

function queries() {
  const middle = Math.floor(deliveries / 2)
  return {
    'one run, by its id': `/v1/executions/run-${middle / CALLS_EACH}`,
    'runs, the first page': '/v1/executions?limit=50',
    'deliveries, the first page and their count': '/v1/deliveries?limit=50',
    'status=failed and its count': '/v1/deliveries?limit=50&status=failed',
    'status=delivered and its count': '/v1/deliveries?limit=50&status=delivered',
    'workflow_id and its count': '/v1/deliveries?limit=50&workflow_id=p_7',
    'step and its count': '/v1/deliveries?limit=50&step=step_3',
    'destination and its count': '/v1/deliveries?limit=50&destination=http',
    'search status:failed': searched('deliveries', 'status:failed'),
    'search host:127': searched('deliveries', 'host:127'),
    'search workflow:p_42': searched('deliveries', 'workflow:p_42'),
    'search code:ERR_SEND_TIMEOUT': searched('deliveries', 'code:ERR_SEND_TIMEOUT'),
    'search destination:s3': searched('deliveries', 'destination:s3'),
    'search since:1h order': searched('deliveries', 'since:1h order'),
    'search a common text': searched('deliveries', 'order/'),
    'search a rare text': searched('deliveries', `order/${middle + 7}`),
    'search an absent text': searched('deliveries', 'nowhere'),
    'search an absent text of common parts': searched('deliveries', 'order/order/order'),
    'search runs, a common text': searched('executions', 'order/'),
    'search runs, a rare text': searched('executions', `order/${middle + 7}`),
    'search runs, an absent text': searched('executions', 'nowhere'),
    'search runs, status:failed': searched('executions', 'status:failed'),
  }
}

async function untilIndexed(address) {
  const until = performance.now() + INDEX_TIMEOUT_MS
  for (;;) {
    const began = performance.now()
    await ask(address, searched('deliveries', 'not-there-yet')).catch(() => {})
    const ms = performance.now() - began
    if (ms < 500 || performance.now() > until) return
  }
}

async function timed(address, path) {
  const times = []
  for (let turn = 0; turn < TIMES; turn++) {
    const began = performance.now()
    await ask(address, path)
    times.push(performance.now() - began)
  }
  return times.sort((a, b) => a - b)[Math.floor(TIMES / 2)]
}

const engine = await Engine.open(optionsOf(dataDir))
const began = performance.now()
await fill(engine, url, deliveries)
const filledMs = performance.now() - began
const { url: address } = engine.address()
await untilIndexed(address)
const indexedMs = performance.now() - began
const medians = {}
for (const [name, path] of Object.entries(queries())) medians[name] = await timed(address, path)
console.log(JSON.stringify({ filledMs, indexedMs, medians }))
process.exit(0)
