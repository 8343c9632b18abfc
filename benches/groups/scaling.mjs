// Ten times the calls must cost about ten times as much: nothing in the way is quadratic.

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { counted, startLoadServer } from '../servers/load.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const FEW = 10_000
const MANY = 10 * FEW
const WARM_UP = 4_000
const CALLS_EACH = 100

export async function scaling(settings) {
  const name = `time of ${MANY} calls against ${FEW}`
  if (!(await isBuilt(settings.entry)))
    return { details: [], figures: [figure(name, '<=', 11, 'x')] }
  const server = await startLoadServer(settings)
  try {
    const argument = {
      entry: settings.entry,
      url: server.url,
      warmUp: WARM_UP,
      callsEach: CALLS_EACH,
    }
    const run = (requests) => () =>
      counted(server, 'dollar-send', () =>
        runCandidate('deliveries.mjs', { ...argument, requests }),
      )
    const results = await interleave(settings.rounds, { few: run(FEW), many: run(MANY) })
    const [few, many] = [results.few, results.many].map((rounds) =>
      rounds.map((round) => round.elapsedMs),
    )
    return {
      details: [
        detail(`${FEW} calls, recorded to settled`, 'ms', few),
        detail(`${MANY} calls`, 'ms', many),
      ],
      figures: [figure(name, '<=', 11, 'x', pairedRatios(many, few))],
    }
  } finally {
    await server.stop()
  }
}
