// What `dollar-send log -f` costs the engine that it follows, and whether it keeps up.

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { counted, startLoadServer } from '../servers/load.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const PER_SECOND = 2000
const REQUESTS = 10_000
const WARM_UP = 4000

export async function follow(settings) {
  const { entry, rounds } = settings
  if (!(await isBuilt(entry))) return { details: [], figures: [] }
  const server = await startLoadServer(settings)
  try {
    const argument = { entry, url: server.url, perSecond: PER_SECOND, requests: REQUESTS }
    const run = (settings) => () =>
      counted(server, 'dollar-send', () =>
        runCandidate('followed.mjs', { ...argument, warmUp: WARM_UP, ...settings }),
      )
    return resultOf(
      await interleave(rounds, {
        without: run({}),
        with: run({ follows: 'url' }),
        durable: run({ isDurable: true }),
        durableWith: run({ isDurable: true, follows: 'directory' }),
      }),
    )
  } finally {
    await server.stop()
  }
}

const perSecond = ({ requests, elapsedMs }) => requests / (elapsedMs / 1000)
const cpuOfEach = ({ requests, cpuUs }) => cpuUs / requests

function resultOf({ without, with: followed, durable, durableWith }) {
  const [bare, busy] = [without.map(cpuOfEach), followed.map(cpuOfEach)]
  const [bareDurable, busyDurable] = [durable.map(cpuOfEach), durableWith.map(cpuOfEach)]
  const [rate, kept] = [without.map(perSecond), followed.map(perSecond)]
  return {
    details: [
      detail('CPU time of a delivery at 2,000/s, nothing follows', 'µs', bare),
      detail('CPU time of a delivery at 2,000/s, log -f', 'µs', busy),
      detail('deliveries a second behind log -f', 'req/s', kept),
      detail('CPU time with a data directory, nothing follows', 'µs', bareDurable),
      detail('CPU time with a data directory, log -f reads it', 'µs', busyDurable),
    ],
    figures: [
      figure('deliveries a second, log -f / without', '>=', 0.97, 'x', pairedRatios(kept, rate)),
      figure('CPU time of a delivery, log -f / without', '<=', 1.03, 'x', pairedRatios(busy, bare)),
      figure(
        'CPU time with a data directory, log -f reads it / without',
        '<=',
        1.03,
        'x',
        pairedRatios(busyDurable, bareDurable),
      ),
      figure(
        'last line of log -f after the last delivery',
        '<=',
        1000,
        'ms',
        followed.map(({ behindMs }) => behindMs),
      ),
    ],
  }
}
