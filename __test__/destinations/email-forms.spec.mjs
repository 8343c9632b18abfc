// Everyday forms of addresses, attachments and headers in `$send.email`, as they arrive.

import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { mailEngine, sendMails, smtpServer } from '../support/smtp.mjs'

const ALLOWED = { allowRecipients: ['@example.com', '@münchen.de'] }

/** Sends mails one after the other, and returns each with what arrived of it. */
async function arrived(t, mails, email = ALLOWED, server = {}) {
  const { received, url } = await smtpServer(t, server)
  const engine = await mailEngine(t, url, { concurrency: 1, ...email })
  const deliveries = await sendMails(
    engine,
    mails.map((mail, at) => ({ subject: String(at), ...mail })),
  )
  return deliveries.map((delivery, at) => {
    assert.equal(delivery.status, 'delivered', JSON.stringify([mails[at], delivery.error]))
    const one = received.find(({ mail }) => mail.subject === String(at))
    assert.ok(one)
    return { delivery, ...one }
  })
}

test('addresses in every usual form are reached, by their names', async (t) => {
  const forms = [
    ['a@example.com; b@example.com', ['', '']],
    ['Doe, John <a@example.com>, "Roe, R." <b@example.com>', ['Doe, John', 'Roe, R.']],
    ['Team: A <a@example.com>, b@example.com;', ['A', '']],
    ['a@example.com (Ada),\n B. Bee <<b@example.com>>,', ['Ada', 'B. Bee']],
    [
      [null, 'mailto:a@example.com', { email: 'b@example.com', name: 'Bö' }],
      ['', 'Bö'],
    ],
    [
      { value: [{ address: 'a@example.com' }, { address: 'b@example.com', name: '世' }] },
      ['', '世'],
    ],
  ]
  const mails = forms.map(([to]) => ({ to }))
  for (const [at, { delivery, to, mail }] of (await arrived(t, mails)).entries()) {
    assert.deepEqual(to, ['a@example.com', 'b@example.com'], String(forms[at][0]))
    assert.deepEqual(
      mail.to.value.map((/** @type {any} */ { name }) => name),
      forms[at][1],
    )
    assert.deepEqual(delivery.warnings, [])
  }
})

test('international domains are sent as A-labels, and long lists folded', async (t) => {
  const list = Array.from({ length: 90 }, (_, at) => `recipient-${at}@example.com`)
  const [label, long] = await arrived(t, [
    { to: 'user@münchen.de', replyTo: 'x@bücher.example' },
    { cc: list, replyTo: list, to: 'owner@example.com' },
  ])
  // The server shows it as people write it.
  assert.deepEqual(label.to, ['user@münchen.de'])
  assert.match(label.raw.toString(), /To: user@xn--mnchen-3ya\.de\r\n/)
  assert.match(label.raw.toString(), /Reply-To: x@xn--bcher-kva\.example\r\n/)
  assert.equal(long.to.length, 91)
  assert.equal(long.mail.replyTo.value.length, 90)
  const lines = long.raw.toString('latin1').split('\r\n')
  assert.ok(lines.every((line) => line.length <= 100))
})

test('control characters arrive encoded', async (t) => {
  const [{ raw, mail }] = await arrived(t, [{ text: 'a\0b', html: '<p>\u0007ä\0</p>' }])
  // eslint-disable-next-line no-control-regex
  assert.ok(!/[\0\x07]/.test(raw.toString('latin1')))
  assert.equal(mail.text.trimEnd(), 'a\0b')
})

test('attachments in every encoding arrive byte for byte', async (t) => {
  const bytes = Buffer.from([0xff, 0xef, 0xfe, 0x00, 0x0a])
  const base64 = bytes.toString('base64')
  const attachments = [
    { content: base64.replaceAll('=', ''), encoding: 'base64' },
    { content: bytes.toString('base64url'), encoding: 'base64' },
    { content: bytes.toString('base64url'), encoding: 'base64url' },
    { content: bytes.toString('hex'), encoding: 'hex' },
    { content: bytes.toString('latin1'), encoding: 'latin1' },
    { content: `data:image/png;base64,${base64}` },
    { path: `data:image/png;base64,${base64}` },
    { content: JSON.parse(JSON.stringify(bytes)) },
    { content: bytes, contentType: 'pdf' },
  ]
  const mails = attachments.map((one, at) =>
    at % 2 ? { attachments: one } : { attachments: [one] },
  )
  const all = await arrived(t, mails)
  for (const { delivery, mail } of all) {
    assert.deepEqual(delivery.warnings, [])
    assert.deepEqual(mail.attachments[0].content, bytes)
  }
  assert.equal(all[5].mail.attachments[0].contentType, 'image/png')
  assert.equal(all[8].mail.attachments[0].contentType, 'application/pdf')
})

test('a mail is attached as it is, and a file name has a form for old readers', async (t) => {
  const inner = 'Subject: inner\r\n\r\n.hi\r\n'
  const [{ raw, mail }] = await arrived(t, [
    {
      attachments: [
        { content: inner, contentType: 'message/rfc822', filename: 'inner.eml' },
        { content: 'x', filename: `${'ü'.repeat(60)}.txt` },
      ],
    },
  ])
  const text = raw.toString()
  assert.ok(text.includes(`\r\n\r\n${inner}`), text)
  assert.match(text, /name="=\?utf-8\?B\?/)
  assert.match(text, /filename\*0\*=utf-8''%C3%BC/)
  assert.equal(mail.attachments.at(-1).filename, `${'ü'.repeat(60)}.txt`)
})

test('files are attached from the folder alone', async (t) => {
  const root = dataDirectory(t)
  const folder = join(root, 'files')
  mkdirSync(join(folder, 'sub'), { recursive: true })
  writeFileSync(join(folder, 'sub', 'a.txt'), 'inside')
  writeFileSync(join(root, 'secret.txt'), 'outside')
  symlinkSync(join(root, 'secret.txt'), join(folder, 'link.txt'))
  symlinkSync(root, join(folder, 'up'))
  const good = ['sub/a.txt', join(folder, 'sub', 'a.txt')]
  const bad = [
    '../secret.txt',
    join(root, 'secret.txt'),
    'link.txt',
    'up/secret.txt',
    'sub',
    'none',
  ]
  const mails = [...good, ...bad].map((path) => ({ attachments: [{ path }] }))
  const all = await arrived(t, mails, { attachmentFolder: folder })
  for (const [at, { delivery, mail }] of all.entries()) {
    if (at < good.length) {
      assert.deepEqual(
        [mail.attachments[0].filename, `${mail.attachments[0].content}`],
        ['a.txt', 'inside'],
      )
    } else {
      assert.deepEqual(mail.attachments, [])
      assert.match(delivery.warnings[0], /`attachments\.0\.path` is ignored/)
    }
  }
})

test('threads and allowed headers are sent, and those of the mail itself are not', async (t) => {
  const unsubscribe = `<https://example.com/u?${'a'.repeat(300)}>, <mailto:u@example.com>`
  const [{ delivery, mail, raw }] = await arrived(
    t,
    [
      {
        inReplyTo: 'one@example.com',
        references: ['<zero@example.com>', '<one@example.com>'],
        headers: {
          'X-Priority': 1,
          'x-entity': 'ä b',
          'List-Unsubscribe': unsubscribe,
          Bcc: 'thief@example.com',
          'Content-Type': 'x/y',
        },
      },
    ],
    { allowHeaders: ['X-*'] },
  )
  assert.equal(mail.inReplyTo, '<one@example.com>')
  assert.deepEqual(mail.references, ['<zero@example.com>', '<one@example.com>'])
  assert.equal(mail.headers.get('x-entity'), '=?utf-8?B?w6QgYg==?=')
  assert.ok(raw.toString().replaceAll('\r\n ', ' ').includes(`List-Unsubscribe: ${unsubscribe}`))
  assert.equal(delivery.warnings.length, 2)
})
