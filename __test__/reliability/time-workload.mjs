// A process whose clock is set, which is stopped, and whose event loop is blocked.
//
//   node time-workload.mjs '{ "dataDir", "url", "seed" }'
//
// It writes `ready`, blocks its event loop for the milliseconds of each line that it reads, and ends
// with a JSON array of its deliveries.

import { createInterface } from 'node:readline'

import { Engine } from '../../js/index.mjs'
import { randomOf } from '../support/random.mjs'
import { BATCH_MS, CALLS, DELAYS_MS, TIMEOUT_MS } from './time.mjs'

const { dataDir, url, seed } = JSON.parse(process.argv[2])
const random = randomOf(seed)
const engine = await Engine.open({
  dataDir,
  egress: { allow: ['127.0.0.0/8'] },
  http: { timeoutMs: TIMEOUT_MS, retry: { scheduleMs: DELAYS_MS, breaker: { failures: 1_000 } } },
  s3: { batch: { intervalMs: BATCH_MS } },
  log: { maxExecutionsPerWorkflow: 100_000 },
})
const block = new Int32Array(new SharedArrayBuffer(4))
createInterface(process.stdin).on('line', (ms) => Atomics.wait(block, 0, 0, Number(ms)))
console.log('ready')

const settled = []
for (let call = 0; call < CALLS; call++) {
  const execution = engine.execution({ workflowId: 'p_time' })
  const { $send } = execution.step('step')
  $send.http({ method: 'POST', url: `${url}/${kindOf(random())}`, data: { id: call } })
  if (call % 4 === 0) $send.s3({ bucket: 'b', prefix: 'p/', payload: { id: call } })
  await execution.complete()
  settled.push(execution.settled())
  await new Promise((resolve) => setTimeout(resolve, 20 + random() * 40))
}
await Promise.all(settled)
const deliveries = await engine.deliveries({ limit: 10_000 })
await engine.close()
process.stdin.destroy()
console.log(
  JSON.stringify(
    deliveries.map(({ destination, status, attempts, error, request, response }) => ({
      ...{ destination, status, attempts, error },
      durationMs: response?.durationMs,
      url: request?.url,
    })),
  ),
)

/** @param {number} drawn */
function kindOf(drawn) {
  if (drawn < 0.4) return 'quick'
  return drawn < 0.7 ? 'slow' : 'busy'
}
