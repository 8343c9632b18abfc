// One round of emitted events: from the call to the listener of the same process.

import { latencies } from '../statistics.mjs'

const { entry, events, perTick, tickMs } = JSON.parse(process.argv[2])
const { Engine } = await import(entry)
const engine = await Engine.open()

const latenciesUs = []
const all = new Promise((resolve) => {
  engine.subscribe({ emitterId: 'p_bench' }, ({ event }) => {
    latenciesUs.push((Number(process.hrtime.bigint()) - event.t) / 1000)
    if (latenciesUs.length === events) resolve()
  })
})
let sent = 0
const ticking = setInterval(() => {
  for (let n = 0; n < perTick && sent < events; n++, sent++) {
    const execution = engine.execution({ workflowId: 'p_bench' })
    execution.step('s').$send.emit({ n: sent, t: Number(process.hrtime.bigint()) })
    execution.complete()
  }
  if (sent === events) clearInterval(ticking)
}, tickMs)
const alive = setInterval(() => {}, 1000)
await all
clearInterval(alive)
await engine.close()
console.log(JSON.stringify(latencies(latenciesUs)))
