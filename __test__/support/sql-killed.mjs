// A process that completes executions of `$send.sql` calls until it is killed. It says which
// hand-overs were promised.
//
//   node sql-killed.mjs '{ "dataDir", "round", "seed", "sql" }'

import { writeSync } from 'node:fs'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'
import { randomOf } from './random.mjs'

const { dataDir, round, seed, sql } = JSON.parse(process.argv[2])
const random = randomOf(seed)
const batch = { intervalMs: 60, maxCount: 500 }
const engine = await Engine.open({ dataDir, sql: { batch, ...sql }, egress: LOCAL })
writeSync(1, 'open\n')

/** Values of ever more types, so that tables change while processes die. @param {number} n */
const valueOf = (n) =>
  [n, `text ${n}`, { a: n }, { a: [n], b: 'x' }, [n], null, true][
    Math.floor(random() * Math.min(7, 1 + round / 6))
  ]

/** @param {number} lane */
async function completeForever(lane) {
  for (let n = 0; ; n++) {
    const id = `${round}-${lane}-${n}`
    const execution = engine.execution({ workflowId: `p_${lane}`, executionId: id })
    const { $send } = execution.step('step')
    const calls = 1 + Math.floor(random() * 8)
    const table = random() < 0.5 ? 'a' : 'b'
    for (let call = 0; call < calls; call++) {
      $send.sql({ table, payload: { id, call, value: valueOf(n), [`c${round}`]: n } })
    }
    // Now and then it waits for its turn, so that not everything happens in one moment.
    await new Promise((resolve) => setTimeout(resolve, random() * 4))
    // Some are never completed: nobody may see these calls.
    if (random() < 0.1) continue
    await execution.complete()
    // Synchronous, so that a promise that was kept is known of before the next one is made.
    writeSync(1, `kept ${id} ${calls}\n`)
  }
}

for (let lane = 0; lane < 4; lane++) completeForever(lane)
