// Rows from the call until they are committed in PostgreSQL, against INSERTs through `pg`.

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { DISTINCT } from '../examples.mjs'
import { startPostgres } from '../servers/postgres.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const CALLS_EACH = 100
const CANDIDATES = {
  ours: { name: '$send.sql', rows: 200_000, warmUp: 10_000 },
  many: { name: 'pg, INSERTs of 500 rows', rows: 100_000, warmUp: 10_000, rowsEach: 500 },
  prepared: {
    name: 'pg, the same prepared and in one transaction',
    rows: 100_000,
    warmUp: 10_000,
    rowsEach: 500,
    isPrepared: true,
  },
  single: { name: 'pg, INSERTs of one row', rows: 2_000, warmUp: 100, rowsEach: 1 },
}
const { ours: OURS, ...PEERS } = CANDIDATES

export async function postgres(settings) {
  if (!(await isBuilt(settings.entry))) return { details: [], figures: figuresOf({}) }
  const server = await startPostgres()
  if (!server) {
    console.error('# not measured: node scripts/postgres-server.mjs installs PostgreSQL')
    return { details: [], figures: figuresOf({}) }
  }
  try {
    const results = await interleave(settings.rounds, candidatesOf(server, settings))
    return { details: detailsOf(results), figures: figuresOf(results) }
  } finally {
    await server.stop()
  }
}

function candidatesOf({ url, psql }, { entry }) {
  let rounds = 0
  // A table of its own for each round: none is slower because of the rows of those before.
  const round = (script, argument) => async () => {
    const table = `events_${rounds++}`
    const result = await runCandidate(script, { url, table, distinct: DISTINCT, ...argument })
    const stored = Number(await psql(`SELECT count(*) FROM ${table}`))
    await psql(`DROP TABLE ${table}`)
    const expected = argument.rows + argument.warmUp
    if (stored !== expected) throw new Error(`${table}: ${stored} rows of ${expected}`)
    return result
  }
  const peers = Object.entries(PEERS).map(([key, peer]) => [key, round('inserts.mjs', peer)])
  const ours = round('copied.mjs', { entry, warehouse: 'postgres', callsEach: CALLS_EACH, ...OURS })
  return { ...Object.fromEntries(peers), ours }
}

const perSecond = (round) => round.requests / (round.elapsedMs / 1000)
const cpuEach = (round) => round.cpuUs / round.requests
const busyEach = (round) => (round.busyMs * 1000) / round.requests

function detailsOf(all) {
  return Object.entries(CANDIDATES).flatMap(([key, { name }]) => [
    detail(`${name}: committed`, 'rows/s', all[key].map(perSecond)),
    detail(`${name}: CPU time of the process`, 'µs/row', all[key].map(cpuEach)),
    detail(`${name}: main thread busy`, 'µs/row', all[key].map(busyEach)),
  ])
}

function figuresOf({ ours, many }) {
  const name = `rows/s of $send.sql into PostgreSQL against ${CANDIDATES.many.name}`
  const ratios = ours && pairedRatios(ours.map(perSecond), many.map(perSecond))
  return [figure(name, '>=', 5, 'x', ratios)]
}
