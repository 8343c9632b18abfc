// One round of fan-out: events to many clients that follow one stream, ours or that of a plain server.

import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'

import { latencies } from '../statistics.mjs'
import { metered } from './meter.mjs'

const { entry, client, clients, events, pauseMs } = JSON.parse(process.argv[2])

/** `{ url, send(n), close() }` of a server whose streams begin with a comment. */
const server = entry ? await ours() : await plain()

async function ours() {
  const { Engine } = await import(entry)
  const engine = await Engine.open({ server: { port: 0 } })
  return {
    url: `${engine.address().url}/pipelines/p_bench/sse`,
    send(n) {
      const execution = engine.execution({ workflowId: 'p_bench' })
      execution.step('s').$send.sse({ channel: 'tick', payload: dataOf(n) })
      return execution.complete()
    },
    close: () => engine.close({ timeoutMs: 1000 }),
  }
}

async function plain() {
  const following = new Set()
  const http = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    response.write(':ok\n\n')
    following.add(response)
    response.on('close', () => following.delete(response))
  })
  // More connections wait at once than its default of 511 lets in.
  await new Promise((resolve) =>
    http.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve),
  )
  return {
    url: `http://127.0.0.1:${http.address().port}/`,
    send(n) {
      const data = JSON.stringify(dataOf(n))
      const frame = Buffer.from(`id: ${Date.now()}-${n}\nevent: tick\ndata: ${data}\n\n`)
      for (const response of following) response.write(frame)
    },
    close: () => http.closeAllConnections(),
  }
}

/** The time is taken where the caller says that there is an event. */
const dataOf = (n) => ({ n, t: Number(process.hrtime.bigint()) })

const settled = async () => {
  globalThis.gc()
  await new Promise((resolve) => setTimeout(resolve, 200))
  return process.memoryUsage().rss
}

// What belongs to any server that was used, and not to each client.
await fetch(server.url).then((response) => response.body.cancel())
const before = await settled()
const child = spawn(client, ['follow', server.url, String(clients), String(events)], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
const line = async () => (await lines.next()).value
if ((await line()) !== 'ready') throw new Error('the clients could not connect')
const idle = await settled()
const cost = await metered(async () => {
  for (let n = 1; n <= events; n++) {
    await server.send(n)
    if ((await line()) !== `event ${n}`) throw new Error('an event did not arrive everywhere')
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
})
const { latenciesUs } = JSON.parse(await line())
await server.close()
const bytesEach = (idle - before) / clients
console.log(JSON.stringify({ ...cost, ...latencies(latenciesUs), bytesEach }))
process.exit(0)
