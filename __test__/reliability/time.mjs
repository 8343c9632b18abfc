// Time that does not run evenly: the clock is set by up to a day, the process is stopped for longer than a
// request may take, and its event loop is blocked, while it delivers. No call is lost or repeated, no attempt
// comes early, and none waits for the clock.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

import { settableClock } from '../support/clock.mjs'
import { randomOf } from '../support/random.mjs'

export const CALLS = 60
export const TIMEOUT_MS = 1_500
export const BATCH_MS = 300
/** The delays before the second and the third attempt; half of each may be left out. */
export const DELAYS_MS = [400, 800]
const JITTER = 0.5
/** The number of times that `busy` responds with 503. */
const REFUSALS = 2
/** The time that a machine under load may add to a delay. */
const SLACK_MS = 2_500
const WORKLOAD = fileURLToPath(new URL('time-workload.mjs', import.meta.url))
const JUMPS = ['-1d', '+1d', '-1h', '+1h', '-30s', '+30s', '-2s', '+2s']

/**
 * Disturbs `count` processes, two at once. Returns the violations, each with the seed that repeats it.
 *
 * @param {{ count: number, seed: number }} settings
 */
export async function disturbTime({ count, seed }) {
  /** @type {string[]} */
  const violations = []
  let next = 0
  const run = async () => {
    while (next < count) {
      const own = seed + next++
      const found = await disturbOne(own)
      violations.push(...found.map((violation) => `seed ${own}: ${violation}`))
    }
  }
  await Promise.all([run(), run()])
  return violations
}

/** @param {number} seed */
async function disturbOne(seed) {
  const folder = mkdtempSync(join(tmpdir(), 'dollar-send-time-'))
  const server = await receiver(randomOf(seed + 1))
  try {
    const dataDir = join(folder, 'data')
    const { deliveries, stopped, elapsedMs } = await runDisturbed(seed, folder, {
      ...{ dataDir, seed },
      url: server.url,
    })
    return [
      ...deliveries.flatMap((delivery) => wrongOf(delivery, elapsedMs)),
      ...server.arrivals().flatMap((arrivals) => wrongArrivals(arrivals, stopped)),
      ...wrongObjects(dataDir),
      ...(deliveries.length === CALLS * 1.25 ? [] : [`${deliveries.length} deliveries`]),
    ]
  } catch (error) {
    return [String(error)]
  } finally {
    server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Runs the workload, with something that disturbs it every few hundred milliseconds.
 *
 * @param {number} seed
 * @param {string} folder
 * @param {{ dataDir: string, url: string, seed: number }} settings
 */
async function runDisturbed(seed, folder, settings) {
  const random = randomOf(seed)
  const clock = settableClock(join(folder, 'clock'))
  const begun = performance.now()
  const child = spawn(process.execPath, [WORKLOAD, JSON.stringify(settings)], {
    env: { ...process.env, ...clock.env, NODE_NO_WARNINGS: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  /** @type {string[]} */
  const lines = []
  const reader = createInterface(child.stdout).on('line', (line) => lines.push(line))
  child.stdin.on('error', () => {})
  const closed = once(child, 'close')
  const ended = closed.then(() => 'ended')
  await Promise.race([once(reader, 'line'), ended])
  /** @type {{ from: number, to: number }[]} */
  const stopped = []
  const pause = (/** @type {number} */ ms) =>
    new Promise((resolve) => setTimeout(() => resolve('time'), ms))
  while ((await Promise.race([ended, pause(100 + random() * 400)])) !== 'ended') {
    const drawn = random()
    if (drawn < 0.6) clock.set(JUMPS[Math.floor(random() * JUMPS.length)])
    else if (drawn < 0.8) child.stdin.write(`${Math.round(200 + random() * 800)}\n`)
    else {
      const from = performance.now()
      child.kill('SIGSTOP')
      await pause(random() < 0.5 ? 200 : TIMEOUT_MS + 500)
      child.kill('SIGCONT')
      stopped.push({ from, to: performance.now() })
    }
  }
  const [code, signal] = await closed
  if (code !== 0) throw new Error(`the process ended with ${code ?? signal}`)
  return {
    deliveries: JSON.parse(lines.at(-1) ?? ''),
    stopped,
    elapsedMs: performance.now() - begun,
  }
}

/**
 * Returns what is wrong with a delivery of the log.
 *
 * @param {any} delivery
 * @param {number} elapsedMs the life of its process
 */
function wrongOf({ destination, status, attempts, durationMs, error, url }, elapsedMs) {
  const name = `${destination} ${url ?? ''}`
  const expected = url?.endsWith('/busy') ? REFUSALS + 1 : 1
  return [
    ...(status === 'delivered' ? [] : [`${name}: ${status} ${error?.code} ${error?.message}`]),
    ...(attempts === expected ? [] : [`${name}: ${attempts} attempts instead of ${expected}`]),
    ...(durationMs >= 0 && durationMs <= elapsedMs ? [] : [`${name}: it took ${durationMs} ms`]),
  ]
}

/**
 * Returns what is wrong with the requests of one call: one too many, early or late.
 *
 * @param {{ name: string, arrived: number, answered: number }[]} arrivals
 * @param {{ from: number, to: number }[]} stopped
 */
function wrongArrivals(arrivals, stopped) {
  const [{ name }] = arrivals
  const expected = name.startsWith('/busy') ? REFUSALS + 1 : 1
  if (arrivals.length !== expected) return [`${name} arrived ${arrivals.length} times`]
  return arrivals.slice(1).flatMap(({ arrived }, nth) => {
    const { answered } = arrivals[nth]
    const standstill = stopped.reduce(
      (sum, { from, to }) => sum + Math.max(0, Math.min(to, arrived) - Math.max(from, answered)),
      0,
    )
    const delay = arrived - answered
    const told = `${name}: attempt ${nth + 2} came after ${Math.round(delay)} ms, stopped for ${Math.round(standstill)}`
    // The clock of the journal has whole milliseconds.
    if (delay < DELAYS_MS[nth] * (1 - JITTER) - 1) return [`${told}: early`]
    return delay > DELAYS_MS[nth] + standstill + SLACK_MS ? [`${told}: late`] : []
  })
}

/** @param {string} dataDir */
function wrongObjects(dataDir) {
  const folder = join(dataDir, 's3')
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const ids = names
    .filter((name) => name.endsWith('.gz'))
    .flatMap((name) =>
      gunzipSync(readFileSync(join(folder, name)))
        .toString()
        .trim()
        .split('\n'),
    )
    .map((line) => JSON.parse(line).id)
  const expected = Array.from({ length: CALLS / 4 }, (_, index) => index * 4)
  const found = ids.sort((one, other) => one - other)
  return String(found) === String(expected) ? [] : [`the objects have the records ${found}`]
}

/**
 * A server that notes when requests arrive and are answered.
 *
 * @param {() => number} random
 */
async function receiver(random) {
  /** @type {Map<string, { name: string, arrived: number, answered: number }[]>} */
  const calls = new Map()
  const server = createServer(async (request, response) => {
    const arrived = performance.now()
    const body = /** @type {any} */ (await json(request).catch(() => undefined))
    if (!body) return
    const name = `${request.url} ${body.id}`
    const arrivals = calls.get(name) ?? []
    calls.set(name, arrivals)
    const entry = { name, arrived, answered: arrived }
    arrivals.push(entry)
    const delay = request.url === '/slow' ? 100 + random() * 300 : 0
    await new Promise((resolve) => setTimeout(resolve, delay))
    response.statusCode = request.url === '/busy' && arrivals.length <= REFUSALS ? 503 : 200
    entry.answered = performance.now()
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    url: `http://127.0.0.1:${port}`,
    arrivals: () => [...calls.values()],
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
