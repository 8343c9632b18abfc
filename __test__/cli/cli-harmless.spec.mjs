// Foreign text in the output of the command: it neither steers the terminal nor passes for other
// lines.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import {
  createPaint,
  harmless,
  harmlessColours,
  harmlessJson,
  oneLine,
} from '../../js/cli/paint.mjs'
import { formatDelivery } from '../../js/cli/print.mjs'
import { runNode, startChild } from '../support/child.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { serve } from '../support/serving.mjs'

const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

/** Clears the screen, in two ways, reorders text, and begins a line that is another's. */
const FOREIGN = 'a\u001b[2J\u009b2Jb\u202ec\u2066d\u200fe\u2028f\r\n✔ http POST http://forged/'

const STEERS =
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/

test('foreign text is shown with its control characters escaped', () => {
  assert.equal(harmless('a\u001b[2J\nb\u009bc\u202e\u2029'), 'a\\x1b[2J\nb\\x9bc\\u202e\\u2029')
  assert.equal(oneLine('a\r\nb\tc'), 'a\\nb\\tc')
  const colours = createPaint({ isTTY: true }, {})
  assert.equal(harmlessColours(`${colours('red', 'a\u202e')}`), '\u001b[31ma\\u202e\u001b[0m')
  assert.deepEqual(JSON.parse(harmlessJson({ [FOREIGN]: FOREIGN })), { [FOREIGN]: FOREIGN })
  assert.doesNotMatch(harmlessJson({ [FOREIGN]: FOREIGN }), STEERS)
})

test('whatever a delivery holds, its lines are its own', () => {
  const side = { headers: [[FOREIGN, FOREIGN]], body: FOREIGN, [FOREIGN]: FOREIGN }
  const text = formatDelivery(
    {
      id: 'id',
      step: FOREIGN,
      index: 0,
      destination: 'http',
      status: 'failed',
      request: { method: FOREIGN, url: FOREIGN, ...side },
      response: {
        status: 302,
        redirects: [{ status: 302, method: FOREIGN, url: FOREIGN }],
        ...side,
      },
      error: { code: 'ERR_SEND_STATUS', message: FOREIGN }, // reaches ERR_SEND_STATUS
      warnings: [FOREIGN],
      attempts: 1,
    },
    (_, said) => said,
  )
  assert.doesNotMatch(text, STEERS)
  const [title, ...rest] = text.trimEnd().split('\n')
  assert.match(title, /^✘ http /)
  for (const line of rest) assert.match(line, /^ {2}(?:[<>!]|ERR_SEND_STATUS:)/)
})

test('a log of what was sent and answered steers no terminal', async (t) => {
  const server = await receiver(t, (_, response) => {
    response.writeHead(500, { 'x-odd': 'a\u009b2J' })
    response.end(FOREIGN)
  })
  const dataDir = dataDirectory(t)
  const step = join(dirname(dataDir), 'step.mjs')
  const call = { method: 'POST', url: server.origin, data: FOREIGN }
  writeFileSync(step, `export default async () => { $send.http(${JSON.stringify(call)}) }`)
  const run = await runNode([MAIN, 'run', step, '--data-dir', dataDir, '--allow', '127.0.0.0/8'])
  assert.equal(run.code, 3, run.stderr)
  const log = await runNode([MAIN, 'log', '--data-dir', dataDir])
  const json = await runNode([MAIN, 'log', '--data-dir', dataDir, '--json'])
  for (const { stdout, stderr } of [run, log, json]) {
    assert.match(stdout, /500|"status"/)
    assert.doesNotMatch(stdout + stderr, STEERS)
    assert.doesNotMatch(stdout, /^✔/m)
  }
})

test('a log that is read from a server steers no terminal', async (t) => {
  const server = await receiver(t, (_, response) => {
    response.writeHead(500, { 'x-odd': 'a\u009b2J' })
    response.end(FOREIGN)
  })
  const { engine, url } = await serve(t)
  const execution = engine.execution({ workflowId: `p_${FOREIGN}`, trigger: FOREIGN })
  execution.step(FOREIGN).$send.http({ method: 'POST', url: server.origin, data: FOREIGN })
  await execution.complete({ message: FOREIGN })
  await execution.settled(PATIENT)
  for (const command of [['log'], ['log', '-v'], ['log', '--json'], ['runs'], ['runs', '--json']]) {
    const { stdout, stderr } = await runNode([MAIN, ...command, '--url', url])
    assert.ok(stdout.includes('202e'), `${command}: ${stdout}${stderr}`)
    assert.doesNotMatch(stdout + stderr, STEERS, command.join(' '))
    assert.doesNotMatch(stdout, /^✔ http POST/m)
  }
})

test('a server that is none of ours steers no terminal', async (t) => {
  for (const [status, type, text] of /** @type {[number, string, string][]} */ ([
    [500, 'text/plain', FOREIGN],
    [400, 'application/json', JSON.stringify({ error: FOREIGN, code: FOREIGN })],
    [200, 'application/json', JSON.stringify({ data: FOREIGN })],
    [200, 'application/json', JSON.stringify({ data: [{ id: FOREIGN, workflowId: FOREIGN }] })],
    [200, FOREIGN.replace(/[^ -~]/g, ''), FOREIGN],
  ])) {
    const server = await receiver(t, (_, response) => {
      response.writeHead(status, { 'content-type': type })
      response.end(text)
    })
    for (const command of ['log', 'runs', 'replay', 'pause', 'sql']) {
      const more = { pause: ['all'], sql: ['SELECT 1'], replay: ['--yes'] }[command] ?? []
      const { stdout, stderr } = await runNode([MAIN, command, ...more, '--url', server.origin])
      assert.doesNotMatch(stdout + stderr, STEERS, `${command}: ${status} ${type}`)
    }
  }
})

test('the log of a closed directory shows no body or header of a call that waits', async (t) => {
  const server = await receiver(t, (_, response) => response.writeHead(503).end())
  const dataDir = dataDirectory(t)
  const options = {
    dataDir,
    http: { logBodyBytes: 0, retry: { scheduleMs: [600_000] } },
    s3: { logBodyBytes: 0 },
    log: { redact: ['x-mine'] },
  }
  const child = startChild(
    server.origin,
    `
    const execution = engine.execution({ workflowId: 'p_hidden' })
    const { $send } = execution.step('step')
    $send.http({ method: 'POST', url, data: 'hidden-body', headers: { 'x-mine': 'hidden-header' } })
    $send.s3({ bucket: 'b', prefix: 'p', payload: 'hidden-payload' })
    await execution.complete()
    while (engine.stats().retrying === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    process.exit()`,
    options,
  )
  await child.ended
  for (const more of [[], ['--json']]) {
    const { stdout, code } = await runNode([MAIN, 'log', '--data-dir', dataDir, ...more])
    assert.equal(code, 0)
    assert.match(stdout, /http/)
    assert.match(stdout, /pending/)
    assert.doesNotMatch(stdout, /hidden-/)
  }
})
