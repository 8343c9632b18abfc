// One round of isolation: a steady stream of calls to fifty fast hosts, with or without another to a
// host that never answers, or to hosts that flood. Each call carries the time at which it was recorded.

import { createRequire } from 'node:module'

const {
  entry,
  urls,
  blackHole,
  seconds,
  warmUpSeconds,
  tickMs,
  fastPerTick,
  holePerTick,
  holeAtStart,
  flooding,
} = JSON.parse(process.argv[2])
const { Engine } = createRequire(import.meta.url)(entry)

const engine = await Engine.open({
  egress: { allow: ['127.0.0.0/8'] },
  ...(flooding && { http: { tls: { ca: flooding.ca } } }),
})
const completions = []
let next = 0

/** Ticks between two calls to each host that floods. */
const FLOODING_EVERY = 25

function completed(workflowId, record) {
  const execution = engine.execution({ workflowId })
  record(execution.step('notify').$send)
  completions.push(execution.complete())
}

function sendFast(stage) {
  completed('p_fast', ($send) => {
    for (let index = 0; index < fastPerTick; index++) {
      const url = urls[next++ % urls.length]
      const headers = { 'x-recorded-at': String(process.hrtime.bigint()), 'x-stage': stage }
      $send.http({ method: 'POST', url, headers, data: { name: 'Luke Skywalker' } })
    }
  })
}

function sendIntoHole(count) {
  if (!blackHole) return
  completed('p_hole', ($send) => {
    for (let index = 0; index < count; index++)
      $send.http({ method: 'POST', url: blackHole, data: { index } })
  })
}

function sendToFlooding(count) {
  if (!flooding) return
  const { urls } = flooding
  completed('p_flooding', ($send) => {
    for (let index = 0; index < count; index++)
      $send.http({ method: 'POST', url: urls[index % urls.length], data: { index } })
  })
}

function stream(stage, duration) {
  const start = performance.now()
  let ticks = 0
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = Math.floor((performance.now() - start) / tickMs)
      for (; ticks < due; ticks++) {
        sendFast(stage)
        sendIntoHole(holePerTick)
        if (ticks % FLOODING_EVERY === 0) sendToFlooding(flooding?.urls.length)
      }
      if (performance.now() - start > duration * 1000) resolve(clearInterval(timer))
    }, tickMs)
  })
}

sendIntoHole(holeAtStart)
await stream('warm-up', warmUpSeconds)
const warmUp = next
await stream('measured', seconds)
await Promise.all(completions)
// The fast calls still on their way; the black hole keeps its own until they time out.
await engine.flush({ timeoutMs: 500 }).catch((error) => {
  if (error.code !== 'ERR_SEND_TIMEOUT') throw error
})
console.log(JSON.stringify({ warmUp, measured: next - warmUp }))
process.exit(0)
