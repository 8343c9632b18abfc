// POST throughput, main-thread time and CPU time per delivered request, against the peers.

import { interleave, isBuilt, runCandidate, runForJson } from '../children.mjs'
import { example } from '../examples.mjs'
import { hyperClientOf } from '../hyper-client.mjs'
import { counted, startLoadServer } from '../servers/load.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

/** Requests of one round, so that it takes seconds; the slower the candidate, the fewer. */
const REQUESTS = { ours: 60_000, undici: 30_000, axios: 8_000, fetch: 8_000, hyper: 80_000 }
const WARM_UP = 4_000

/** Calls per execution: a chatty step, and a loop over a list. */
const CALLS_EACH = [10, 100]

export async function throughput(settings) {
  const built = await isBuilt(settings.entry)
  const hyperClient = await hyperClientOf(settings)
  const server = await startLoadServer(settings)
  console.error(`# server: ${server.kind}, one process, 127.0.0.1`)
  try {
    const candidates = inOrder({
      ...peers(server, hyperClient),
      ...(built ? ours(server, settings.entry) : {}),
    })
    const results = await interleave(settings.rounds, candidates)
    return {
      details: detailsOf(results),
      figures: CALLS_EACH.flatMap((calls) => figuresOf(results, calls)),
    }
  } finally {
    await server.stop()
  }
}

/** Ours run next to the peers that are nearest to their bars: neighbours share the machine's mood. */
function inOrder(candidates) {
  const order = ['hyper', nameOfOurs(10), 'undici', nameOfOurs(100), 'axios', 'fetch']
  const present = order.filter((name) => name in candidates)
  return Object.fromEntries(present.map((name) => [name, candidates[name]]))
}

function peers(server, hyperClient) {
  const { url } = server
  const node = (peer) => () =>
    counted(server, peer, () =>
      runCandidate('peer.mjs', { peer, url, requests: REQUESTS[peer], warmUp: WARM_UP }),
    )
  const args = [
    'post',
    url,
    JSON.stringify(example(url).data),
    String(REQUESTS.hyper),
    String(WARM_UP),
  ]
  const hyper = () => counted(server, 'hyper', () => runForJson(hyperClient, args))
  return { undici: node('undici'), axios: node('axios'), fetch: node('fetch'), hyper }
}

function ours(server, entry) {
  const argument = { entry, url: server.url, requests: REQUESTS.ours, warmUp: WARM_UP }
  const run = (callsEach) => () =>
    counted(server, 'dollar-send', () => runCandidate('deliveries.mjs', { ...argument, callsEach }))
  return Object.fromEntries(CALLS_EACH.map((callsEach) => [nameOfOurs(callsEach), run(callsEach)]))
}

function nameOfOurs(callsEach) {
  return `$send, executions of ${callsEach}`
}

const perSecond = (round) => round.requests / (round.elapsedMs / 1000)
const cpuEach = (round) => round.cpuUs / round.requests
const busyEach = (round) => (round.busyMs * 1000) / round.requests

function detailsOf(results) {
  return Object.entries(results).flatMap(([name, rounds]) => [
    detail(`${name}: throughput`, 'req/s', rounds.map(perSecond)),
    detail(`${name}: CPU time of the process`, 'µs/req', rounds.map(cpuEach)),
    ...(rounds[0].busyMs === undefined
      ? []
      : [detail(`${name}: main thread busy`, 'µs/req', rounds.map(busyEach))]),
  ])
}

function figuresOf(results, callsEach) {
  const own = results[nameOfOurs(callsEach)]
  const against = (peer, measure) =>
    own && pairedRatios(own.map(measure), results[peer].map(measure))
  const label = `(executions of ${callsEach})`
  return [
    figure(`throughput against undici ${label}`, '>=', 1.3, 'x', against('undici', perSecond)),
    figure(`throughput against axios ${label}`, '>=', 7, 'x', against('axios', perSecond)),
    figure(`throughput against fetch ${label}`, '>=', 7, 'x', against('fetch', perSecond)),
    figure(
      `main thread busy per request against undici ${label}`,
      '<=',
      0.1,
      'x',
      against('undici', busyEach),
    ),
    figure(
      `CPU time per request against undici ${label}`,
      '<=',
      0.8,
      'x',
      against('undici', cpuEach),
    ),
    figure(`throughput against bare hyper ${label}`, '>=', 0.6, 'x', against('hyper', perSecond)),
  ]
}
