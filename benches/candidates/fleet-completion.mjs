// One round of completion hooks over PostgreSQL: how long `complete()` takes while 32 executions are open at once,
// each with a step of `stepMs` milliseconds. If `isPeer`, `pg` inserts the same rows into the same tables instead,
// over a connection of each runner, in one statement that commits.

import { createRequire } from 'node:module'
import { setTimeout as pause } from 'node:timers/promises'

import pg from 'pg'

import { example } from '../examples.mjs'
import { quantile } from '../statistics.mjs'

const RUNNERS = 32

const { entry, url, journal, stepMs, completions, warmUp, isPeer } = JSON.parse(process.argv[2])
const { Engine } = createRequire(import.meta.url)(entry)
const call = example(url)

/** Times of completions in microseconds. */
async function completeAll(count, prepare) {
  const times = []
  let begun = 0
  const runner = async (_, place) => {
    while (begun++ < count) {
      const complete = prepare(place)
      await pause(stepMs * (0.5 + Math.random()))
      const start = process.hrtime.bigint()
      await complete()
      times.push(Number(process.hrtime.bigint() - start) / 1000)
    }
  }
  await Promise.all(Array.from({ length: RUNNERS }, runner))
  return times
}

const opened = (deliver) => Engine.open({ journal, deliver, egress: { allow: ['127.0.0.0/8'] } })

function execution(engine) {
  const begun = engine.execution({ workflowId: 'p_bench' })
  begun.step('notify').$send.http(call)
  return () => begun.complete()
}

async function ours() {
  const engine = await opened(true)
  await completeAll(warmUp, () => execution(engine))
  const times = await completeAll(completions, () => execution(engine))
  await engine.flush({ timeoutMs: 60_000 })
  const { failed, pending } = await engine.close({ timeoutMs: 10_000 })
  if (failed > 0 || pending > 0) throw new Error(`left over: ${failed} failed, ${pending} pending`)
  return times
}

/** The rows that one completion leaves, as texts. */
async function sample(client) {
  const engine = await opened(false)
  await execution(engine)()
  await engine.close({ timeoutMs: 10_000 })
  const types = { getTypeParser: () => (text) => text }
  const read = async (table) => (await client.query({ text: `SELECT * FROM ${table}`, types })).rows
  const [[executed], [commit]] = [await read('executions'), await read('commits')]
  return { executed, commit }
}

/** One statement with a row of each table, whose keys are the first parameters. */
function statement({ executed, commit }) {
  const values = []
  const part = (table, row, keys) => {
    const places = Object.entries(row).map(([name, value]) => {
      if (keys[name]) return `$${keys[name]}`
      values.push(value)
      return `$${values.length + 2}`
    })
    return `INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${places.join(', ')})`
  }
  const first = part('executions', executed, { serial: 1 })
  const second = part('commits', commit, { first_seq: 2, execution: 1 })
  const keyed = (number) => [BigInt(executed.serial) + number, BigInt(commit.first_seq) + number]
  return (number) => ({
    name: 'commit',
    text: `WITH executed AS (${first}) ${second}`,
    values: [...keyed(number).map(String), ...values],
  })
}

async function peer() {
  const connect = async () => {
    const client = new pg.Client({ connectionString: journal.postgres.url })
    await client.connect()
    await client.query('SET search_path TO dollar_send')
    return client
  }
  const clients = await Promise.all(Array.from({ length: RUNNERS }, connect))
  const insert = statement(await sample(clients[0]))
  let number = 0n
  const prepare = (place) => {
    const query = insert(++number)
    return () => clients[place].query(query)
  }
  await completeAll(warmUp, prepare)
  const times = await completeAll(completions, prepare)
  await Promise.all(clients.map((client) => client.end()))
  return times
}

const times = isPeer ? await peer() : await ours()
const sent = isPeer ? { requests: 0, warmUp: 0 } : { requests: completions, warmUp }
console.log(
  JSON.stringify({ ...sent, medianUs: quantile(times, 0.5), p99Us: quantile(times, 0.99) }),
)
process.exit(0)
