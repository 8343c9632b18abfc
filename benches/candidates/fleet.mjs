// One round of a fleet of `nodes` processes with one journal, all of which record and deliver. If `isKilled`, one
// of them is killed while nothing waits, and the time until another delivers to one of its hosts is measured.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('./fleet-node.mjs', import.meta.url))
const SPREADS = 50

const { nodes, urls, requests, warmUp, isKilled, ...argument } = JSON.parse(process.argv[2])

let delivered = 0
let target = 0
let finished = () => {}
let heard = () => {}

async function opened() {
  const node = { child: fork(PROGRAM, [JSON.stringify(argument)]), hosts: [] }
  node.child.once('exit', (code, signal) => {
    if (code !== 0 && signal !== 'SIGKILL') throw new Error(`a node ended with ${code ?? signal}`)
  })
  await once(node.child, 'message')
  node.child.on('message', ({ hosts }) => {
    node.hosts.push(...hosts)
    delivered += hosts.length
    heard()
    if (delivered === target) finished()
  })
  return node
}

/** Lets each node record its part, and waits until the fleet has delivered all. */
async function deliverAll(fleet, count, to = urls) {
  delivered = 0
  target = count
  for (const node of fleet) node.hosts = []
  const end = new Promise((resolve) => (finished = resolve))
  const share = Math.floor(count / fleet.length)
  fleet.forEach(({ child }, place) => {
    child.send({ urls: to, count: place === 0 ? count - share * (fleet.length - 1) : share })
  })
  await end
}

/** Delivers until each node has its shards and keeps them; returns the number of calls that it took. */
async function spread(fleet) {
  for (let times = 1; times <= SPREADS; times++) {
    await deliverAll(fleet, warmUp)
    if (isSpread(fleet)) return times * warmUp
  }
  throw new Error('the shards were not spread evenly')
}

/** Tests that each node delivered its part, and that each host was of one node. */
function isSpread(fleet) {
  const hosts = fleet.map((node) => new Set(node.hosts))
  const owned = hosts.reduce((sum, { size }) => sum + size, 0)
  const isShared = fleet.every((node) => node.hosts.length >= warmUp / fleet.length / 2)
  return isShared && owned === urls.length
}

async function timed(work) {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** The hosts of a node that is killed are another's after the lease. */
async function takenOver([killed, other]) {
  const left = new Set(killed.hosts)
  const to = urls.filter((url) => left.has(new URL(url).hostname))
  killed.child.kill('SIGKILL')
  const start = performance.now()
  const first = new Promise((resolve) => (heard = resolve))
  const all = deliverAll([other], to.length, to)
  await first
  const elapsedMs = performance.now() - start
  await all
  return { requests: to.length, elapsedMs }
}

const fleet = await Promise.all(Array.from({ length: nodes }, opened))
const warmedUp = await spread(fleet)
const result = isKilled
  ? await takenOver(fleet)
  : { requests, elapsedMs: await timed(() => deliverAll(fleet, requests)) }
const left = isKilled ? fleet.slice(1) : fleet
const ends = left.map(({ child }) => once(child, 'exit'))
for (const { child } of left) child.send({})
await Promise.all(ends)
console.log(JSON.stringify({ warmUp: warmedUp, ...result }))
process.exit(0)
