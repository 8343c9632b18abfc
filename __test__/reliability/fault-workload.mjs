// A process on a disk that fails. It says which calls were promised, and how others were refused.
//
//   node fault-workload.mjs '{ "dataDir", "url", "executions", "marks" }'

import { openSync, writeSync } from 'node:fs'

import { Engine } from '../../js/index.mjs'
import { optionsOf } from './crash-workload.mjs'

const { dataDir, url, executions, marks } = JSON.parse(process.argv[2])
const file = openSync(marks, 'a')
const mark = (/** @type {string} */ line) => writeSync(file, line)

try {
  const engine = await Engine.open(optionsOf('mixed', dataDir))
  for (let n = 0; n < executions; n++) {
    const execution = engine.execution({ workflowId: 'p', executionId: `${n}` })
    const { $send } = execution.step('step')
    $send.http({ method: 'POST', url: `${url}/hook`, data: { id: `${n}`, call: 0 } })
    if (n % 4 === 0) $send.s3({ bucket: 'b', prefix: 'a/', payload: { id: `${n}`, call: 1 } })
    const kept = await execution.complete().then(
      () => true,
      (error) => refused(error),
    )
    if (kept) mark(`kept ${n} http${n % 4 === 0 ? ' s3' : ''}`)
  }
  await engine.close({ timeoutMs: 200 })
} catch (error) {
  refused(error)
}

/** @param {any} error */
function refused(error) {
  console.log(error.code ?? String(error))
  return false
}
