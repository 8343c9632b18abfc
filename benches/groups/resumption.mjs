// New connections to a thousand HTTPS hosts that were called before: how many handshakes resume a
// session, and what they cost. A part of the group `https`.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { makeCertificate } from '../certificate.mjs'
import { interleave, runCandidate } from '../children.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const RESUMED = 'connections to known HTTPS hosts that resume a session'
const CPU = 'CPU time of a call to a known HTTPS host against undici'

/** Groups of hosts, each with a certificate of its own: names in it cost who reads it. */
const GROUPS = 50
const HOSTS_EACH = 20

/** Makes the addresses and certificates of the hosts. */
export function makeHosts() {
  return Array.from({ length: GROUPS }, (_, group) => {
    const addresses = Array.from({ length: HOSTS_EACH }, (_, n) => `127.3.${group}.${n + 1}`)
    return { addresses, certificate: makeCertificate(addresses) }
  })
}

export async function resumption(settings, hosts) {
  const server = await startHosts(hosts)
  try {
    const urls = hosts.flatMap(({ addresses }, group) =>
      addresses.map((address) => `https://${address}:${server.ports[group]}/hook`),
    )
    const run = (entry) => async () => {
      const before = await server.counts()
      const round = await runCandidate('resumption.mjs', { entry, urls })
      const after = await server.counts()
      const handshakes = after.handshakes - before.handshakes
      if (handshakes !== 2 * urls.length) throw new Error(`${handshakes} handshakes`)
      return { ...round, resumed: (after.resumed - before.resumed) / urls.length }
    }
    const results = await interleave(settings.rounds, {
      $send: run(settings.entry),
      undici: run(undefined),
    })
    return { details: detailsOf(results), figures: figuresOf(results) }
  } finally {
    server.stop()
  }
}

export const notMeasured = () => [figure(RESUMED, '>=', 95, '%'), figure(CPU, '<=', 0.5, 'x')]

const cpuEach = (round) => round.cpuUs / round.requests
const percent = (round) => round.resumed * 100

function detailsOf(results) {
  return Object.entries(results).flatMap(([name, rounds]) => [
    detail(`${name}: CPU time of a call to a known HTTPS host`, 'µs', rounds.map(cpuEach)),
    detail(`${name}: connections that resume a session`, '%', rounds.map(percent)),
  ])
}

function figuresOf({ $send: ours, undici }) {
  const ratios = pairedRatios(ours.map(cpuEach), undici.map(cpuEach))
  return [figure(RESUMED, '>=', 95, '%', ours.map(percent)), figure(CPU, '<=', 0.5, 'x', ratios)]
}

async function startHosts(hosts) {
  const path = fileURLToPath(new URL('../servers/hosts.mjs', import.meta.url))
  const child = fork(path, [JSON.stringify(hosts.map(({ certificate }) => certificate))])
  const kill = () => child.kill('SIGTERM')
  process.once('exit', kill)
  const [ports] = await once(child, 'message')
  const counts = async () => {
    child.send('counts')
    return (await once(child, 'message'))[0]
  }
  return { ports, counts, stop: kill }
}
