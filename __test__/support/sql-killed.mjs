// A process that completes executions of `$send.sql` calls until it is killed.
//
//   node sql-killed.mjs '{ "dataDir", "round", "seed", "sql" }'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'
import { random, runUntilKilled, settings } from './until-killed.mjs'

const { dataDir, round, sql } = settings
const batch = { intervalMs: 60, maxCount: 500 }
const engine = await Engine.open({ dataDir, sql: { batch, ...sql }, egress: LOCAL })

/** Values of ever more types, so that tables change while processes die. @param {number} n */
const valueOf = (n) =>
  [n, `text ${n}`, { a: n }, { a: [n], b: 'x' }, [n], null, true][
    Math.floor(random() * Math.min(7, 1 + round / 6))
  ]

runUntilKilled(engine, async (execution, n) => {
  const id = execution.executionId
  const { $send } = execution.step('step')
  const calls = 1 + Math.floor(random() * 8)
  const table = random() < 0.5 ? 'a' : 'b'
  for (let call = 0; call < calls; call++) {
    $send.sql({ table, payload: { id, call, value: valueOf(n), [`c${round}`]: n } })
  }
  // Now and then it waits for its turn, so that not everything happens in one moment.
  await new Promise((resolve) => setTimeout(resolve, random() * 4))
  // Some are never completed: nobody may see these calls.
  if (random() < 0.1) return 0
  await execution.complete()
  return calls
})
