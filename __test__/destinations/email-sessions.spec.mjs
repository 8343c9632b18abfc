// The dialogue of `$send.email` with servers of every kind.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'

import { listen } from '../support/servers/listen.mjs'
import { mailEngine, scriptedServer, sendMails } from '../support/smtp.mjs'

const RETRY = { retry: { scheduleMs: [1, 1] } }

test('replies that are no UTF-8 count by their code', async (t) => {
  for (const [command, reply, end, mails] of /** @type {const} */ ([
    ['.', '250 angenommen f\xfcr Zustellung\r\n', 'delivered', 1],
    ['RCPT', '550 Empf\xe4nger unbekannt\r\n', 'ERR_SEND_STATUS', 0],
    ['', '220 M\xfcller ESMTP\r\n', 'delivered', 1],
  ])) {
    const server = await scriptedServer(t, (said) => {
      const is = command === '' ? said === '' : said.startsWith(command)
      return is ? reply : undefined
    })
    const [delivery] = await sendMails(await mailEngine(t, server.url, RETRY), [{}])
    assert.equal(delivery.error?.code ?? delivery.status, end)
    assert.deepEqual([delivery.attempts, server.seen.mails], [1, mails])
    const said = delivery.error?.message ?? delivery.response.message
    if (command) assert.match(said, /\xfc|\xe4/)
  }
})

test('a connection that ends at any point is tried again', async (t) => {
  for (const how of ['close', 'reset']) {
    for (const place of ['', 'EHLO', 'MAIL', 'RCPT', 'DATA', '.']) {
      const server = await scriptedServer(t, (command, { connections }) =>
        connections === 1 && (place ? command.startsWith(place) : command === '') ? how : undefined,
      )
      const [delivery] = await sendMails(await mailEngine(t, server.url, RETRY), [{}])
      assert.deepEqual([delivery.status, delivery.attempts], ['delivered', 2], `${how} ${place}`)
    }
  }
})

test('a kept connection that is dead costs no mail and no attempt', async (t) => {
  for (const how of ['421 4.4.2 enough\r\n', 'close', 'reset']) {
    for (const place of ['RSET', 'MAIL', 'RCPT', 'DATA']) {
      let count = 0
      const server = await scriptedServer(t, (command) =>
        command.startsWith(place) && ++count === 2 ? how : undefined,
      )
      const engine = await mailEngine(t, server.url, { concurrency: 1 })
      const deliveries = await sendMails(engine, [{}, {}, {}, {}])
      assert.deepEqual(
        deliveries.map(({ status, attempts }) => [status, attempts]),
        Array(4).fill(['delivered', 1]),
        `${how} at ${place}`,
      )
      assert.deepEqual([server.seen.mails, server.seen.connections], [4, 2])
    }
  }
})

test('a mail that was sent is not sent again by itself', async (t) => {
  const server = await scriptedServer(t, (command, { connections }) =>
    command === '.' && connections === 1 ? 'close' : undefined,
  )
  const [delivery] = await sendMails(await mailEngine(t, server.url), [{}])
  assert.deepEqual([delivery.status, delivery.error.code], ['failed', 'ERR_SEND_CONNECTION'])
  assert.deepEqual([delivery.error.phase, server.seen.connections], ['response', 1])
})

test('keywords are read in any case, and STARTTLS is not overlooked', async (t) => {
  const server = await scriptedServer(t, (command) => {
    if (command.startsWith('EHLO')) return '250-mx\r\n250-StartTls\r\n250 auth Plain\r\n'
    return command === 'STARTTLS' ? '454 not now\r\n' : undefined
  })
  const [open] = await sendMails(await mailEngine(t, server.url), [{}])
  assert.equal(open.status, 'delivered')
  assert.match(open.warnings[0], /sent unencrypted, because the server answered STARTTLS with 454/)
  const [closed] = await sendMails(await mailEngine(t, `${server.url}?tls=required`), [{}])
  assert.equal(closed.status, 'failed')
  assert.equal(server.seen.mails, 1)
})

test('the name in EHLO is the operator’s, or one that servers take', async (t) => {
  const server = await scriptedServer(t, (command) =>
    command.startsWith('EHLO old') ? '502 what\r\n' : undefined,
  )
  for (const [email, expected] of /** @type {const} */ ([
    [{}, /^EHLO (\[127\.0\.0\.1\]|\S+\.\S+)$/],
    [{ ehloName: 'mx.example.com' }, /^EHLO mx\.example\.com$/],
    [{ ehloName: 'old.example.com' }, /^HELO old\.example\.com$/],
  ])) {
    server.seen.commands.length = 0
    const [delivery] = await sendMails(await mailEngine(t, server.url, email), [{}])
    assert.equal(delivery.status, 'delivered')
    assert.match(server.seen.commands.filter((c) => /^(EHLO|HELO)/.test(c)).at(-1), expected)
  }
})

test('access tokens are had, renewed when they are refused, and never shown', async (t) => {
  let valid = 'token-2'
  const grants = /** @type {URLSearchParams[]} */ ([])
  const endpoint = createServer(async (request, response) => {
    grants.push(new URLSearchParams(await text(request)))
    const body = {
      access_token: `token-${grants.length + 1}`,
      expires_in: 3600,
      refresh_token: 'r2',
    }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  })
  const { port } = await listen(t, endpoint)
  const server = await scriptedServer(t, (command) => {
    if (command.startsWith('EHLO')) return '250-mx\r\n250 AUTH XOAUTH2 PLAIN\r\n'
    if (!command.startsWith('AUTH')) return undefined
    const said = Buffer.from(command.split(' ')[2], 'base64').toString()
    const isValid = said === `user=me@example.com\x01auth=Bearer ${valid}\x01\x01`
    return isValid ? '235 ok\r\n' : '535 5.7.8 refused\r\n'
  })
  const refresh = {
    url: `http://127.0.0.1:${port}/token`,
    clientId: 'id',
    clientSecret: 'hunter2',
    refreshToken: 'r1',
  }
  const auth = { type: 'xoauth2', user: 'me@example.com', token: 'token-1', refresh }
  const engine = await mailEngine(t, `${server.url}?tls=none`, { auth, concurrency: 1 })
  const [first] = await sendMails(engine, [{}])
  assert.equal(first.status, 'delivered', first.error?.message)
  assert.deepEqual(Object.fromEntries(grants[0]), {
    grant_type: 'refresh_token',
    refresh_token: 'r1',
    client_id: 'id',
    client_secret: 'hunter2',
  })
  valid = 'token-9'
  const fresh = await mailEngine(t, `${server.url}?tls=none`, {
    auth: { ...auth, refresh: undefined },
  })
  const [refused] = await sendMails(fresh, [{}])
  assert.deepEqual([refused.status, refused.error.code], ['failed', 'ERR_SEND_STATUS'])
  assert.ok(!/token-|hunter2/.test(JSON.stringify([first, refused])))
})

test('a refresh token is used once, however many mails wait for it', async (t) => {
  const used = /** @type {string[]} */ ([])
  const endpoint = createServer(async (request, response) => {
    const refresh = new URLSearchParams(await text(request)).get('refresh_token') ?? ''
    // A provider that rotates: a token that was used once is refused.
    const isFirst = !used.includes(refresh)
    used.push(refresh)
    const body = isFirst
      ? { access_token: `token-${used.length}`, refresh_token: `r${used.length}` }
      : { error: 'invalid_grant' }
    response.statusCode = isFirst ? 200 : 400
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  })
  const { port } = await listen(t, endpoint)
  const server = await scriptedServer(t, (command) => {
    if (command.startsWith('EHLO')) return '250-mx\r\n250 AUTH XOAUTH2\r\n'
    if (!command.startsWith('AUTH')) return undefined
    const said = Buffer.from(command.split(' ')[2], 'base64').toString()
    return said.includes('Bearer token-') ? '235 ok\r\n' : '535 5.7.8 refused\r\n'
  })
  const refresh = { url: `http://127.0.0.1:${port}/token`, clientId: 'id', refreshToken: 'r0' }
  const auth = { type: 'xoauth2', user: 'me@example.com', refresh }
  const engine = await mailEngine(t, `${server.url}?tls=none`, { auth, concurrency: 5 })
  const statuses = async () => (await sendMails(engine, [{}, {}, {}, {}, {}])).map((d) => d.status)
  assert.deepEqual([...new Set(await statuses())], ['delivered'])
  assert.deepEqual(used, ['r0'])
})
