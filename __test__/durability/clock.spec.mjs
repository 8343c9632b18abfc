// The system's clock is set while an engine is open, or is wrong when one is opened.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { echo } from '../support/servers/echo.mjs'
import { startChild } from '../support/child.mjs'
import { settableClock, withoutClock } from '../support/clock.mjs'
import { dataDirectory } from '../support/data-dir.mjs'

const skip = withoutClock()

/** A clock that shows what `set` says, beside this directory. */
function clock(/** @type {string} */ directory) {
  const { set, env } = settableClock(`${directory}-clock`)
  const exports = Object.entries(env).map(([name, value]) => `export ${name}='${value}'`)
  return { set, limit: exports.join('; ') }
}

test('a clock that is set back by a day delays no retry', { skip }, async (t) => {
  let left = 2
  const server = await echo(t, (_, response) => response.writeHead(left-- > 0 ? 503 : 200).end())
  const time = clock(dataDirectory(t))
  const retry = { scheduleMs: [1000, 1000], breaker: { failures: 1, cooldownMs: 500 } }
  const child = startChild(
    server.url,
    `
    const execution = engine.execution({ workflowId: 'p_clock' })
    execution.step('step').$send.http({ url, method: 'GET' })
    await execution.complete()
    while (engine.stats().retrying === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    const before = Date.now()
    console.log('waits')
    while (Date.now() > before - 3_600_000) await new Promise((resolve) => setTimeout(resolve, 5))
    const [{ status, attempts }] = await execution.settled()
    console.log(status, attempts)
    await engine.close()`,
    { http: { retry } },
    time,
  )
  await child.line('waits')
  time.set('-1d')
  const { stdout } = await child.ended
  assert.equal(stdout, 'waits\ndelivered 3')
})

test('a clock that is ahead for a while deletes nothing', { skip }, async (t) => {
  const server = await echo(t)
  const directory = dataDirectory(t)
  const time = clock(directory)
  const options = { dataDir: directory }
  const run = async (/** @type {string} */ offset) => {
    time.set(offset)
    const child = startChild(
      server.url,
      `
      const execution = engine.execution({ workflowId: 'p_clock' })
      const { $send } = execution.step('step')
      $send.http({ url, method: 'GET' })
      $send.sql({ table: 't', payload: { a: 1 } })
      await execution.complete()
      await engine.flush()
      const log = (await engine.deliveries({ destination: 'http' })).length
      const { rows } = await engine.sql('SELECT count(*) AS n FROM t')
      console.log(log, Number(rows[0].n ?? rows[0]))
      await engine.close()`,
      options,
      time,
    )
    return (await child.ended).stdout
  }
  assert.equal(await run('+0d'), '1 1')
  assert.equal(await run('+40d'), '2 2')
  assert.equal(await run('+0d'), '3 3')
})
