// Events on their way to many clients, and to listeners of the process.

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { hyperClientOf } from '../hyper-client.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const FANOUT = { clients: 5_000, events: 20, pauseMs: 20 }
const EMITTED = { events: 5_000, perTick: 5, tickMs: 5 }

export async function streams(settings) {
  if (!(await isBuilt(settings.entry))) return { details: [], figures: figuresOf({}) }
  const client = await hyperClientOf(settings)
  const fanout = (entry) => () => runCandidate('fanout.mjs', { ...FANOUT, client, entry })
  const results = await interleave(settings.rounds, {
    plain: fanout(undefined),
    ours: fanout(settings.entry),
    emitted: () => runCandidate('emitted.mjs', { ...EMITTED, entry: settings.entry }),
  })
  return { details: detailsOf(results), figures: figuresOf(results) }
}

const p99 = (round) => round.p99
const p50 = (round) => round.p50
const busyEach = ({ busyMs }) => busyMs / FANOUT.events

function detailsOf({ plain, ours, emitted }) {
  return [
    ...Object.entries({ plain, ours }).flatMap(([name, rounds]) => [
      detail(`${name}: event to each of 5,000 clients, median`, 'ms', rounds.map(p50)),
      detail(`${name}: event to each of 5,000 clients, p99`, 'ms', rounds.map(p99)),
      detail(`${name}: main thread busy`, 'ms/event', rounds.map(busyEach)),
      detail(
        `${name}: CPU time of the process`,
        'ms/event',
        rounds.map(({ cpuUs }) => cpuUs / 1000 / FANOUT.events),
      ),
    ]),
    detail('emitted event to its listener, median', 'ms', emitted.map(p50)),
  ]
}

function figuresOf({ plain, ours, emitted }) {
  const against = (measure) => ours && pairedRatios(ours.map(measure), plain.map(measure))
  const each = ours?.map(({ bytesEach }) => bytesEach / 1024)
  return [
    figure(
      'p99 of an event to 5,000 clients, against a plain server',
      '<=',
      0.5,
      'x',
      against(p99),
    ),
    figure('main thread busy against it', '<=', 0.05, 'x', against(busyEach)),
    figure('resident memory per idle client', '<=', 16, 'KiB', each),
    figure('emitted event to its listener, p99', '<=', 5, 'ms', emitted?.map(p99)),
  ]
}
