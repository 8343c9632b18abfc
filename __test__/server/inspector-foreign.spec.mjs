// Pages of others in a browser that can reach the server: what they ask for is refused.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'

import { inspected, openPage } from '../support/page.mjs'
import { listen } from '../support/servers/listen.mjs'

/* global document -- in the page */

/** A name that its owner points at this machine once the page is loaded (DNS rebinding). */
const REBOUND = 'rebound.example'

test('a page whose name was pointed at this machine reads nothing and changes nothing', async (t) => {
  const { engine, url, run } = await inspected(t)
  await run('p_secret', ['/fail'])
  const foreign = url.replace('127.0.0.1', REBOUND)
  const { page } = await openPage(t, foreign, {}, [
    `--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`,
  ])
  assert.doesNotMatch(await page.content(), /<script/)
  const responses = await page.evaluate(async () => {
    const json = { 'content-type': 'application/json' }
    const asked = [
      fetch('/v1/deliveries'),
      fetch('/log/stream'),
      fetch('/v1/replays', { method: 'POST', headers: json, body: '{"status":"failed"}' }),
      fetch('/v1/pauses', { method: 'POST', headers: json, body: '{}' }),
    ]
    const got = await Promise.all(asked)
    return Promise.all(got.map(async (each) => [each.status, await each.text()]))
  })
  for (const [status, text] of responses) {
    assert.equal(status, 403, String(text))
    assert.doesNotMatch(String(text), /p_secret/)
  }
  assert.equal((await engine.deliveries()).length, 1)
})

test('a page of another origin changes nothing', async (t) => {
  const { engine, url, run } = await inspected(t)
  await run('p_1', ['/fail'])
  const other = createServer((_, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<!doctype html><title>another page</title>')
  })
  const { port } = await listen(t, other)
  const { page } = await openPage(t, `http://127.0.0.1:${port}/`)
  const outcome = await page.evaluate(async (address) => {
    const form = {
      method: 'POST',
      mode: /** @type {const} */ ('no-cors'),
      body: '{"status":"failed"}',
    }
    const { type } = await fetch(`${address}/v1/replays`, form)
    const read = await fetch(`${address}/v1/deliveries`).then(
      () => 'read',
      () => 'refused',
    )
    return { title: document.title, type, read }
  }, url)
  assert.deepEqual(outcome, { title: 'another page', type: 'opaque', read: 'refused' })
  assert.equal((await engine.deliveries()).length, 1)
})
