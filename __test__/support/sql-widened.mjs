// A process that widens a table in every way, and is killed as soon as that is committed.
//
//   node sql-widened.mjs '{ "dataDir" }'

import { Engine } from '../../js/index.mjs'
import { WIDENED } from './sql.mjs'

const { dataDir } = JSON.parse(process.argv[2])
const engine = await Engine.open({ dataDir })
for (const payload of WIDENED) {
  const execution = engine.execution({ workflowId: 'p_test' })
  execution.step('step').$send.sql({ table: 'widened', payload })
  await execution.complete()
  await engine.flush()
}
process.kill(process.pid, 'SIGKILL')
