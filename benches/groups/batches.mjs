// Events from the call to the stored object, against what one writes in Node without us.

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { DISTINCT } from '../examples.mjs'
import { BUCKET, startS3 } from '../servers/s3.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const EVENTS = { ours: 400_000, stream: 200_000, whole: 400_000 }
const WARM_UP = 10_000
const CALLS_EACH = 100
/** The resident set is looked at while this many events pass, at this speed; those of the bench
 *  itself, made before, are few. */
const PASSING = { events: 1_000_000, perSecond: 50_000, distinct: 1_000 }
const PASSING_ROUNDS = 3
/** The same events as lines with gzip, and as Parquet. */
const PARQUET = { events: 1_000_000, distinct: 100_000, rounds: 3 }
const UNLIMITED = 1e9

const PEERS = { stream: 'createGzip()', whole: 'gzip() of whole batches' }

export async function batches(settings) {
  if (!(await isBuilt(settings.entry))) return { details: [], figures: figuresOf({}) }
  const server = await startS3()
  try {
    const argument = {
      s3: server.options,
      bucket: BUCKET,
      warmUp: WARM_UP,
      callsEach: CALLS_EACH,
    }
    const ours = (more) => () =>
      stored(server, 'batches.mjs', { ...argument, entry: settings.entry, ...more })
    const peer = (how) => () =>
      stored(server, 'zlib-s3.mjs', { ...argument, events: EVENTS[how], how })
    const results = await interleave(settings.rounds, {
      stream: peer('stream'),
      ours: ours({ events: EVENTS.ours, perSecond: UNLIMITED, distinct: DISTINCT }),
      whole: peer('whole'),
    })
    const parquet = await interleave(PARQUET.rounds, {
      lines: ours({ ...PARQUET, perSecond: UNLIMITED }),
      parquet: ours({ ...PARQUET, perSecond: UNLIMITED, format: 'parquet' }),
    })
    const { passing } = await interleave(PASSING_ROUNDS, { passing: ours(PASSING) })
    const all = { ...results, ...parquet, passing }
    return { details: detailsOf(all), figures: figuresOf(all) }
  } finally {
    await server.stop()
  }
}

/** A round whose objects are not all there counts for nothing. */
async function stored(server, script, argument) {
  const round = await runCandidate(script, argument)
  const { objects, bytes } = await server.take()
  if (objects !== round.batches) {
    throw new Error(`${script} says ${round.batches} objects, and there are ${objects}`)
  }
  return { ...round, storedBytes: bytes }
}

const perSecond = (round) => round.requests / (round.elapsedMs / 1000)
const cpuEach = (round) => round.cpuUs / round.requests
const busyEach = (round) => (round.busyMs * 1000) / round.requests
const sizeEach = (round) => round.storedBytes / round.requests

const asParquet = (all, measure) =>
  all.parquet && pairedRatios(all.parquet.map(measure), all.lines.map(measure))

function detailsOf(all) {
  const names = { ours: '$send.s3', ...PEERS, lines: '1,000,000 events', parquet: 'as Parquet' }
  return [
    ...Object.entries(names).flatMap(([key, name]) => [
      detail(`${name}: stored`, 'events/s', all[key].map(perSecond)),
      detail(`${name}: CPU time of the process`, 'µs/event', all[key].map(cpuEach)),
      detail(`${name}: main thread busy`, 'µs/event', all[key].map(busyEach)),
      detail(`${name}: size of the objects`, 'B/event', all[key].map(sizeEach)),
    ]),
  ]
}

function figuresOf(all) {
  const against = (peer, measure) =>
    all.ours && pairedRatios(all.ours.map(measure), all[peer].map(measure))
  const most = all.passing?.map((round) => round.most)
  return [
    ...Object.entries(PEERS).flatMap(([peer, name]) => [
      figure(`events/s of $send.s3 against ${name} + SDK`, '>=', 3, 'x', against(peer, perSecond)),
      figure(`main thread busy against ${name} + SDK`, '<=', 0.2, 'x', against(peer, busyEach)),
    ]),
    figure('events/s as Parquet against lines', '>=', 0.5, 'x', asParquet(all, perSecond)),
    figure('size of objects as Parquet against lines', '<=', 0.7, 'x', asParquet(all, sizeEach)),
    figure('resident memory while 1,000,000 events pass', '<=', 150, 'MB', most),
  ]
}
