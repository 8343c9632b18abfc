// A process that replays dead letters until it is killed.
//
//   node replay-killed.mjs '{ "dataDir" }'

import { writeSync } from 'node:fs'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'

const { dataDir } = JSON.parse(process.argv[2])
const engine = await Engine.open({ dataDir, egress: LOCAL, http: { perHostConcurrency: 4 } })
const filter = /** @type {const} */ ({ status: 'failed' })
writeSync(1, 'open\n')
for (;;) {
  await engine.replay(filter, { dryRun: true })
  await engine.replay(filter)
  await engine.flush()
}
