// Real SMTP servers on 127.0.0.1, each on a free port, that end with the test, and an independent
// reader of what they receive.

import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'

import { simpleParser } from 'mailparser'
import { SMTPServer } from 'smtp-server'

import { LOCAL, openEngine } from './engine.mjs'
import { PATIENT } from './patience.mjs'

/**
 * @typedef {object} Received
 * @property {string[]} to the envelope's recipients
 * @property {string} from the envelope's sender
 * @property {string | undefined} user who logged in
 * @property {boolean} secure whether the connection was encrypted
 * @property {number} at when, in milliseconds
 * @property {Buffer} raw
 * @property {any} mail as `mailparser` reads it
 */

/**
 * An SMTP server that keeps what it receives.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {object} [options] of `SMTPServer`
 */
export async function smtpServer(t, options = {}) {
  /** @type {Received[]} */
  const received = []
  const server = new SMTPServer({
    authOptional: true,
    hideSTARTTLS: true,
    logger: false,
    // Connections that the engine keeps for the next mail.
    closeTimeout: 1,
    async onData(stream, session, done) {
      const raw = await buffer(stream)
      const mail = await simpleParser(raw, { keepCidLinks: true })
      received.push({
        to: session.envelope.rcptTo.map(({ address }) => address),
        from: session.envelope.mailFrom.address,
        user: session.user,
        secure: session.secure,
        at: performance.now(),
        ...{ raw, mail },
      })
      done(null, `queued as ${received.length}`)
    },
    ...options,
  })
  server.on('error', () => {})
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  t.after(() => new Promise((resolve) => server.close(() => resolve(undefined))))
  const { port } = server.server.address()
  return { port, received, url: `smtp://127.0.0.1:${port}` }
}

/** The people of these tests. */
export const PEOPLE = { from: 'Notifications <bot@example.com>', to: 'owner@example.com' }

/**
 * Sends mails in one execution of a workflow; the answer is their deliveries in call order.
 *
 * @param {import('../../index.d.ts').Engine} engine
 * @param {any[]} mails
 * @param {string} [workflowId]
 */
export async function sendMails(engine, mails, workflowId = 'p_mail') {
  const execution = engine.execution({ workflowId })
  const { $send } = execution.step('step')
  for (const mail of mails) $send.email(mail)
  await execution.complete()
  return /** @type {any[]} */ (await execution.settled(PATIENT))
}

/**
 * An engine with this server, until the test ends.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {string} smtp
 * @param {object} [email] more options
 * @param {object} [options] of the engine
 */
export const mailEngine = (t, smtp, email = {}, options = {}) =>
  openEngine(t, { egress: LOCAL, email: { smtp, ...PEOPLE, ...email }, ...options })
