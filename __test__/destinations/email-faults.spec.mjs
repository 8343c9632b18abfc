// `$send.email` when the server refuses, stalls, or has to be trusted first.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'

import { Engine } from '../../js/index.mjs'
import { certificates } from '../support/servers/certificates.mjs'
import { closedPort, listen } from '../support/servers/listen.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { LOCAL, openEngine } from '../support/engine.mjs'
import { PATIENCE_MS } from '../support/patience.mjs'
import { mailEngine, PEOPLE, sendMails, smtpServer } from '../support/smtp.mjs'

/** One authority for all tests. */
let authority
const ends = []
before(async () => {
  authority = await certificates({ after: (end) => ends.push(end) })
})
after(() => Promise.all(ends.map((end) => end())))

/** @param {number} code @param {string} text */
const refusal = (code, text) => Object.assign(new Error(text), { responseCode: code })

/** Sends one mail from a process that trusts the authority of these tests. */
async function sendTrusting(smtp, mail = { subject: 'trusted' }) {
  const root = JSON.stringify(new URL('../../js/index.mjs', import.meta.url).href)
  const options = { egress: { allow: ['127.0.0.0/8', 'localhost'] }, email: { smtp, ...PEOPLE } }
  const code = `
    const { Engine } = await import(${root})
    const engine = await Engine.open(${JSON.stringify(options)})
    const execution = engine.execution({ workflowId: 'p' })
    execution.step('s').$send.email(${JSON.stringify(mail)})
    await execution.complete()
    console.log(JSON.stringify(await execution.settled()))
    await engine.close()`
  const child = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], {
    env: { ...process.env, SSL_CERT_FILE: authority.ca },
    timeout: PATIENCE_MS,
  })
  const [delivery] = JSON.parse((await child).stdout)
  return delivery
}

const users = {
  authOptional: false,
  allowInsecureAuth: true,
  onAuth({ username, password }, _session, done) {
    if (username === 'me@x' && password === 'p/w') done(null, { user: username })
    else done(refusal(535, 'no such user'))
  },
}

for (const method of ['PLAIN', 'LOGIN']) {
  test(`AUTH ${method} is accepted, or refused without showing the password`, async (t) => {
    const server = await smtpServer(t, { ...users, authMethods: [method] })
    const at = `127.0.0.1:${server.port}?tls=none`
    const good = await mailEngine(t, `smtp://me%40x:p%2Fw@${at}`)
    const [delivered] = await sendMails(good, [{}])
    assert.equal(delivered.status, 'delivered')
    assert.equal(server.received[0].user, 'me@x')
    const bad = await mailEngine(t, `smtp://me%40x:hunter2@${at}`)
    const [refused] = await sendMails(bad, [{}])
    assert.deepEqual([refused.status, refused.error.code], ['failed', 'ERR_SEND_STATUS'])
    assert.match(refused.error.message, /answered AUTH with 535 .*no such user/)
    assert.ok(!JSON.stringify(refused).includes('hunter2'))
  })
}

test('a password is not sent where nothing encrypts it', async (t) => {
  const server = await smtpServer(t, users)
  const engine = await mailEngine(t, `smtp://me%40x:p%2Fw@127.0.0.1:${server.port}`)
  const [delivery] = await sendMails(engine, [{}])
  assert.deepEqual([delivery.status, delivery.error.code], ['failed', 'ERR_SEND_TLS'])
  assert.match(delivery.error.message, /offers no STARTTLS, so nothing is sent/)
})

test('STARTTLS and TLS from the first byte work with an authority of the machine’s', async (t) => {
  const starttls = await smtpServer(t, { ...users, ...authority.valid, hideSTARTTLS: false })
  const implicit = await smtpServer(t, { ...users, ...authority.valid, secure: true })
  for (const [scheme, { port, received }] of /** @type {const} */ ([
    ['smtp', starttls],
    ['smtps', implicit],
  ])) {
    for (const host of ['127.0.0.1', 'localhost']) {
      const delivery = await sendTrusting(`${scheme}://me%40x:p%2Fw@${host}:${port}`)
      assert.equal(delivery.status, 'delivered', JSON.stringify(delivery.error))
    }
    assert.deepEqual(
      received.map(({ secure, user }) => [secure, user]),
      [
        [true, 'me@x'],
        [true, 'me@x'],
      ],
    )
  }
})

test('a certificate for another host, or of nobody known, is refused', async (t) => {
  for (const [pair, secure] of [
    [authority.wrongHost, true],
    [authority.wrongHost, false],
    [authority.selfSigned, true],
    [authority.expired, false],
  ]) {
    const server = await smtpServer(t, { ...pair, secure, hideSTARTTLS: false })
    const scheme = secure ? 'smtps' : 'smtp'
    const delivery = await sendTrusting(`${scheme}://127.0.0.1:${server.port}`)
    assert.deepEqual(
      [delivery.status, delivery.error.code, delivery.error.phase],
      ['failed', 'ERR_SEND_TLS', 'tls'],
    )
    assert.equal(server.received.length, 0)
  }
})

test('5xx fails for good, with what the server said', async (t) => {
  let refusals = 0
  const server = await smtpServer(t, {
    onRcptTo({ address }, _session, done) {
      if (address.startsWith('owner')) done()
      else done(refusal(550, `5.1.1 no ${address} (${++refusals})`))
    },
  })
  const retry = { scheduleMs: [1, 1] }
  const engine = await mailEngine(t, server.url, { retry, allowRecipients: ['@example.com'] })
  const [refused, next] = await sendMails(engine, [{ to: 'gone@example.com' }, {}])
  assert.deepEqual([refused.status, refused.attempts], ['failed', 1])
  assert.equal(refused.error.code, 'ERR_SEND_STATUS')
  assert.match(refused.error.message, /RCPT TO:<gone@example\.com> with 550 .*5\.1\.1 no gone/)
  assert.equal(next.status, 'delivered')
  assert.deepEqual([refusals, server.received.length], [1, 1])
})

test('a refused recipient does not keep the mail of the others', async (t) => {
  const codes = { gone: [550], later: [451, 250], never: [451, 451, 451] }
  const server = await smtpServer(t, {
    onRcptTo({ address }, _session, done) {
      const code = codes[/** @type {keyof codes} */ (address.split('@')[0])]?.shift() ?? 250
      done(code === 250 ? undefined : refusal(code, `no ${address}`))
    },
  })
  const retry = { scheduleMs: [1, 1] }
  const engine = await mailEngine(t, server.url, { retry, allowRecipients: ['@example.com'] })
  const to = PEOPLE.to
  for (const [cc, attempts, recipients, warning] of /** @type {const} */ ([
    ['gone', 1, [to], /gone@example\.com did not get the mail: .* 550 no gone/],
    ['later', 2, [to, 'later@example.com'], undefined],
    ['never', 3, [to], /never@example\.com did not get the mail: .* 451 no never/],
  ])) {
    const [delivery] = await sendMails(engine, [{ to, cc: `${cc}@example.com` }])
    assert.deepEqual([delivery.status, delivery.attempts], ['delivered', attempts], cc)
    assert.deepEqual(server.received.at(-1)?.to, recipients)
    const warnings = delivery.warnings.filter((/** @type {string} */ w) =>
      w.includes('did not get'),
    )
    if (warning) assert.match(warnings[0], warning)
    else assert.deepEqual(warnings, [])
  }
  assert.equal(server.received.length, 3)
})

test('4xx fails, unless retries are asked for', async (t) => {
  const busy = { left: 0 }
  const server = await smtpServer(t, {
    onRcptTo(_address, _session, done) {
      if (busy.left-- > 0) done(refusal(451, '4.3.0 try again later'))
      else done()
    },
  })
  busy.left = 1
  const once = await mailEngine(t, server.url)
  const [failed] = await sendMails(once, [{}])
  assert.deepEqual([failed.status, failed.attempts, server.received.length], ['failed', 1, 0])
  busy.left = 2
  const patient = await mailEngine(t, server.url, { retry: { scheduleMs: [5, 5] } })
  const [delivered] = await sendMails(patient, [{}])
  assert.deepEqual([delivered.status, delivered.attempts], ['delivered', 3])
  assert.equal(server.received.length, 1)
  assert.equal(server.received[0].mail.messageId, delivered.request.messageId)
})

test('421 on connect is transient', async (t) => {
  let greetings = 0
  const real = await smtpServer(t)
  const door = createServer((socket) => {
    if (greetings++ === 0) return void socket.end('421 4.3.2 too busy\r\n')
    const server = connect(real.port, '127.0.0.1').on('error', () => {})
    socket.pipe(server).pipe(socket)
  })
  const { port } = await listen(t, door)
  const engine = await mailEngine(t, `smtp://127.0.0.1:${port}`, { retry: { scheduleMs: [5] } })
  const [delivery] = await sendMails(engine, [{}])
  assert.deepEqual([delivery.status, delivery.attempts], ['delivered', 2])
  assert.match(delivery.warnings[0], /421/)
})

test('a server that stalls in DATA, or never greets, ends at the deadline', async (t) => {
  const stalled = await smtpServer(t, { onData: (/** @type {any} */ stream) => stream.resume() })
  const silent = createServer((socket) => socket.on('error', () => {}))
  const { port } = await listen(t, silent)
  for (const [url, phase] of [
    [stalled.url, 'response'],
    [`smtp://127.0.0.1:${port}`, 'connect'],
  ]) {
    const engine = await mailEngine(t, url, { timeoutMs: 1000 })
    const [delivery] = await sendMails(engine, [{ text: 'x' }])
    assert.deepEqual(
      [delivery.status, delivery.error.code, delivery.error.phase],
      ['failed', 'ERR_SEND_TIMEOUT', phase],
    )
  }
})

test('a server that is not there, and one that the policy forbids', async (t) => {
  const server = await smtpServer(t)
  const port = await closedPort()
  const none = await mailEngine(t, `smtp://127.0.0.1:${port}`)
  const [gone] = await sendMails(none, [{}])
  assert.deepEqual([gone.error.code, gone.error.phase], ['ERR_SEND_CONNECT', 'connect'])
  const closedDoor = await openEngine(t, { egress: {}, email: { smtp: server.url, ...PEOPLE } })
  const [denied] = await sendMails(closedDoor, [{}])
  assert.equal(denied.error.code, 'ERR_SEND_EGRESS_DENIED')
  assert.match(denied.error.message, /egress\.allow can open it/)
})

test('one connection serves many mails', async (t) => {
  let connections = 0
  const server = await smtpServer(t, {
    onConnect(_session, done) {
      connections++
      done()
    },
  })
  const engine = await mailEngine(t, server.url, { concurrency: 1 })
  await sendMails(engine, [{}, {}, {}])
  assert.deepEqual([connections, server.received.length], [1, 3])
})

test('mails over a rate wait for their time, and do not fail', async (t) => {
  const server = await smtpServer(t)
  const limits = { perSender: { count: 2, perMs: 600 } }
  const engine = await mailEngine(t, server.url, { limits })
  const deliveries = await sendMails(engine, [{}, {}, {}, {}])
  assert.deepEqual(
    deliveries.map(({ status, attempts }) => [status, attempts]),
    Array(4).fill(['delivered', 1]),
  )
  const waits = deliveries.map(
    ({ recordedAt, deliveredAt }) => Date.parse(deliveredAt) - Date.parse(recordedAt),
  )
  waits.sort((a, b) => a - b)
  // The time of a call is the system's last tick.
  assert.ok(waits[2] >= 280 && waits[3] >= 580, `they waited ${waits} ms`)
  const waited = deliveries.filter(({ warnings }) => /email\.limits/.test(warnings.join()))
  assert.equal(waited.length, 2)
})

test('what waits for its time waits through a restart', async (t) => {
  const server = await smtpServer(t)
  const dataDir = dataDirectory(t)
  const email = { smtp: server.url, ...PEOPLE }
  const limits = { perRecipient: { count: 1, perMs: 3_600_000 } }
  const first = await Engine.open({ dataDir, egress: LOCAL, email: { ...email, limits } })
  const execution = first.execution({ workflowId: 'p' })
  const { $send } = execution.step('s')
  $send.email({ subject: '1' })
  $send.email({ subject: '2' })
  await execution.complete()
  while (first.stats().delivered < 1 || first.stats().retrying < 1)
    await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(await first.close({ timeoutMs: 0 }), {
    delivered: 1,
    failed: 0,
    pending: 1,
    open: 0,
  })
  const second = await openEngine(t, { dataDir, email: { ...email, retry: {} } })
  const deliveries = await second.deliveries()
  assert.deepEqual(deliveries.map(({ status }) => status).sort(), ['delivered', 'pending'])
  assert.equal(server.received.length, 1)
})
