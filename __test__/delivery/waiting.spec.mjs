// What the log says of a delivery that waits, and what is said of calls that were never handed over.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { dataDirectory } from '../support/data-dir.mjs'
import { nextEvent, openEngine, record } from '../support/engine.mjs'
import { receiver } from '../support/receiver.mjs'

const run = promisify(execFile)
/**
 * Asks until there is something.
 *
 * @template T
 * @param {() => Promise<T>} ask
 * @returns {Promise<Exclude<T, false | '' | undefined>>}
 */
async function until(ask) {
  for (;;) {
    const found = await ask()
    if (found) return /** @type {any} */ (found)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const ROOT = new URL('../../js/index.mjs', import.meta.url).href

for (const durable of [false, true]) {
  const place = durable ? 'on disk' : 'in memory'

  test(`a delivery that waits has its error and the time of the next attempt, ${place}`, async (t) => {
    const server = await receiver(t, (_request, response) => {
      response.statusCode = 503
      response.end()
    })
    const options = durable ? { dataDir: dataDirectory(t) } : {}
    const retry = { attempts: 3, initialMs: 3_600_000, maxMs: 3_600_000 }
    let engine = await openEngine(t, { ...options, http: { retry } })
    const before = Date.now()
    await record(engine, [{ url: server.url }]).complete()
    const waiting = async () => {
      const [delivery] = await engine.deliveries()
      return delivery.nextAttemptAt && delivery
    }
    const check = (delivery) => {
      assert.deepEqual(
        [delivery.status, delivery.attempts, delivery.lastError?.code, delivery.error],
        ['pending', 1, 'ERR_SEND_STATUS', undefined],
      )
      assert.match(delivery.lastError.message, /503/)
      assert.ok(Date.parse(delivery.nextAttemptAt) > before + 1_000_000)
    }
    check(await until(waiting))
    if (!durable) return
    await engine.close({ timeoutMs: 0 })
    engine = await openEngine(t, { ...options, http: { retry } })
    check(await until(waiting))
  })

  test(`calls that were never handed over are told of by close(), ${place}`, async (t) => {
    const options = durable ? { dataDir: dataDirectory(t) } : {}
    const engine = await openEngine(t, options)
    const execution = record(engine, [{ url: 'http://127.0.0.1:9/' }, { url: 'http://a/' }])
    const warning = nextEvent(engine, 'warning', ({ code }) => code === 'EXECUTION_OPEN')
    const { open } = await engine.close()
    assert.equal(open, 2)
    const { message } = await warning
    for (const part of [execution.executionId, 'p_test', 'calls that are not sent: 2']) {
      assert.ok(message.includes(part), message)
    }
  })
}

test('records of a batch that cannot be stored say why', async (t) => {
  const engine = await openEngine(t, {
    s3: {
      endpoint: 'http://127.0.0.1:9',
      allowHttp: true,
      accessKeyId: 'x',
      secretAccessKey: 'y',
      batch: { intervalMs: 10 },
    },
  })
  const execution = engine.execution({ workflowId: 'p_test' })
  const { $send } = execution.step('step')
  for (const n of [1, 2]) $send.s3({ bucket: 'archive', payload: { n } })
  await execution.complete()
  const deliveries = await until(async () => {
    const found = await engine.deliveries()
    return found.every(({ lastError }) => lastError) && found
  })
  for (const { attempts, lastError, nextAttemptAt, warnings } of deliveries) {
    assert.ok(attempts > 0 && nextAttemptAt)
    assert.deepEqual(
      warnings.map((note) => /^attempt \d+ failed: .*refused/.test(note)),
      [true],
    )
    assert.match(lastError?.message ?? '', /refused/)
  }
})

for (const [title, end] of [
  ['at the end of the process', ''],
  ['by close()', 'await engine.close()'],
]) {
  test(`without a listener a warning goes to standard error ${title}`, async () => {
    const script = `
      import { Engine } from ${JSON.stringify(ROOT)}
      const engine = await Engine.open()
      const execution = engine.execution({ workflowId: 'p_forgetful', executionId: 'run-7' })
      execution.step('code').$send.http({ method: 'POST', url: 'http://127.0.0.1:9/', data: {} })
      ${end}`
    const { stderr } = await run(process.execPath, ['--input-type=module', '-e', script])
    for (const part of ['run-7', 'p_forgetful', 'calls that are not sent: 1']) {
      assert.ok(stderr.includes(part), stderr)
    }
  })
}
