// A process that pauses, resumes, dismisses and replays until it is killed. It says what it begins, and
// what was promised.
//
//   node control-killed.mjs '{ "dataDir", "seed" }'

import { writeSync } from 'node:fs'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'
import { randomOf } from './random.mjs'

const HOST = { host: '127.0.0.1' }

const { dataDir, seed } = JSON.parse(process.argv[2])
const random = randomOf(seed)
const engine = await Engine.open({ dataDir, egress: LOCAL, http: { perHostConcurrency: 4 } })
const say = (/** @type {unknown} */ line) => writeSync(1, `${JSON.stringify(line)}\n`)

/**
 * @param {string} act
 * @param {string[]} ids
 * @param {() => Promise<unknown>} run
 */
async function promised(act, ids, run) {
  say({ word: 'begun', act, ids })
  await run()
  say({ word: 'kept', act, ids })
}

say({ word: 'open' })
for (;;) {
  const dead = await engine.deliveries({ status: 'failed', limit: 1000 })
  const open = dead.filter(({ replayedBy, dismissedAt }) => !replayedBy && !dismissedAt)
  const first = Math.floor(random() * Math.max(1, open.length - 3))
  const ids = open.slice(first, first + 3).map(({ id }) => id)
  const dice = random()
  if (dice < 0.3) await promised('pause', [], () => engine.pause(HOST))
  else if (dice < 0.6) await promised('resume', [], () => engine.resume(HOST))
  else if (ids.length === 0) await new Promise((resolve) => setImmediate(resolve))
  else if (dice < 0.75) {
    const [id] = ids
    await promised('dismiss', [id], () => engine.dismiss({ ids: [id] }))
  } else await promised('replay', ids, () => engine.replay({ ids }))
}
