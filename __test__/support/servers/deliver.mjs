// An engine and its deliveries, for tests that want nothing else.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { Engine } from '../../../js/index.mjs'
import { PATIENCE_MS, PATIENT } from '../patience.mjs'

/**
 * An engine that may talk to this machine unless the options say otherwise, until the test ends.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {import('../../../index.d.ts').EngineOptions} [options]
 */
export async function openEngine(t, options = {}) {
  const engine = await Engine.open({
    ...options,
    egress: { allow: ['127.0.0.0/8'], ...options.egress },
  })
  t.after(() => engine.close({ timeoutMs: 500 }))
  return engine
}

/**
 * Sends the calls in one execution; the answer is their deliveries in call order.
 *
 * @param {Engine} engine
 * @param {...any} configs
 */
export async function deliver(engine, ...configs) {
  const execution = engine.execution({ workflowId: 'p_http' })
  const { $send } = execution.step('code')
  for (const config of configs) $send.http(config)
  await execution.complete()
  return execution.settled(PATIENT)
}

/**
 * What a delivery shows, in one line of an assertion.
 *
 * @param {import('../../../index.d.ts').Delivery} delivery
 */
export function outcome({ status, error, response }) {
  const { status: answered } = response ?? {}
  return [status, error?.code, error?.phase, answered]
    .filter((part) => part !== undefined)
    .join(' ')
}

/**
 * The same in a process of its own, which has the environment `env`: an engine reads the machine's
 * certificate authorities from there.
 *
 * @param {Record<string, string>} env
 * @param {import('../../../index.d.ts').EngineOptions} options
 * @param {object[]} configs
 * @returns {Promise<import('../../../index.d.ts').Delivery[]>}
 */
export async function deliverInChild(env, options, configs) {
  const child = promisify(execFile)(
    process.execPath,
    [fileURLToPath(import.meta.url), JSON.stringify({ options, configs })],
    { env: { ...process.env, ...env }, timeout: PATIENCE_MS, maxBuffer: 64 << 20 },
  )
  return JSON.parse((await child).stdout)
}

async function main() {
  const { options, configs } = JSON.parse(process.argv[2])
  const ends = /** @type {(() => unknown)[]} */ ([])
  const engine = await openEngine({ after: (end) => ends.push(end) }, options)
  process.stdout.write(JSON.stringify(await deliver(engine, ...configs)))
  for (const end of ends) await end()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
