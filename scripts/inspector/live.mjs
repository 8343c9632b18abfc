// The present of the seeded engine: calls that wait for another attempt, an open circuit breaker, a paused
// host, a batch that gathers, and a run that goes on.

import { createServer, request } from 'node:http'

import { Engine } from '../../js/index.mjs'

/** The status and body that each host answers with. */
const ANSWERS = /** @type {Record<string, [number, object]>} */ ({
  'tickets.acme.example': [503, { error: 'maintenance' }],
  'stock.acme.example': [429, { error: 'slow down' }],
  'ledger.acme.example': [201, { booked: true, entry: 'ent_5512', balance: 12_204.4 }],
  'erp.acme.example': [422, { error: 'unknown_article', article: 'A-1007' }],
  'partner.acme.example': [200, {}],
})

/**
 * Starts the hosts on 127.0.0.1. Returns their origins by their names, which no name server knows:
 * `named` puts them back into texts.
 */
async function startHosts() {
  /** @type {Record<string, string>} */
  const origins = {}
  const servers = []
  for (const [name, [status, body]] of Object.entries(ANSWERS)) {
    const server = createServer((incoming, response) => {
      incoming.resume()
      setTimeout(() => {
        response.writeHead(status, { 'content-type': 'application/json' })
        response.end(JSON.stringify(body))
      }, 20)
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
    origins[name] = `http://127.0.0.1:${port}`
    servers.push(server)
  }
  return { origins, servers }
}

/**
 * Opens the data directory with a server, and makes what the page shows of the present.
 *
 * @param {string} dataDir
 */
export async function present(dataDir) {
  const { origins, servers } = await startHosts()
  const engine = await Engine.open({
    dataDir,
    egress: { allow: ['127.0.0.0/8'] },
    http: {
      retry: { scheduleMs: [240_000, 900_000], breaker: { failures: 6, cooldownMs: 600_000 } },
    },
    log: { maxExecutionsPerWorkflow: 10_000 },
    server: { port: 0, try: true },
  })
  await engine.pause({ host: new URL(origins['partner.acme.example']).host })
  const { url: address } = /** @type {{ url: string }} */ (engine.address())
  const open = await work(engine, origins)
  const followers = await Promise.all(
    ['p_orders', 'p_orders', 'p_orders', 'p_support'].map((id) =>
      follow(`${address}/pipelines/${id}/sse`),
    ),
  )
  const close = async () => {
    for (const follower of followers) follower.destroy()
    open.discard()
    await engine.close({ timeoutMs: 0 })
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
  }
  /** @param {string} text */
  const named = (text) =>
    Object.entries(origins).reduce(
      (all, [name, origin]) =>
        all.replaceAll(origin, `https://${name}`).replaceAll(new URL(origin).host, name),
      text,
    )
  return { engine, url: address, named, close }
}

/** @param {string} url */
function follow(url) {
  const sent = request(url)
  sent.on('error', () => {})
  sent.end()
  return new Promise((resolve) => sent.on('response', () => resolve(sent)))
}

/** @param {any} engine @param {Record<string, string>} origins */
async function work(engine, origins) {
  /** @param {string} workflowId @param {any} trigger @param {(steps: any) => void} record */
  const run = async (workflowId, trigger, record) => {
    const execution = engine.execution({ workflowId, trigger })
    record(execution)
    await execution.complete()
    return execution
  }
  for (let number = 1; number <= 8; number++) {
    await run('p_support', 'POST /hooks/contact-form', (execution) => {
      const { $send } = execution.step('ticket')
      $send.http({
        ...{ method: 'POST', url: `${origins['tickets.acme.example']}/v1/tickets` },
        data: { subject: 'Where is my order?', order: `ord_${11_000 + number}`, priority: 2 },
      })
    })
  }
  await run('p_signup', 'POST /hooks/signup', (execution) => {
    execution.step('partner').$send.http({
      ...{ method: 'POST', url: `${origins['partner.acme.example']}/leads` },
      data: { name: 'Leia Organa', source: 'website' },
    })
  })
  const order = await run('p_orders', { method: 'POST', path: '/hooks/payments' }, (execution) => {
    const ship = execution.step('ship').$send
    ship.http({
      method: 'POST',
      url: `${origins['stock.acme.example']}/reservations`,
      data: { article: 'A-1007', count: 2 },
    })
    ship.http({
      method: 'POST',
      url: `${origins['erp.acme.example']}/orders`,
      data: { article: 'A-1007', total: 91.8 },
    })
    const notify = execution.step('notify').$send
    notify.http({
      ...{ method: 'POST', url: `${origins['ledger.acme.example']}/entries` },
      headers: { authorization: 'Bearer secret', 'x-tenant': 'acme' },
      data: {
        order: 'ord_12001',
        customer: 'Ahsoka Tano',
        total: 91.8,
        lines: [{ article: 'A-1007', count: 2 }],
      },
    })
    notify.sse({ channel: 'orders', payload: { order: 'ord_12001', total: 91.8 } })
    execution
      .step('archive')
      .$send.s3({ bucket: 'acme-orders', prefix: 'paid/', payload: { order: 'ord_12001' } })
  })
  // The shipment and the record of the batch wait; the rest is final.
  const isQuiet = async () => (await engine.executions({ limit: 1 }))[0]?.pending <= 2
  while (!(await isQuiet())) await new Promise((resolve) => setTimeout(resolve, 20))
  const open = engine.execution({ workflowId: 'p_invoices', trigger: 'every hour' })
  open.step('render').$send.http({
    method: 'POST',
    url: `${origins['ledger.acme.example']}/render`,
    data: { invoice: 1 },
  })
  return Object.assign(open, { order: order.executionId })
}
