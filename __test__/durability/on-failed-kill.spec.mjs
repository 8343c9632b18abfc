// A process whose calls fail is killed at random moments: each dead letter is forwarded exactly once.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { openEngine } from '../support/engine.mjs'
import { forwardedIn } from '../support/forwarded.mjs'
import { callsOf, killEach, seededRandom } from '../support/kill.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

const KILLS = 40

test(`${KILLS} kills forward each dead letter exactly once`, async (t) => {
  const server = await receiver(t, (request, response) => {
    response.statusCode = request.path === '/ok' ? 200 : 500
    response.end()
  })
  const dataDir = dataDirectory(t)
  const settings = () => ({ dataDir, url: server.origin })
  const killing = { script: 'on-failed-killed.mjs', settings, kills: KILLS }
  const promised = callsOf(await killEach(seededRandom(t), killing))
  const engine = await openEngine(t, {
    dataDir,
    onFailed: 'dead',
    log: { maxExecutionsPerWorkflow: 1_000_000 },
  })
  engine.destination('dead', { deliver() {} })
  await engine.flush(PATIENT)

  const all = await engine.deliveries({ limit: 1_000_000 })
  const failed = all.filter(({ status }) => status === 'failed').map(({ id }) => id)
  const forwarded = all
    .filter(({ destination }) => /** @type {string} */ (destination) === 'dead')
    .map(({ request }) => forwardedIn(request))
  t.diagnostic(`${promised.length} calls promised, ${failed.length} dead letters`)
  assert.ok(failed.length > KILLS)
  assert.deepEqual(forwarded.sort(), failed.sort(), 'each once, and nothing else')
  assert.equal(engine.stats().pending, 0)
})
