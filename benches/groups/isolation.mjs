// A host that accepts connections and never answers must not slow down the others, and neither do hosts
// that flood their connections.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { pairedRatios, quantile } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

/** The addresses of the fast hosts and of the black hole. */
export const HOSTS = [
  ...Array.from({ length: 50 }, (_, index) => `127.0.1.${index + 1}`),
  '127.0.2.1',
]

const nameOf = (certificate) =>
  `p99 of 50 fast ${certificate ? 'HTTPS ' : ''}hosts, with a black hole against without`

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

/** Every figure of the group. */
export async function isolation(settings) {
  const [silent, floods] = [await besideBlackHole(settings), await flooded(settings)]
  return {
    details: [...silent.details, ...floods.details],
    figures: [...silent.figures, ...floods.figures],
  }
}

/** With a certificate, all hosts speak TLS. */
export async function besideBlackHole(settings, certificate) {
  const name = nameOf(certificate)
  if (!(await isBuilt(settings.entry)))
    return { details: [], figures: [figure(name, '<=', 1.2, 'x')] }
  const server = await startClockedServer(certificate)
  try {
    const argument = { entry: settings.entry, urls: server.urls, ...STREAM }
    const run = (blackHole) => () => round(server, { ...argument, blackHole })
    const results = await interleave(settings.rounds, {
      without: run(undefined),
      with: run(server.blackHole),
    })
    return { details: detailsOf(results, certificate), figures: figuresOf(name, results) }
  } finally {
    server.stop()
  }
}

const FLOODED = 'p99 of 50 fast hosts, beside 16 that flood HTTP/2 against without'

/** The same beside sixteen hosts that flood their connections, four calls a second to each. */
export async function flooded(settings) {
  if (!(await isBuilt(settings.entry)))
    return { details: [], figures: [figure(FLOODED, '<=', 1.3, 'x')] }
  const server = await startClockedServer()
  const hostile = await startHosts('flooding.mjs')
  try {
    const argument = { entry: settings.entry, urls: server.urls, ...STREAM, holePerTick: 0 }
    const flooding = { urls: hostile.urls, ca: hostile.ca }
    const results = await interleave(settings.rounds, {
      without: () => round(server, argument),
      with: () => round(server, { ...argument, flooding }),
      elsewhere: () => roundBesideAnother(server, argument, flooding),
    })
    if ((await hostile.take()) === 0) throw new Error('nothing reached the hosts that flood')
    const p99 = (rounds) => rounds.map((round) => round.p99)
    const ratio = (against) => pairedRatios(p99(results.with), p99(against))
    return {
      details: [
        detail('call to arrival, without hosts that flood: p99', 'ms', p99(results.without)),
        detail('call to arrival, with hosts that flood: p99', 'ms', p99(results.with)),
        detail(
          'call to arrival, with hosts that flood another process: p99',
          'ms',
          p99(results.elsewhere),
        ),
        detail(`${FLOODED}, another process`, 'x', ratio(results.elsewhere)),
      ],
      figures: [figure(FLOODED, '<=', 1.3, 'x', ratio(results.without))],
    }
  } finally {
    hostile.stop()
    server.stop()
  }
}

/** One round, while the floods reach another engine: the machine has the same work, this engine has not. */
async function roundBesideAnother(server, argument, flooding) {
  const flooded = runCandidate('stream.mjs', { ...argument, fastPerTick: 0, flooding })
  const [measured] = await Promise.all([round(server, argument), flooded])
  return measured
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

function detailsOf(results, certificate) {
  const over = certificate ? 'over TLS, ' : ''
  return Object.entries(results).flatMap(([name, rounds]) => [
    detail(
      `call to arrival, ${over}${name} a black hole: median`,
      'ms',
      rounds.map((round) => round.p50),
    ),
    detail(
      `call to arrival, ${over}${name} a black hole: p99`,
      'ms',
      rounds.map((round) => round.p99),
    ),
    detail(
      `calls that had not arrived at the end, ${over}${name} a black hole`,
      'calls',
      rounds.map((round) => round.late),
    ),
  ])
}

function figuresOf(name, results) {
  const p99 = (rounds) => rounds.map((round) => round.p99)
  return [figure(name, '<=', 1.2, 'x', pairedRatios(p99(results.with), p99(results.without)))]
}

const startClockedServer = (certificate) =>
  startHosts('clocked.mjs', certificate ? [JSON.stringify(certificate)] : [])

async function startHosts(script, args = []) {
  const child = fork(fileURLToPath(new URL(`../servers/${script}`, import.meta.url)), args)
  const kill = () => child.kill('SIGTERM')
  process.once('exit', kill)
  const [addresses] = await once(child, 'message')
  const take = async () => {
    child.send('take')
    return (await once(child, 'message'))[0]
  }
  return { ...addresses, take, stop: kill }
}
