// Rows from the call until they can be queried, against prepared inserts through the same package.

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { DISTINCT } from '../examples.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const ROWS = { ours: 400_000, prepared: 20_000 }
const WARM_UP = { ours: 10_000, prepared: 1_000 }
const CALLS_EACH = 100
/** The resident set is looked at while this many rows pass, at this speed; those of the bench
 *  itself, made before, are few. */
const PASSING = { rows: 1_000_000, perSecond: 50_000, distinct: 1_000 }
const PASSING_ROUNDS = 3
const UNLIMITED = 1e9

const PEER = 'prepared inserts'

export async function warehouse(settings) {
  if (!(await isBuilt(settings.entry))) return { details: [], figures: figuresOf({}) }
  const ours = (more) => () =>
    runCandidate('rows.mjs', {
      entry: settings.entry,
      warmUp: WARM_UP.ours,
      callsEach: CALLS_EACH,
      ...more,
    })
  const results = await interleave(settings.rounds, {
    prepared: () => runCandidate('prepared.mjs', { rows: ROWS.prepared, warmUp: WARM_UP.prepared }),
    ours: ours({ rows: ROWS.ours, perSecond: UNLIMITED, distinct: DISTINCT }),
  })
  const { passing } = await interleave(PASSING_ROUNDS, { passing: ours(PASSING) })
  const all = { ...results, passing }
  return { details: detailsOf(all), figures: figuresOf(all) }
}

const perSecond = (round) => round.requests / (round.elapsedMs / 1000)
const cpuEach = (round) => round.cpuUs / round.requests
const busyEach = (round) => (round.busyMs * 1000) / round.requests

function detailsOf(all) {
  const names = { ours: '$send.sql', prepared: PEER }
  return Object.entries(names).flatMap(([key, name]) => [
    detail(`${name}: loaded`, 'rows/s', all[key].map(perSecond)),
    detail(`${name}: CPU time of the process`, 'µs/row', all[key].map(cpuEach)),
    detail(`${name}: main thread busy`, 'µs/row', all[key].map(busyEach)),
  ])
}

function figuresOf(all) {
  const against = (measure) =>
    all.ours && pairedRatios(all.ours.map(measure), all.prepared.map(measure))
  const most = all.passing?.map((round) => round.most)
  return [
    figure(`rows/s of $send.sql against ${PEER}`, '>=', 10, 'x', against(perSecond)),
    figure(`main thread busy against ${PEER}`, '<=', 0.1, 'x', against(busyEach)),
    figure('resident memory while 1,000,000 rows pass', '<=', 300, 'MB', most),
  ]
}
