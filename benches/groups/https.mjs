// POST throughput and CPU time over TLS: HTTP/1.1 on 64 connections, and HTTP/2.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { interleave, isBuilt, runCandidate, runForJson } from '../children.mjs'
import { example } from '../examples.mjs'
import { hyperClientOf } from '../hyper-client.mjs'
import { startNginx } from '../servers/nginx.mjs'
import { counted } from '../servers/load.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

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
  const hyperClient = await hyperClientOf(settings)
  const { folder, certificate } = makeCertificate()
  // The children read it: ours and hyper the one, Node the other.
  Object.assign(process.env, {
    SSL_CERT_FILE: certificate.cert,
    NODE_EXTRA_CA_CERTS: certificate.cert,
  })
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
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A certificate of 127.0.0.1 that is its own authority. */
function makeCertificate() {
  const folder = mkdtempSync(join(tmpdir(), 'dollar-send-bench-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const names = ['subjectAltName=IP:127.0.0.1', 'basicConstraints=critical,CA:FALSE']
  const extensions = names.flatMap((name) => ['-addext', name])
  const files = ['-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=bench']
  execFileSync('openssl', ['req', '-x509', ...curve, ...files, ...extensions], { stdio: 'pipe' })
  return { folder, certificate: { key, cert } }
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
