// What a recorded call occupies until it is delivered.

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { exampleOfOneKib } from '../examples.mjs'
import { detail, figure } from '../table.mjs'

const SIZES = { executions: 1_000, callsEach: 100, warmUpCalls: 2_000 }
const NAME = 'memory per undelivered call, beyond its payload of 1 KiB'
const BAR_BYTES = 512

export async function memory(settings) {
  if (!(await isBuilt(settings.entry)))
    return { details: [], figures: [figure(NAME, '<=', BAR_BYTES, 'B')] }
  const call = exampleOfOneKib()
  const payload = JSON.stringify(call.data).length
  const run = () => runCandidate('memory.cjs', { entry: settings.entry, call, ...SIZES })
  const { rounds } = await interleave(settings.rounds, { rounds: run })
  return {
    details: [
      detail(
        'resident memory per undelivered call',
        'B',
        rounds.map((round) => round.rss),
      ),
      detail(
        'of which JavaScript heap',
        'B',
        rounds.map((round) => round.heap),
      ),
    ],
    figures: [
      figure(
        NAME,
        '<=',
        BAR_BYTES,
        'B',
        rounds.map((round) => round.rss - payload),
      ),
    ],
  }
}
