// The server of an engine behind the nginx of the documents.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'

import { ROOT } from '../support/copy.mjs'
import { openEngine } from '../support/engine.mjs'
import { certificates } from '../support/servers/certificates.mjs'
import { nginxBefore, programOrSkip } from '../support/web-servers.mjs'

const TOKEN = 'a'.repeat(32)
const NAME = 'send.example.com'
const CONFIG = readFileSync(join(ROOT, 'examples/deploy/nginx.conf'), 'utf8')

/** Resolves with the response of a request to the name, when its headers are there. */
function request(port, ca, path, headers = { authorization: `Bearer ${TOKEN}` }) {
  const options = { host: '127.0.0.1', port, path, ca, servername: NAME, agent: false }
  // The certificate is that of an address.
  const check = { checkServerIdentity: () => undefined }
  return new Promise((resolve, reject) => {
    get({ ...options, ...check, headers: { host: NAME, ...headers } }, resolve).once(
      'error',
      reject,
    )
  })
}

async function textOf(response) {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return text
}

/** Resolves when the stream has these words. */
async function arrived(response, words) {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk
    if (text.includes(words)) return text
  }
  throw new Error(`the stream ended: ${text}`)
}

test('nginx passes on the log, the page and streams, and no figures', async (t) => {
  const program = programOrSkip(t, 'nginx')
  if (!program) return
  const publicUrl = `https://${NAME}`
  const engine = await openEngine(t, { server: { port: 0, tokens: [TOKEN], publicUrl } })
  const { valid, ca } = await certificates(t)
  const port = await nginxBefore(t, program, valid, CONFIG, engine.address().port)
  const authority = readFileSync(ca, 'utf8')
  const ask = (path, headers) => request(port, authority, path, headers)

  const page = await ask('/', {})
  assert.equal(page.statusCode, 200)
  assert.match(await textOf(page), /<html/)
  const log = await ask('/v1/deliveries')
  assert.equal(log.statusCode, 200)
  assert.equal((await ask('/v1/deliveries', {})).statusCode, 401)
  assert.equal((await ask('/metrics')).statusCode, 404)

  const stream = await ask('/pipelines/p_nginx/sse')
  assert.equal(stream.statusCode, 200)
  const events = arrived(stream, '"n":1')
  const execution = engine.execution({ workflowId: 'p_nginx' })
  execution.step('s').$send.sse({ channel: 'c', payload: { n: 1 } })
  await execution.complete()
  // It would time out if nginx kept the event until the stream ends.
  assert.match(await events, /event: c/)
  stream.destroy()
})
