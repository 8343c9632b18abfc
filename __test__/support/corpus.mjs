// Values of every kind that JavaScript has, and the calls that can be made of them. Each value is
// made anew for each call: what one call does to it, another does not see.

/** @type {Record<string, () => unknown>} */
export const VALUES = {
  undefined: () => undefined,
  null: () => null,
  zero: () => 0,
  number: () => 42.5,
  NaN: () => NaN,
  infinity: () => -Infinity,
  bigint: () => 10n,
  true: () => true,
  false: () => false,
  string: () => 'text',
  'empty string': () => '',
  'lone surrogate': () => 'a\ud800b',
  'string of braces': () => '{}',
  symbol: () => Symbol('s'),
  function: () => () => 1,
  'function with members': () => Object.assign(() => 1, { username: 'u', password: 'p' }),
  class: () => class Foo {},
  object: () => ({ a: 1 }),
  'empty object': () => ({}),
  array: () => [1, 'two', null],
  'empty array': () => [],
  'sparse array': () => [1, , 3], // eslint-disable-line no-sparse-arrays
  date: () => new Date(0),
  'invalid date': () => new Date(NaN),
  regexp: () => /x/g,
  error: () => new Error('e'),
  map: () => new Map([['a', new Map([['b', 1]])]]),
  set: () => new Set([1, new Set([2])]),
  weakmap: () => new WeakMap(),
  promise: () => Promise.resolve(1),
  buffer: () => Buffer.from('bytes'),
  'empty buffer': () => Buffer.alloc(0),
  uint8array: () => new Uint8Array([0, 255]),
  float64array: () => new Float64Array([1.5]),
  dataview: () => new DataView(new ArrayBuffer(2)),
  arraybuffer: () => new ArrayBuffer(3),
  sharedarraybuffer: () => new SharedArrayBuffer(3),
  'detached view': () => {
    const view = new Uint8Array(4)
    structuredClone(view.buffer, { transfer: [view.buffer] })
    return view
  },
  formdata: () => {
    const form = new FormData()
    form.append('a', 'b')
    return form
  },
  blob: () => new Blob(['blob']),
  urlsearchparams: () => new URLSearchParams('a=1&a=2'),
  headers: () => new Headers({ a: 'b' }),
  url: () => new URL('https://example.com/'),
  'boxed string': () => new String('text'),
  'boxed number': () => new Number(5),
  'boxed boolean': () => new Boolean(false),
  'boxed symbol': () => Object(Symbol('s')),
  'class instance': () =>
    new (class Point {
      x = 1
      get y() {
        return 2
      }
    })(),
  'null prototype': () => Object.assign(Object.create(null), { a: 1 }),
  inherited: () => Object.create({ a: 1, username: 'u', password: 'p' }),
  frozen: () => Object.freeze({ a: Object.freeze([1]) }),
  nested: () => ({ a: { b: [{ c: { d: [[[1]]] } }] }, e: undefined, f: () => 1, g: Symbol('g') }),
  shared: () => {
    const part = { a: 1 }
    return { one: part, two: [part, part] }
  },
  getter: () => ({
    get a() {
      return 1
    },
  }),
  proxy: () => new Proxy({ a: 1 }, {}),
  'symbol key': () => ({ [Symbol('k')]: 1 }),
  'proto key': () => JSON.parse('{"__proto__": {"a": 1}}'),
  'toJSON of a number': () => ({ toJSON: () => 5 }),
  'toJSON of a string': () => ({ toJSON: () => 'text' }),
  'toJSON of null': () => ({ toJSON: () => null }),
  'toJSON of undefined': () => ({ toJSON: () => undefined }),
  'toJSON of a function': () => ({ toJSON: () => () => 1 }),
  'a member named toJSON': () => ({ toJSON: 'no function' }),
  arguments: () =>
    (function () {
      return arguments
    })(1, 2),
  'own tag': () => ({ [Symbol.toStringTag]: 'Odd', a: 1 }),
  credentials: () => ({ username: 'u', password: 'p' }),
  'credentials and more': () => ({ username: '', password: '', extra: { more: 1 } }),
  'user name alone': () => ({ username: 'u' }),
  'password alone': () => ({ password: 'p' }),
  'numeric password': () => ({ username: 'u', password: 5 }),
  'null user name': () => ({ username: null, password: 'p' }),
}

/** The members of each destination that some checker looks at, with a value that all accept. */
export const FIELDS = {
  http: {
    method: 'POST',
    url: 'http://127.0.0.1:9/',
    auth: { username: 'u', password: 'p' },
    data: { a: 1 },
    headers: { a: 'b' },
    params: { a: 1 },
    timeout: 100,
    body: undefined,
  },
  email: { subject: 's', text: 't', html: '<p>', include_collaborators: true, to: undefined },
  s3: { bucket: 'b', prefix: 'p/', payload: { a: 1 } },
  sql: { table: 't', payload: { a: 1 } },
  sse: { channel: 'c', payload: { a: 1 } },
  emit: { raw_event: { a: 1 }, event: { a: 1 } },
}

/** Ways to hold the same members, in some of which reading is not simple. */
const HOLDERS = {
  plain: (members) => ({ ...members }),
  'null prototype': (members) => Object.assign(Object.create(null), members),
  inherited: (members) => Object.create(members),
  'class instance': (members) => Object.assign(new (class Config {})(), members),
  frozen: (members) => Object.freeze({ ...members }),
  getters: (members) =>
    Object.defineProperties(
      {},
      Object.fromEntries(
        Object.entries(members).map(([key, value]) => [
          key,
          { get: () => value, enumerable: true },
        ]),
      ),
    ),
  'not enumerable': (members) =>
    Object.defineProperties(
      {},
      Object.fromEntries(Object.entries(members).map(([key, value]) => [key, { value }])),
    ),
  proxy: (members) => new Proxy({ ...members }, {}),
  'unknown keys': (members) => ({ ...members, agent: { f() {} }, n: 1n, s: Symbol('s') }),
  'a cycle in an unknown key': (members) => {
    const config = { ...members }
    return Object.assign(config, { self: config })
  },
  'a throwing getter in an unknown key': (members) =>
    Object.defineProperty({ ...members }, 'unknown', {
      enumerable: true,
      get() {
        throw new Error('never read')
      },
    }),
  'throwing getters where warnings look': (members) => {
    class Trap {}
    for (const key of ['json', 'form', 'validateStatus', 'cc', 'bcc', 'attachments', 'replyTo']) {
      Object.defineProperty(Trap.prototype, key, {
        get() {
          throw new Error('never read')
        },
      })
    }
    return Object.assign(new Trap(), members)
  },
  'own toJSON': (members) => ({ ...members, toJSON: () => 5 }),
  'a Map with members': (members) => Object.assign(new Map(), members),
  'a function with members': (members) => Object.assign(() => 1, members),
  'an array with members': (members) => Object.assign([], members),
  'odd values elsewhere': (members) => ({ ...members, x: NaN, y: undefined, z: new WeakMap() }),
}

/**
 * Every call of the corpus: one odd value in each place, two odd values in each pair of places, each
 * way to hold them, and what is no object at all.
 *
 * @param {keyof typeof FIELDS} name
 * @returns {Generator<{ label: string, make: () => unknown }>}
 */
export function* calls(name) {
  const fields = FIELDS[name]
  for (const [label, make] of Object.entries(VALUES)) yield { label, make }
  for (const [holder, hold] of Object.entries(HOLDERS)) {
    yield { label: `${holder}: all`, make: () => hold(fields) }
    for (const field of Object.keys(fields)) {
      const without = () => hold(omit(fields, field))
      yield { label: `${holder}: no ${field}`, make: without }
      for (const [kind, value] of Object.entries(VALUES)) {
        const make = () => hold({ ...fields, [field]: value() })
        yield { label: `${holder}: ${field} = ${kind}`, make }
      }
    }
  }
  yield* pairs(fields)
}

/** @param {Record<string, unknown>} fields */
function* pairs(fields) {
  const names = Object.keys(fields)
  for (const [place, one] of names.entries()) {
    for (const two of names.slice(place + 1)) {
      for (const [kind, value] of Object.entries(VALUES)) {
        for (const [other, otherValue] of Object.entries(VALUES)) {
          const make = () => ({ ...fields, [one]: value(), [two]: otherValue() })
          yield { label: `${one} = ${kind}, ${two} = ${other}`, make }
        }
      }
    }
  }
}

/**
 * @param {Record<string, unknown>} fields
 * @param {string} field
 */
function omit(fields, field) {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => name !== field))
}
