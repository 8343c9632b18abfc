// A database that is away for longer than the lease of a node.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'

import { cuttable, fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { listen } from '../support/servers/listen.mjs'

const HOSTS = 8
const CALLS = 3

test('a node without a lease waits for it, and does nothing else less', async (t) => {
  const database = await fleetDatabase(t)
  const way = await cuttable(t, database)
  /** @type {(() => void)[]} */
  const held = []
  let requests = 0
  let isHolding = true
  const hosts = await Promise.all(
    Array.from({ length: HOSTS }, () =>
      listen(
        t,
        createServer((request, response) => {
          requests++
          request.resume()
          if (isHolding) held.push(() => response.end())
          else response.end()
        }),
      ),
    ),
  )
  const { postgres, ...journal } = database.journal({ leaseMs: 2000 })
  const node = await startNode(t, {
    journal: { ...journal, postgres: { ...postgres, url: way.url } },
    server: { port: 0 },
    http: { perHostConcurrency: 1 },
  })
  const urls = hosts.map(({ host }) => `http://${host}/`)
  const status = async () => {
    const response = await fetch(`${node.url}/readyz`, { signal: AbortSignal.timeout(10_000) })
    return response.status
  }
  node.record(
    'run',
    urls.flatMap((url) => Array(CALLS).fill(url)),
  )
  await until(() => held.length === HOSTS)
  assert.equal(await status(), 200)
  way.cut()
  await until(async () => (await status()) === 503)

  // Each lane has calls that wait, and may begin with none of them.
  isHolding = false
  held.forEach((respond) => respond())
  await until(() => node.words('ended').length === HOSTS)
  assert.equal(await status(), 503)
  assert.equal(requests, HOSTS)

  way.mend()
  await until(() => node.words('settled').length === 1)
  assert.equal(requests, HOSTS * CALLS)
  // The server asks the journal once a second at most.
  await until(async () => (await status()) === 200)
})
