// Rows from the call until they are in ClickHouse, against `@clickhouse/client`.

import { existsSync } from 'node:fs'

import { clickhouseServer } from '../../__test__/support/clickhouse.mjs'
import { CLICKHOUSE_PYTHON } from '../../scripts/clickhouse.mjs'
import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { DISTINCT } from '../examples.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const CALLS_EACH = 100
const SIZES = { rows: 200_000, warmUp: 10_000 }
const CANDIDATES = {
  ours: { name: '$send.sql', script: 'copied.mjs', callsEach: CALLS_EACH },
  client: {
    name: '@clickhouse/client, INSERTs of 10,000 rows',
    script: 'clickhouse-client.mjs',
    rowsEach: 10_000,
  },
}

export async function clickhouse({ entry, rounds }) {
  if (!(await isBuilt(entry))) return { details: [], figures: figuresOf({}) }
  if (!existsSync(CLICKHOUSE_PYTHON)) {
    console.error('# not measured: node scripts/clickhouse.mjs installs ClickHouse')
    return { details: [], figures: figuresOf({}) }
  }
  const ends = []
  try {
    const server = await clickhouseServer({ after: (end) => ends.push(end) })
    const results = await interleave(rounds, candidatesOf(server, entry))
    return { details: detailsOf(results), figures: figuresOf(results) }
  } finally {
    await Promise.all(ends.map((end) => end()))
  }
}

function candidatesOf({ url, ask }, entry) {
  let rounds = 0
  // A table of its own for each round: none is slower because of the rows of those before.
  const round = (candidate) => async () => {
    const { script, ...argument } = { ...candidate, ...SIZES, entry, warehouse: 'clickhouse', url }
    const table = `events_${rounds++}`
    const result = await runCandidate(script, { ...argument, table, distinct: DISTINCT })
    const stored = Number(await ask(`SELECT count() FROM events.${table}`))
    await ask(`DROP TABLE events.${table}`)
    const expected = SIZES.rows + SIZES.warmUp
    if (stored !== expected) throw new Error(`${table}: ${stored} rows of ${expected}`)
    return result
  }
  return Object.fromEntries(Object.entries(CANDIDATES).map(([key, one]) => [key, round(one)]))
}

const perSecond = (round) => round.requests / (round.elapsedMs / 1000)
const cpuEach = (round) => round.cpuUs / round.requests
const busyEach = (round) => (round.busyMs * 1000) / round.requests

function detailsOf(all) {
  return Object.entries(CANDIDATES).flatMap(([key, { name }]) => [
    detail(`${name}: stored`, 'rows/s', all[key].map(perSecond)),
    detail(`${name}: CPU time of the process`, 'µs/row', all[key].map(cpuEach)),
    detail(`${name}: main thread busy`, 'µs/row', all[key].map(busyEach)),
  ])
}

function figuresOf({ ours, client }) {
  const name = `rows/s of $send.sql into ClickHouse against ${CANDIDATES.client.name}`
  const ratios = ours && pairedRatios(ours.map(perSecond), client.map(perSecond))
  return [figure(name, '>=', 1, 'x', ratios)]
}
