// A thread that sends one group of SNAPSHOTS, each to a path of its own, and says what JSON.stringify
// makes of them.

import { parentPort, workerData } from 'node:worker_threads'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'
import { SNAPSHOTS } from './snapshots.mjs'
import { PATIENT } from './patience.mjs'

const { url, group } = workerData
const engine = await Engine.open({ egress: LOCAL, http: { perHostConcurrency: 32 } })
const execution = engine.execution({ workflowId: 'p_test' })
const { $send } = execution.step('step')
SNAPSHOTS[group].forEach((make, place) =>
  $send.http({ method: 'POST', url: `${url}/${place}`, data: make() }),
)
await execution.complete()
const log = await execution.settled(PATIENT)
const failed = log.filter(({ status, warnings }) => status !== 'delivered' || warnings.length > 0)
const expected = SNAPSHOTS[group].map((make) => JSON.stringify(make()))
await engine.close()
parentPort?.postMessage({ failed, expected })
