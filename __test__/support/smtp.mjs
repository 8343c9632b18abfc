// Real SMTP servers on 127.0.0.1, each on a free port, that end with the test, and an independent
// reader of what they receive.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { buffer } from 'node:stream/consumers'

import { simpleParser } from 'mailparser'
import { SMTPServer } from 'smtp-server'

import { listen } from './servers/listen.mjs'
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

/**
 * A server that replies to each command as a script says: a text in Latin-1, `'close'` or `'reset'`, or
 * nothing for the usual reply. A mail's content counts as the command `.`.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {(command: string, seen: { commands: string[], connections: number }) => string | undefined} script
 * @param {string} [greeting]
 */
export async function scriptedServer(t, script, greeting = '220 mx.test ESMTP\r\n') {
  const seen = { commands: /** @type {string[]} */ ([]), connections: 0, mails: 0 }
  const server = createServer((socket) => {
    seen.connections++
    let rest = ''
    let isMail = false
    socket.on('error', () => {})
    if (!reply('')) return
    socket.on('data', (chunk) => {
      rest += chunk.toString('latin1')
      for (;;) {
        const end = rest.indexOf(isMail ? '\r\n.\r\n' : '\r\n')
        if (end < 0) return
        const command = isMail ? '.' : rest.slice(0, end)
        rest = rest.slice(end + (isMail ? 5 : 2))
        isMail = false
        seen.commands.push(command)
        if (!reply(command)) return
      }
    })

    /** Replies to a command; returns whether the connection goes on. @param {string} command */
    function reply(command) {
      const said = script(command, seen) ?? usual(command)
      if (said === 'close') return void socket.end()
      if (said === 'reset') return void socket.resetAndDestroy()
      isMail = said.startsWith('354')
      if (command === '.' && said.startsWith('2')) seen.mails++
      return socket.write(Buffer.from(said, 'latin1')) || true
    }
  })
  const { port } = await listen(t, server)
  return { ...{ port, seen }, url: `smtp://127.0.0.1:${port}` }

  /** @param {string} command */
  function usual(command) {
    if (command === '') return greeting
    if (command.startsWith('DATA')) return '354 go\r\n'
    return command.startsWith('EHLO') ? '250-mx.test\r\n250 8BITMIME\r\n' : '250 ok\r\n'
  }
}
