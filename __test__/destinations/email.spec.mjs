// `$send.email`, as it arrives.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { simpleParser } from 'mailparser'

import { dataDirectory } from '../support/data-dir.mjs'
import { codeOf, LOCAL, openEngine } from '../support/engine.mjs'
import { mailEngine, PEOPLE, sendMails, smtpServer } from '../support/smtp.mjs'

const addresses = (/** @type {any} */ field) =>
  (field?.value ?? []).map((/** @type {any} */ { address }) => address)

test('the documented call goes to the owner, and to the collaborators if asked', async (t) => {
  const server = await smtpServer(t)
  const collaborators = ['ada@example.com', 'Bob <bob@example.com>']
  const engine = await mailEngine(t, server.url, { collaborators })
  const mail = { subject: 'Your subject', text: 'Plain text email body', html: '<b>HTML</b> body' }
  const [one, two] = await sendMails(engine, [mail, { ...mail, include_collaborators: true }])
  assert.deepEqual([one.status, two.status, one.warnings], ['delivered', 'delivered', []])
  server.received.sort((a, b) => a.to.length - b.to.length)
  const [first, second] = server.received
  assert.deepEqual(first.to, ['owner@example.com'])
  assert.deepEqual(second.to, ['owner@example.com', 'ada@example.com', 'bob@example.com'])
  assert.equal(first.from, 'bot@example.com')
  assert.equal(first.mail.from.text, '"Notifications" <bot@example.com>')
  assert.equal(first.mail.subject, 'Your subject')
  assert.equal(first.mail.text.trim(), 'Plain text email body')
  assert.equal(first.mail.html, '<b>HTML</b> body')
  assert.match(first.raw.toString(), /multipart\/alternative/)
  assert.equal(first.mail.messageId, `<${one.id}@example.com>`)
  assert.equal(first.mail.date.getTime(), Math.floor(Date.parse(one.recordedAt) / 1000) * 1000)
  assert.deepEqual(one.request.to, ['owner@example.com'])
  assert.equal(one.request.text, mail.text)
  assert.equal(one.response.code, 250)
  assert.match(one.response.message, /queued as/)
})

const LONG = `${'word '.repeat(400)}${'x'.repeat(3000)}`
const TEXTS = {
  ascii: 'hello',
  'other scripts': 'Grüße, 世界 👋 עולם',
  'long lines': LONG,
  'lines that begin with a dot': '.\n..\n.end\n\n.',
  'every kind of line end': 'a\nb\r\nc\rd',
  'spaces at line ends': 'a  \n\tb\t\nFrom here',
  'a lone surrogate': 'a\ud800b',
}

for (const [name, text] of Object.entries(TEXTS)) {
  test(`what arrives is what was sent: ${name}`, async (t) => {
    const server = await smtpServer(t)
    const engine = await mailEngine(t, server.url)
    const subject = text.replaceAll(/[\r\n\t]/g, ' ').slice(0, 300)
    const mails = [
      { subject, text },
      { subject: 'h', html: `<p>${text}</p>` },
      { subject: 'b', text, html: `<p>${text}</p>` },
    ]
    const deliveries = await sendMails(engine, mails)
    assert.deepEqual(
      deliveries.map(({ status }) => status),
      ['delivered', 'delivered', 'delivered'],
    )
    const sent = text.replaceAll(/\r\n|\r/g, '\n').toWellFormed()
    const bySubject = (/** @type {string} */ wanted) =>
      server.received.find(({ mail }) => mail.subject === wanted)?.mail
    const plain = bySubject(subject.toWellFormed().trim())
    assert.equal(plain.text.trimEnd(), sent.trimEnd())
    assert.ok(!plain.html)
    assert.equal(bySubject('h').html.trimEnd(), `<p>${sent}</p>`)
    assert.equal(bySubject('b').text.trimEnd(), sent.trimEnd())
    assert.equal(bySubject('b').html.trimEnd(), `<p>${sent}</p>`)
    for (const { raw } of server.received) {
      assert.ok(
        raw
          .toString('latin1')
          .split('\r\n')
          .every((line) => line.length <= 998),
      )
      assert.ok(!/\r(?!\n)|(?<!\r)\n/.test(raw.toString('latin1')))
    }
  })
}

test('an empty mail arrives, and other kinds of names do', async (t) => {
  const server = await smtpServer(t)
  const engine = await mailEngine(t, server.url)
  const [empty, named] = await sendMails(engine, [
    {},
    {
      from: 'Zoë "Z" O’Neil',
      replyTo: [{ name: 'Ünï', address: 'u@example.org' }, 'v@example.org'],
    },
  ])
  assert.deepEqual([empty.status, named.status], ['delivered', 'delivered'])
  const mail = server.received.find((one) => one.mail.replyTo)?.mail
  assert.deepEqual(mail.from.value, [{ name: 'Zoë "Z" O’Neil', address: 'bot@example.com' }])
  assert.deepEqual(mail.replyTo.value, [
    { name: 'Ünï', address: 'u@example.org' },
    { name: '', address: 'v@example.org' },
  ])
})

test('attachments and images arrive byte for byte', async (t) => {
  const server = await smtpServer(t)
  const engine = await mailEngine(t, server.url)
  const bytes = Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 7) % 256))
  const lines = Buffer.from('a\nb\rc\r\n.\r\n')
  const [delivery] = await sendMails(engine, [
    {
      text: 'see',
      html: '<img src="cid:logo@x">',
      attachments: [
        { filename: 'data.bin', content: bytes },
        { filename: 'lines.txt', content: lines.toString() },
        { filename: 'übersicht 世界.pdf', content: lines.toString('base64'), encoding: 'base64' },
        { filename: 'own', content: new Uint8Array(lines), contentType: 'application/x-own' },
        { filename: 'logo.png', content: bytes, cid: 'logo@x' },
        { content: 'no name' },
      ],
    },
  ])
  assert.equal(delivery.status, 'delivered')
  const [{ mail }] = server.received
  /** @type {Map<string, any>} */
  const files = new Map(mail.attachments.map((/** @type {any} */ file) => [file.filename, file]))
  assert.deepEqual(files.get('data.bin').content, bytes)
  for (const name of ['lines.txt', 'übersicht 世界.pdf', 'own'])
    assert.deepEqual(files.get(name).content, lines, name)
  assert.equal(files.get('attachment-6').content.toString(), 'no name')
  assert.deepEqual([files.get('logo.png').cid, files.get('logo.png').related], ['logo@x', true])
  assert.deepEqual(
    ['data.bin', 'lines.txt', 'übersicht 世界.pdf', 'own', 'logo.png'].map(
      (name) => files.get(name).contentType,
    ),
    ['application/octet-stream', 'text/plain', 'application/pdf', 'application/x-own', 'image/png'],
  )
  assert.equal(mail.html, '<img src="cid:logo@x">')
  // The log names them and holds nothing of them.
  assert.deepEqual(delivery.request.attachments[0], {
    filename: 'data.bin',
    contentType: 'application/octet-stream',
    bytes: 5000,
  })
  assert.ok(!JSON.stringify(delivery).includes(bytes.toString('base64').slice(0, 40)))
})

test('other recipients get it as far as they are allowed', async (t) => {
  const server = await smtpServer(t)
  const engine = await mailEngine(t, server.url, {
    collaborators: ['ada@example.com'],
    allowRecipients: ['friend@partner.org', '@Ours.example'],
  })
  const [mixed, none, hidden, other] = await sendMails(engine, [
    {
      subject: 'mixed',
      to: 'Friend <FRIEND@partner.org>, stranger@partner.org',
      cc: ['x@ours.example', { address: 'ada@example.com', name: 'Ada' }],
      bcc: 'y@ours.example',
    },
    { subject: 'none', to: ['stranger@partner.org'] },
    { subject: 'hidden', to: 'stranger@partner.org', bcc: 'y@ours.example' },
    { subject: 'other', from: 'Boss <boss@partner.org>' },
  ])
  const received = Object.fromEntries(server.received.map((one) => [one.mail.subject, one]))
  assert.deepEqual(received.mixed.to, [
    'FRIEND@partner.org',
    'x@ours.example',
    'ada@example.com',
    'y@ours.example',
  ])
  assert.deepEqual(addresses(received.mixed.mail.cc), ['x@ours.example', 'ada@example.com'])
  assert.equal(received.mixed.raw.includes('y@ours.example'), false)
  assert.deepEqual(mixed.request.bcc, ['y@ours.example'])
  assert.match(mixed.warnings[0], /`to`: stranger@partner\.org is left out.*allowRecipients/)
  assert.deepEqual(received.none.to, ['owner@example.com'])
  assert.match(none.warnings[1], /goes to the owner, owner@example\.com/)
  assert.deepEqual(received.hidden.to, ['y@ours.example'])
  assert.match(hidden.warnings[0], /stranger@partner\.org is left out/)
  assert.equal(received.other.mail.from.text, '"Boss" <bot@example.com>')
  assert.match(other.warnings[0], /`from`: the address is ignored/)
})

test('workflows can have people of their own', async (t) => {
  const server = await smtpServer(t)
  const engine = await mailEngine(t, server.url, {
    recipients: {
      'p_*': { to: 'some@example.com' },
      'p_special*': {
        to: 'special@example.com',
        from: 's@example.com',
        collaborators: ['c@example.com'],
      },
    },
  })
  const mail = { include_collaborators: true }
  for (const workflow of ['q', 'p_1', 'p_special_1']) await sendMails(engine, [mail], workflow)
  assert.deepEqual(
    server.received.map(({ from, to }) => [from, ...to]),
    [
      ['bot@example.com', 'owner@example.com'],
      ['bot@example.com', 'some@example.com'],
      ['s@example.com', 'special@example.com', 'c@example.com'],
    ],
  )
})

test('list headers are sent, others are not', async (t) => {
  const server = await smtpServer(t)
  const engine = await mailEngine(t, server.url)
  const headers = {
    'List-Unsubscribe': '<https://example.com/u?a=b>',
    'list-unsubscribe-post': 'List-Unsubscribe=One-Click',
    'X-Priority': '1',
    Bcc: 'thief@example.com',
  }
  const [delivery] = await sendMails(engine, [{ headers }])
  const [{ mail, to }] = server.received
  assert.deepEqual(to, ['owner@example.com'])
  assert.equal(mail.headers.get('list').unsubscribe.url, 'https://example.com/u?a=b')
  assert.match(server.received[0].raw.toString(), /List-Unsubscribe=One-Click/)
  assert.deepEqual(
    [mail.headers.get('x-priority'), mail.headers.get('bcc')],
    [undefined, undefined],
  )
  assert.equal(delivery.warnings.length, 2)
})

test('a subject with a line break and too many recipients fail in the log', async (t) => {
  const server = await smtpServer(t)
  const engine = await mailEngine(t, server.url, { allowRecipients: ['@example.com'] })
  const many = Array.from({ length: 10_000 }, (_, at) => `u${at}@example.com`)
  /** @type {Array<[any, RegExp]>} */
  const cases = [
    [{ subject: 'a\r\nBcc: x@example.com' }, /^subject has a line break/],
    [{ subject: 'a\nb' }, /^subject has a line break/],
    [{ to: many }, /has 10000 recipients, and email\.limits\.maxRecipients is 100/],
  ]
  const deliveries = await sendMails(
    engine,
    cases.map(([mail]) => mail),
  )
  for (const [at, { status, error }] of deliveries.entries()) {
    assert.deepEqual([status, error?.code], ['failed', 'ERR_SEND_INVALID_ARGUMENT'], String(at))
    assert.match(error.message, cases[at][1])
  }
  assert.equal(server.received.length, 0)
})

test('what cannot be used is left out, and the mail reaches its owner', async (t) => {
  const server = await smtpServer(t)
  const engine = await mailEngine(t, server.url, { allowRecipients: ['@example.com'] })
  /** @type {Array<[any, RegExp]>} */
  const cases = [
    [{ to: 'a@example.com\r\nBcc: b@example.com' }, /`to`: "a@example.com Bcc: b@example.com"/],
    [{ to: ['owner@example.com', 'no address'] }, /`to`: "no address" is not an address/],
    [{ cc: 5 }, /`cc`: "5" is not an address/],
    [{ bcc: [{ name: 'x' }] }, /`bcc`: "an object without `address`"/],
    [{ replyTo: { address: 'x', name: 'y\n' } }, /`replyTo`: "x" is not an address/],
    [{ from: 'Evil\r\nX: y' }, /`from`: "Evil X: y" is not an address/],
    [{ from: 'x@' }, /`from`: "x@" is not an address/],
    [{ attachments: [{ filename: 'a' }] }, /`attachments\.0` is left out: it has no `content`/],
    [{ attachments: [{ content: { a: 1 } }] }, /`attachments\.0` is left out: .* neither text nor/],
    [{ attachments: [{ content: '%', encoding: 'base64' }] }, /is left out: .* not base64/],
    [{ attachments: [{ content: 'x', encoding: 'rot13' }] }, /`encoding` is not known/],
    [{ attachments: [{ content: 'x', contentType: 'x\ny' }] }, /"x y" is not a content type/],
    [{ attachments: 'file' }, /`attachments`: "file" is not a list of files/],
    [{ attachments: [{ path: '/etc/passwd' }] }, /attachments\.0\.path` is ignored: .*Folder/],
    [
      { html: 'x', attachments: [{ content: 'x', cid: '<a b>' }] },
      /the cid "<a b>" cannot be used/,
    ],
    [{ headers: { 'List-Id': 'a\r\nBcc: x@example.com' } }, /`List-Id` is ignored: .* line break/],
    [{ headers: 'x' }, /`headers`: "x" is not an object/],
    [{ inReplyTo: 'a\0b' }, /`inReplyTo`: .* is not a message id/],
  ]
  const deliveries = await sendMails(
    engine,
    cases.map(([mail]) => mail),
  )
  for (const [at, { status, error, warnings }] of deliveries.entries()) {
    assert.equal(status, 'delivered', error?.message)
    assert.match(warnings.join('\n'), cases[at][1])
  }
  assert.equal(server.received.length, cases.length)
  for (const { to, raw } of server.received) {
    assert.deepEqual(to, ['owner@example.com'])
    assert.ok(!/^(Bcc|X):/im.test(raw.toString()))
  }
})

test('what is too large is refused at the call, or in the log', async (t) => {
  const server = await smtpServer(t)
  const engine = await mailEngine(t, server.url, { limits: { maxBytes: 10_000 } })
  const { $send } = engine.execution({ workflowId: 'p' }).step('s')
  const tooLarge = { code: 'ERR_SEND_PAYLOAD_TOO_LARGE' }
  assert.throws(() => $send.email({ attachments: [{ content: Buffer.alloc(50 << 20) }] }), tooLarge)
  assert.throws(() => $send.email({ html: 'x'.repeat(20 << 20) }), tooLarge)
  const [delivery] = await sendMails(engine, [{ text: 'x'.repeat(20_000) }])
  assert.deepEqual([delivery.status, delivery.error.code], ['failed', tooLarge.code])
  assert.match(delivery.error.message, /email\.limits\.maxBytes is 10000/)
})

test('without a server mails become files', async (t) => {
  const dataDir = dataDirectory(t)
  const engine = await openEngine(t, { dataDir })
  const mail = { subject: 'S', text: 'T', attachments: [{ filename: 'a.txt', content: 'A' }] }
  const [delivery] = await sendMails(engine, [mail])
  assert.deepEqual([delivery.status, delivery.warnings], ['delivered', []])
  const file = join(dataDir, 'mail', `${delivery.id}.eml`)
  assert.equal(delivery.response.file.endsWith(join('mail', `${delivery.id}.eml`)), true)
  assert.deepEqual(readdirSync(join(dataDir, 'mail')), [`${delivery.id}.eml`])
  const written = await simpleParser(readFileSync(file))
  assert.deepEqual([written.subject, written.text?.trim()], ['S', 'T'])
  assert.equal(written.attachments[0].content.toString(), 'A')
})

test('without a directory of its own it says once where files go', async (t) => {
  const engine = await openEngine(t)
  const deliveries = await sendMails(engine, [{ subject: '1' }, { subject: '2' }])
  const told = deliveries.flatMap(({ warnings }) => warnings)
  assert.equal(told.length, 1)
  assert.match(told[0], /no server is configured \(email\.smtp\), so mails become files in /)
  assert.equal(
    deliveries.every(({ status }) => status === 'delivered'),
    true,
  )
})

test('options are checked', async () => {
  for (const [email, expected] of /** @type {Array<[any, RegExp]>} */ ([
    [{ smtp: 'smtp://127.0.0.1' }, /email\.from: is needed/],
    [{ smtp: 'http://u:secret@h', ...PEOPLE }, /email\.smtp: must begin with smtp/],
    [{ to: 'a@b, c@d' }, /email\.to: /],
    [{ limits: { perSender: { count: 5 } } }, /email\.limits\.perSender: needs perMs/],
    [{ smpt: 'x' }, /unknown option email\.smpt\. Did you mean email\.smtp\?/],
  ])) {
    const [code, message] = await codeOf(openEngine({ after: () => {} }, { egress: LOCAL, email }))
    assert.equal(code, 'ERR_SEND_INVALID_OPTION')
    assert.match(message, expected)
    assert.ok(!message.includes('secret'))
  }
})
