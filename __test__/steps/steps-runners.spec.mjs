// The runners among the examples, each with the real thing that starts its runs.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'

import { Queue, QueueEvents } from 'bullmq'
import { makeWorkerUtils } from 'graphile-worker'

import { startWorker } from '../../examples/runners/bullmq.mjs'
import { schedule } from '../../examples/runners/cron.mjs'
import { createApp } from '../../examples/runners/fastify.mjs'
import { startRunner } from '../../examples/runners/graphile-worker.mjs'
import { createHandler } from '../../examples/runners/lambda.mjs'
import { createWebhookServer } from '../../examples/runners/node-http.mjs'
import workflow from '../../examples/runners/workflow.mjs'
import { receive } from '../support/recording-receiver.mjs'
import { LOCAL, nextEvent, openEngine } from '../support/engine.mjs'
import { postgresServer } from '../support/postgres.mjs'

/** Resolves with the body of the next delivery that is made. */
async function nextBody(engine) {
  const { request, status } = await nextEvent(engine, 'delivery')
  assert.equal(status, 'delivered')
  return JSON.parse(request.body)
}

const post = (url, event) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof event === 'string' ? event : JSON.stringify(event),
  })

/** What a webhook server answers, whichever it is. */
async function checkWebhooks(t, engine, hook) {
  const { url } = await receive(t)
  const delivered = nextBody(engine)
  const answer = await post(hook, { id: 1, name: 'Ada', url })
  assert.deepEqual([answer.status, await answer.json()], [201, { text: 'Hello Ada' }])
  assert.deepEqual(await delivered, { id: 1, text: 'Hello Ada' })
  const failing = nextBody(engine)
  const failed = await post(hook, { id: 2, url, fail: true })
  assert.equal(failed.status, 500)
  assert.equal((await failing).id, 2)
  assert.equal((await post(hook, '{ no json')).status, 400)
}

test('node:http: answers with the response of the step, and delivers in the background', async (t) => {
  const engine = await openEngine(t)
  const server = createWebhookServer(engine, workflow).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  await checkWebhooks(t, engine, `http://127.0.0.1:${server.address().port}/`)
})

test('Fastify: answers with the response of the step, and closes the engine with the app', async (t) => {
  const engine = await openEngine(t)
  const app = createApp(engine, workflow)
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  await checkWebhooks(t, engine, `${address}/hooks`)
  await app.close()
  assert.throws(() => engine.execution({ workflowId: 'p' }), { code: 'ERR_SEND_CLOSED' })
})

/** Starts Redis on a socket of its own; `stop` ends it, after what is connected to it. */
async function redis() {
  const folder = mkdtempSync(join(tmpdir(), 'dollar-send-redis-'))
  const path = join(folder, 'redis.sock')
  const args = ['--port', '0', '--unixsocket', path, '--dir', folder, '--save', '']
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const stop = async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
  await once(child, 'spawn')
  for await (const line of createInterface(child.stdout)) {
    if (/ready to accept connections/i.test(line)) break
  }
  return { connection: { path, maxRetriesPerRequest: null }, stop }
}

test('BullMQ: each job is a run, and a job that fails is retried as a further attempt', async (t) => {
  const engine = await openEngine(t)
  const { url } = await receive(t)
  const { connection, stop } = await redis()
  const queue = new Queue('runs', { connection })
  const events = new QueueEvents('runs', { connection })
  const worker = startWorker(engine, workflow, { queue: 'runs', connection })
  t.after(async () => {
    await Promise.all([worker.close(), events.close(), queue.close()])
    await stop()
  })
  await events.waitUntilReady()
  const job = await queue.add('run', { id: 1, name: 'Ada', url }, { jobId: 'run-1' })
  const { status, response } = await job.waitUntilFinished(events)
  assert.deepEqual([status, response.status], ['returned', 201])
  const failing = await queue.add(
    'run',
    { id: 2, url, fail: true },
    { jobId: 'run-2', attempts: 2 },
  )
  await assert.rejects(failing.waitUntilFinished(events), { message: 'This event fails' })
  await engine.flush()
  const runs = await engine.executions()
  assert.deepEqual(
    runs.map(({ executionId, attempt, status, delivered }) => [
      executionId,
      attempt,
      status,
      delivered,
    ]),
    [
      ['run-2', 2, 'failed', 1],
      ['run-2', 1, 'failed', 1],
      ['run-1', 1, 'completed', 1],
    ],
  )
})

test('graphile-worker: each job is a run, and a job that fails is tried again', async (t) => {
  const engine = await openEngine(t)
  const { url } = await receive(t)
  const { url: connectionString } = await postgresServer(t)
  const logger = { error() {}, warn() {}, info() {}, debug() {} }
  const utils = await makeWorkerUtils({ connectionString })
  await utils.migrate()
  const { Logger } = (await import('graphile-worker')).default
  const quiet = new Logger(() => logger.info)
  const runner = await startRunner(engine, workflow, {
    connectionString,
    logger: quiet,
    noHandleSignals: true,
  })
  const completed = once(runner.events, 'job:success')
  await utils.addJob('run_workflow', { id: 1, name: 'Ada', url })
  await completed
  const failed = once(runner.events, 'job:failed')
  await utils.addJob('run_workflow', { id: 2, url, fail: true }, { maxAttempts: 1 })
  const [{ error }] = await failed
  assert.equal(error.message, 'This event fails')
  await runner.stop()
  await utils.release()
  await engine.flush()
  const runs = await engine.executions()
  assert.deepEqual(
    runs.map(({ attempt, status, delivered }) => [attempt, status, delivered]),
    [
      [1, 'failed', 1],
      [1, 'completed', 1],
    ],
  )
})

test('cron: runs the workflow with the time in the event', async (t) => {
  const engine = await openEngine(t)
  const { url } = await receive(t)
  const delivered = nextBody(engine)
  const job = schedule(engine, workflow, '0 0 1 1 *', { id: 7, url })
  t.after(() => job.stop())
  assert.equal(job.nextRun().getUTCFullYear() > 2000, true)
  await job.trigger()
  assert.deepEqual(await delivered, { id: 7, text: 'Hello stranger' })
})

test('Lambda: flushes before it returns', async (t) => {
  const { url, requests } = await receive(t)
  const handler = createHandler(workflow, { egress: LOCAL, name: 'lambda-of-the-test' })
  const context = { awsRequestId: 'request-1', getRemainingTimeInMillis: () => 30_000 }
  const body = JSON.stringify({ id: 1, name: 'Ada', url })
  const answer = await handler({ body }, context)
  assert.deepEqual([answer.statusCode, answer.body], [201, '{"text":"Hello Ada"}'])
  assert.equal(requests.length, 1)
  const encoded = Buffer.from(JSON.stringify({ id: 2, url, fail: true })).toString('base64')
  const failed = await handler(
    { body: encoded, isBase64Encoded: true },
    { ...context, awsRequestId: 'request-2' },
  )
  assert.deepEqual([failed.statusCode, requests.length], [500, 2])
})
