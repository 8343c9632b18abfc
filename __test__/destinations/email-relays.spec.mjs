// `$send.email` through a real Postfix and a real Exim with strict settings, read by an independent parser.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'

import { simpleParser } from 'mailparser'

import { withoutExim } from '../../scripts/exim-server.mjs'
import { withoutPostfix } from '../../scripts/postfix-server.mjs'
import { certificates } from '../support/servers/certificates.mjs'
import { exim } from '../support/exim.mjs'
import { mailEngine, sendMails } from '../support/smtp.mjs'
import { postfix } from '../support/postfix.mjs'

const skip = withoutPostfix()

const EIGHT_BIT = `Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n8-bit: ü`

/** One authority for all tests. */
let authority
const ends = []
before(async () => {
  authority = await certificates({ after: (end) => ends.push(end) })
})
after(() => Promise.all(ends.map((end) => end())))

const RELAYS = {
  Postfix: { start: postfix, skip },
  Exim: { start: exim, skip: withoutExim() },
}

for (const [name, { start, skip }] of Object.entries(RELAYS))
  test(
    `every kind of mail passes a strict ${name} and arrives as it was sent`,
    { skip },
    async (t) => {
      const relay = await start(t, authority.valid)
      const bytes = Buffer.from(Array.from({ length: 3000 }, (_, at) => (at * 7) % 256))
      const engine = await mailEngine(t, `${relay.url}?tls=required`, {
        concurrency: 1,
        allowRecipients: ['@example.com'],
        tls: { ca: readFileSync(authority.ca, 'utf8') },
      })
      const list = Array.from({ length: 60 }, (_, at) => `recipient-${at}@example.com`)
      const mails = [
        { text: '.\n..\n.end\n\n.\nFrom here\n' },
        { text: 'Grüße, 世界 👋', html: '<p>ä\0</p>' },
        { text: 'x'.repeat(5000), cc: ['gone@example.com', ...list] },
        { text: 'x', attachments: [{ filename: 'ü.bin', content: bytes }] },
        { text: 'x', attachments: [{ content: EIGHT_BIT, contentType: 'message/rfc822' }] },
        { text: 'x', replyTo: 'x@münchen.de' },
      ]
      const deliveries = await sendMails(
        engine,
        mails.map((mail, at) => ({ subject: `mail ${at}`, ...mail })),
      )
      for (const { status, error } of deliveries) assert.equal(status, 'delivered', error?.message)
      assert.match(
        deliveries[2].warnings[0],
        /gone@example\.com did not get the mail: .* 550 5\.1\.1/,
      )
      const received = await relay.received(mails.length + list.length)
      const parsed = await Promise.all(received.map((raw) => simpleParser(raw)))
      const mail = (/** @type {number} */ at) =>
        parsed.find(({ subject }) => subject === `mail ${at}`)
      assert.equal(mail(0).text.trimEnd(), mails[0].text.trimEnd())
      assert.equal(mail(1).text.trimEnd(), mails[1].text)
      assert.equal(mail(1).html.trimEnd(), mails[1].html)
      assert.equal(mail(2).cc.value.length, 61)
      assert.equal(mail(2).text.trimEnd().length, 5000)
      assert.deepEqual(mail(3).attachments[0].content, bytes)
      assert.equal(mail(3).attachments[0].filename, 'ü.bin')
      assert.match(mail(4).attachments[0].content.toString(), /8-bit: ü/)
      for (const raw of received) assert.match(raw.toString(), /TLSv?1\.3/)
    },
  )

test(
  'an address beyond ASCII arrives with SMTPUTF8, and is left out without it',
  { skip },
  async (t) => {
    for (const [setting, reached] of /** @type {const} */ ([
      ['strict_7bit_headers = no', ['üser@example.com']],
      ['smtputf8_enable = no', ['owner@example.com']],
    ])) {
      const relay = await postfix(t, authority.valid, `${setting}\n`)
      const engine = await mailEngine(t, `${relay.url}?tls=none`, {
        allowRecipients: ['@example.com'],
      })
      const to =
        reached[0] === 'üser@example.com' ? reached : ['üser@example.com', 'owner@example.com']
      const [delivery] = await sendMails(engine, [{ to: [...to], text: 'x' }])
      assert.equal(delivery.status, 'delivered', delivery.error?.message)
      const [raw] = await relay.received(1)
      const parsed = /** @type {any} */ (await simpleParser(raw))
      assert.deepEqual(
        parsed.to.value.map((/** @type {any} */ { address }) => address),
        reached,
      )
      const leftOut = delivery.warnings.filter((/** @type {string} */ w) => w.includes('SMTPUTF8'))
      assert.equal(leftOut.length, reached[0] === 'üser@example.com' ? 0 : 1)
    }
  },
)

test('a mail that is larger than the relay says is not sent', { skip }, async (t) => {
  const relay = await postfix(t, authority.valid)
  const engine = await mailEngine(t, `${relay.url}?tls=none`)
  const [large, small] = await sendMails(engine, [{ text: 'x y '.repeat(300_000) }, {}])
  assert.deepEqual([large.status, large.error.code], ['failed', 'ERR_SEND_PAYLOAD_TOO_LARGE'])
  assert.match(large.error.message, /the server takes no more than 1000000/)
  assert.equal(small.status, 'delivered')
})
