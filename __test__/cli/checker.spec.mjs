// The original's checker is the floor: what it accepts is accepted here.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FIELDS, VALUES, calls } from '../support/corpus.mjs'
import { openEngine } from '../support/engine.mjs'
import { original, outcome } from '../support/pipedream.mjs'

const CONTENT = { http: 'data', s3: 'payload', sql: 'payload', sse: 'payload' }

/** The kinds of values that JSON holds nothing of, or that hold bytes where bytes cannot go. */
const UNRECORDABLE =
  /= (?:regexp|weakmap|promise|blob|formdata|dataview|arraybuffer|sharedarraybuffer|boxed symbol)\b/

/** A new step for every so many calls, so that the undelivered calls do not pile up. */
async function* steps(t) {
  const engine = await openEngine(t, { maxPendingBytes: 2 ** 30 })
  while (true) {
    const execution = engine.execution({ workflowId: 'p_checker' })
    const step = execution.step('s')
    for (let call = 0; call < 5000; call++) yield step.$send
    execution.discard()
  }
}

for (const name of Object.keys(FIELDS)) {
  test(`$send.${name} accepts what the original accepts, and refuses in its words`, async (t) => {
    const counts = {
      accepted: 0,
      refused: 0,
      'accepted by us alone': 0,
      'refused by us alone': 0,
      'equal messages': 0,
    }
    const source = steps(t)
    for (const { label, make } of calls(name)) {
      const { value: $send } = await source.next()
      const floor = original(name, make())
      const ours = outcome(() => $send[name](make()))
      if (ours.accepted) {
        counts[floor.accepted ? 'accepted' : 'accepted by us alone'] += 1
        continue
      }
      if (floor.accepted) {
        // What cannot be sent as it is: the original sends something else in its place.
        assert.match(ours.message, /cannot be recorded/, label)
        assert.match(label, UNRECORDABLE, label)
        counts['refused by us alone'] += 1
        continue
      }
      counts.refused += 1
      // reaches ERR_SEND_INVALID_ARGUMENT
      if (differs(name, floor.message) || UNRECORDABLE.test(label)) continue
      assert.equal(ours.code, 'ERR_SEND_INVALID_ARGUMENT', label)
      counts['equal messages'] += 1
      assert.equal(ours.message, named(floor.message), label)
    }
    await source.return()
    t.diagnostic(JSON.stringify(counts))
    assert.ok(counts.accepted > 500 && counts['equal messages'] > 10, 'the corpus is one-sided')
  })
}

/**
 * Where our words are our own, by what the original says:
 * - it complains of what we accept (`method`, `url`, `prefix`, the members of `emit`), and we of
 *   something else in the same call;
 * - it fails with the language's TypeError on a value that has no text;
 * - it repeats what may be a credential, and the whole of a long value.
 */
function differs(name, message) {
  const path = message.slice(message.lastIndexOf(' for ') + 5)
  const own = {
    http: ['method', 'url', 'auth', 'auth.password', 'auth.username', 'headers', 'params'],
    s3: ['prefix'],
    emit: ['raw_event', 'event'],
  }
  return !message.startsWith('$send.') || own[name]?.includes(path) || message.length > 120
}

for (const [name, field] of Object.entries(CONTENT)) {
  test(`$send.${name} refuses ${field} that is neither text nor an object`, async (t) => {
    const { $send } = (await openEngine(t)).execution({ workflowId: 'p' }).step('s')
    const kinds = ['number', 'zero', 'NaN', 'true', 'false', 'null', 'function', 'bigint', 'symbol']
    for (const kind of kinds) {
      const value = VALUES[kind]()
      assert.throws(() => $send[name]({ ...FIELDS[name], [field]: value }), {
        name: 'TypeError',
        code: 'ERR_SEND_INVALID_ARGUMENT',
        message: `$send.${name}: invalid value ${String(value)} for ${field}`,
      })
    }
  })
}

test('required members are required', async (t) => {
  const { $send } = (await openEngine(t)).execution({ workflowId: 'p' }).step('s')
  for (const [name, field] of [
    ['http', 'url'],
    ['s3', 'bucket'],
    ['s3', 'payload'],
    ['sql', 'table'],
    ['sql', 'payload'],
    ['sse', 'channel'],
    ['sse', 'payload'],
  ]) {
    const rest = { ...FIELDS[name] }
    delete rest[field]
    for (const config of [rest, { ...rest, [field]: undefined }]) {
      const message = `$send.${name}: invalid value undefined for ${field}`
      assert.throws(() => $send[name](config), { code: 'ERR_SEND_INVALID_ARGUMENT', message })
    }
  }
})

test('auth needs a user name and a password', async (t) => {
  const { $send } = (await openEngine(t)).execution({ workflowId: 'p' }).step('s')
  const refused = (auth, message) =>
    assert.throws(() => $send.http({ ...FIELDS.http, auth }), {
      code: 'ERR_SEND_INVALID_ARGUMENT',
      message: `$send.http: invalid value ${message}`,
    })
  refused({ username: 'u' }, 'undefined for auth.password')
  refused({ password: 'p' }, 'undefined for auth.username')
  refused({}, 'undefined for auth.password')
  refused(null, 'null for auth')
})

test('a refusal does not repeat what may be a secret', async (t) => {
  const { $send } = (await openEngine(t)).execution({ workflowId: 'p' }).step('s')
  for (const member of [
    { auth: 'user:hunter2' },
    { auth: { username: 'u', password: ['hunter2'] } },
    { headers: 'Authorization: hunter2' },
    { params: 'token=hunter2' },
  ]) {
    const refused = outcome(() => $send.http({ ...FIELDS.http, ...member }))
    assert.equal(refused.accepted, false)
    assert.match(refused.message, /^\$send\.http: invalid value \[redacted\] for /)
  }
})

/**
 * The message of Pipedream's checker, which names nothing where the whole argument is wrong.
 *
 * @param {string} message
 */
function named(message) {
  return message.replace(/ for $/, ' for the argument: it must be an object')
}

test('a call without an argument is refused as the original refuses it', async (t) => {
  const { $send } = (await openEngine(t)).execution({ workflowId: 'p' }).step('s')
  for (const name of Object.keys(FIELDS)) {
    for (const args of [[], [null], [5], ['text'], [() => 1]]) {
      const floor = original(name, args[0])
      assert.equal(floor.accepted, false)
      assert.throws(() => $send[name](...args), { message: named(floor.message) })
    }
  }
})

test('a long value is cut, and a value without a text has a description', async (t) => {
  const { $send } = (await openEngine(t)).execution({ workflowId: 'p' }).step('s')
  const shown = (url) => outcome(() => $send.http({ ...FIELDS.http, url })).message
  assert.ok(shown(['x'.repeat(10_000)]).length < 200)
  assert.match(shown(Object.create(null)), /invalid value \[object Object\] for url/)
  assert.match(shown(Symbol('s')), /invalid value Symbol\(s\) for url/)
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const refused = outcome(() => $send.http({ ...FIELDS.http, method: proxy }))
  assert.match(refused.message, /invalid value a value that cannot be shown for method/)
})
