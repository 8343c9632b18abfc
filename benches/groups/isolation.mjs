// A host that accepts connections and never answers must not slow down the others.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { pairedRatios, quantile } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const NAME = 'p99 of 50 fast hosts, with a black hole against without'

/**
 * 1,000 calls a second to the fast hosts; 100 a second, after 500 at once, to the black hole. Warm is
 * when the first calls to the black hole have timed out, and V8 has compiled what runs every tick: on
 * two cores each of its compilations delays a tick by milliseconds, and the black hole has a tick more.
 */
const STREAM = {
  seconds: 4,
  warmUpSeconds: 6,
  tickMs: 10,
  fastPerTick: 10,
  holePerTick: 1,
  holeAtStart: 500,
}

/** What a call counts that had not arrived when the round ended: the default deadline. */
const LATE_MS = 5_000

export async function isolation(settings) {
  if (!(await isBuilt(settings.entry)))
    return { details: [], figures: [figure(NAME, '<=', 1.2, 'x')] }
  const server = await startClockedServer()
  try {
    const argument = { entry: settings.entry, urls: server.urls, ...STREAM }
    const run = (blackHole) => () => round(server, { ...argument, blackHole })
    const results = await interleave(settings.rounds, {
      without: run(undefined),
      with: run(server.blackHole),
    })
    return { details: detailsOf(results), figures: figuresOf(results) }
  } finally {
    server.stop()
  }
}

async function round(server, argument) {
  await server.take()
  const { measured } = await runCandidate('stream.mjs', argument)
  const { ages, swallowed } = await server.take()
  if (argument.blackHole && swallowed === 0) throw new Error('nothing reached the black hole')
  const late = Array(Math.max(0, measured - ages.length)).fill(LATE_MS)
  const all = [...ages, ...late]
  return { late: late.length, p50: quantile(all, 0.5), p99: quantile(all, 0.99) }
}

function detailsOf(results) {
  return Object.entries(results).flatMap(([name, rounds]) => [
    detail(
      `call to arrival, ${name} a black hole: median`,
      'ms',
      rounds.map((round) => round.p50),
    ),
    detail(
      `call to arrival, ${name} a black hole: p99`,
      'ms',
      rounds.map((round) => round.p99),
    ),
    detail(
      `calls that had not arrived at the end, ${name} a black hole`,
      'calls',
      rounds.map((round) => round.late),
    ),
  ])
}

function figuresOf(results) {
  const p99 = (rounds) => rounds.map((round) => round.p99)
  return [figure(NAME, '<=', 1.2, 'x', pairedRatios(p99(results.with), p99(results.without)))]
}

async function startClockedServer() {
  const child = fork(fileURLToPath(new URL('../servers/clocked.mjs', import.meta.url)))
  const kill = () => child.kill('SIGTERM')
  process.once('exit', kill)
  const [{ urls, blackHole }] = await once(child, 'message')
  const take = async () => {
    child.send('take')
    return (await once(child, 'message'))[0]
  }
  return { urls, blackHole, take, stop: kill }
}
