// TLS: POST throughput and CPU time over HTTP/1.1 on 64 connections and over HTTP/2, sessions that are
// resumed, and a black hole beside fast hosts.

import { makeCertificate, trust } from '../certificate.mjs'
import { interleave, isBuilt, runCandidate, runForJson } from '../children.mjs'
import { example } from '../examples.mjs'
import { hyperClientOf } from '../hyper-client.mjs'
import { startNginx } from '../servers/nginx.mjs'
import { counted } from '../servers/load.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'
import { HOSTS as ISOLATED, besideBlackHole } from './isolation.mjs'
import { makeHosts, notMeasured, resumption } from './resumption.mjs'

const WARM_UP = 4_000
const CALLS_EACH = 10

/** Each protocol, its requests of one round, and its bars against undici. */
const PROTOCOLS = [
  {
    name: 'HTTPS/1.1',
    url: 'secureUrl',
    undici: 'undici',
    post: 'post-tls',
    requests: { ours: 60_000, undici: 30_000, hyper: 60_000 },
    bar: 1.5,
  },
  {
    name: 'HTTP/2',
    url: 'http2Url',
    undici: 'undici-h2',
    post: 'post-h2',
    requests: { ours: 60_000, undici: 8_000, hyper: 60_000 },
    bar: 6,
  },
]

export async function https(settings) {
  const built = await isBuilt(settings.entry)
  const certificate = makeCertificate(['127.0.0.1', ...ISOLATED])
  const hosts = makeHosts()
  const certificates = [certificate, ...hosts.map((group) => group.certificate)]
  trust(certificates)
  try {
    const parts = [
      await throughput(settings, certificate, built),
      built ? await resumption(settings, hosts) : { details: [], figures: notMeasured() },
      await besideBlackHole(settings, certificate),
    ]
    return {
      details: parts.flatMap(({ details }) => details),
      figures: parts.flatMap(({ figures }) => figures),
    }
  } finally {
    for (const { remove } of certificates) remove()
  }
}

async function throughput(settings, certificate, built) {
  const hyperClient = await hyperClientOf(settings)
  const server = await startNginx(certificate)
  if (!server) return { details: [], figures: [] }
  try {
    const details = []
    const figures = []
    for (const protocol of PROTOCOLS) {
      const candidates = candidatesOf(protocol, server, hyperClient, built && settings.entry)
      const results = await interleave(settings.rounds, candidates)
      details.push(...detailsOf(protocol, results))
      figures.push(...figuresOf(protocol, results))
    }
    return { details, figures }
  } finally {
    await server.stop()
  }
}

function candidatesOf(protocol, server, hyperClient, entry) {
  const url = server[protocol.url]
  const { requests, post } = protocol
  const body = JSON.stringify(example(url).data)
  const args = [post, url, body, String(requests.hyper), String(WARM_UP), process.env.SSL_CERT_FILE]
  const peer = { peer: protocol.undici, url, requests: requests.undici, warmUp: WARM_UP }
  const ours = { entry, url, requests: requests.ours, warmUp: WARM_UP, callsEach: CALLS_EACH }
  return {
    hyper: () => counted(server, 'hyper', () => runForJson(hyperClient, args)),
    ...(entry && {
      $send: () => counted(server, 'dollar-send', () => runCandidate('deliveries.mjs', ours)),
    }),
    undici: () => counted(server, 'undici', () => runCandidate('peer.mjs', peer)),
  }
}

const perSecond = (round) => round.requests / (round.elapsedMs / 1000)
const cpuEach = (round) => round.cpuUs / round.requests

function detailsOf({ name }, results) {
  return Object.entries(results).flatMap(([candidate, rounds]) => [
    detail(`${candidate} over ${name}: throughput`, 'req/s', rounds.map(perSecond)),
    detail(`${candidate} over ${name}: CPU time of the process`, 'µs/req', rounds.map(cpuEach)),
  ])
}

function figuresOf({ name, bar }, results) {
  const against = (peer, measure) =>
    results.$send && pairedRatios(results.$send.map(measure), results[peer].map(measure))
  const throughput = (peer, least) =>
    figure(`${name} throughput against ${peer}`, '>=', least, 'x', against(peer, perSecond))
  return [
    throughput('undici', bar),
    figure(`${name} CPU time against undici`, '<=', 0.75, 'x', against('undici', cpuEach)),
    throughput('hyper', 0.8),
  ]
}
