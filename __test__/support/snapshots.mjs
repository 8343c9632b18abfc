// Data whose snapshot must be what JSON.stringify makes of it: functions that make it, in groups. What
// a group has is recorded in a thread of its own, because a thread tells few shapes apart at one place.

import { runInNewContext } from 'node:vm'

import { randomOf } from './random.mjs'

class Point {
  x = 1
  get y() {
    return 2
  }
}

const hidden = (of, key, value) => Object.defineProperty(of, key, { value })

/** Values under the same key, so that all are members of one shape. */
const members = (values) => values.map((value) => () => ({ before: 1, value: value(), after: 'a' }))

const deep = (levels) => (levels === 0 ? 1 : { next: deep(levels - 1), list: [levels] })
const wide = (length) => () => ({ list: Array.from({ length }, (_, index) => index) })
const long = (length) => () => ({ text: 'x'.repeat(length) })

function numbers() {
  const draw = randomOf(1)
  const bits = new DataView(new ArrayBuffer(8))
  const drawn = Array.from({ length: 1500 }, () => {
    bits.setUint32(0, draw() * 2 ** 32)
    bits.setUint32(4, draw() * 2 ** 32)
    return bits.getFloat64(0)
  })
  const edges = [0, -0, 1, -1, 0.1, 1e21, 1e-7, 123456789012345680000, 5e-324, 2 ** 53, -(2 ** 53)]
  const near = [
    2 ** 53 - 1,
    2 ** 53 + 2,
    2 ** 63,
    -(2 ** 63),
    2 ** 64,
    Number.MAX_VALUE,
    1e15 + 0.5,
  ]
  return [() => ({ edges, near, none: [NaN, Infinity, -Infinity] }), () => ({ drawn }), () => drawn]
}

function units() {
  const all = Array.from({ length: 0x10000 }, (_, unit) => String.fromCharCode(unit))
  const rows = Array.from({ length: 64 }, (_, row) => all.slice(row * 1024, (row + 1) * 1024))
  return [
    ...rows.map((row) => () => ({ row })),
    ...rows.map((row) => () => ({ text: row.join('') })),
  ]
}

/** Few shapes, with members of every type. */
function generated() {
  const draw = randomOf(2)
  const pick = (list) => list[Math.floor(draw() * list.length)]
  const texts = [
    '',
    'plain',
    'ä',
    '"',
    '\\',
    'line\nbreak',
    '\ud800',
    '🚀',
    '{}',
    'a,b',
    '</script>',
  ]
  const leaves = [
    () => pick(texts).repeat(Math.floor(draw() * 4)),
    () => Math.floor(draw() * 1000),
    () => (draw() - 0.5) * 10 ** Math.floor(draw() * 40 - 20),
    () => draw() < 0.5,
    () => null,
    () => undefined,
    () => new Date(Math.floor(draw() * 2e12)),
  ]
  const keys = [['id'], ['id', 'name'], ['name', 'id'], ['id', 'name', 'extra', '2'], []]
  const value = (levels) => {
    const kind = levels === 0 ? 0 : draw()
    const next = () => value(levels - 1)
    if (kind < 0.5) return pick(leaves)()
    if (kind < 0.65) return Array.from({ length: Math.floor(draw() * 5) }, next)
    return Object.fromEntries(pick(keys).map((key) => [key, next()]))
  }
  const data = Array.from({ length: 3000 }, () => ({ value: value(4), again: value(3) }))
  return data.map((one) => () => one)
}

function manyShapes() {
  const shape = (place) => ({ [`key${place}`]: place, text: `"${place}"`, list: [{ [place]: 1 }] })
  const many = Array.from({ length: 1500 }, (_, place) => () => ({
    outer: { [`own${place % 40}`]: { deep: shape(place) } },
    items: [shape(place), shape(place + 1), shape(place % 3)],
  }))
  return [...many, ...many.slice(0, 20)]
}

const keys = ['"', '\\', '\n', '\u0000', 'ä', '🚀', '\ud800', '', ' ', '2', '1', '-1', '1.5']
const inherited = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'length', '__proto__']
const withKey = (key) => () => JSON.parse(`{${JSON.stringify(key)}: {"a": 1}, "then": 2}`)

/** @type {Record<string, (() => unknown)[]>} */
export const SNAPSHOTS = {
  'numbers of every size': numbers(),
  'every UTF-16 unit': units(),
  'surrogates that must not meet': [
    () => ({ high: 'a\ud83d', low: '\ude00b', pair: '\ud83d\ude00' }),
    () => ({
      plain: 'plain',
      quoted: 'say "no"',
      lines: 'one\ntwo',
      path: 'C:\\x',
      after: 'plain',
    }),
  ],
  'keys that are escaped': keys.slice(0, 6).map(withKey),
  'keys like numbers, and none': keys.slice(6).map(withKey),
  'keys that every object inherits': inherited.map(withKey),
  'many keys, and long ones': [
    () => Object.fromEntries([...keys, ...inherited].map((key, place) => [key, place])),
    () => Object.fromEntries(Array.from({ length: 128 }, (_, key) => [`key${key}`, key])),
    () => Object.fromEntries(Array.from({ length: 129 }, (_, key) => [`key${key}`, key])),
    () => ({ ['k'.repeat(10_000)]: 1 }),
  ],
  'members that JSON leaves out': [
    () => ({ a: undefined, b: 1, e: undefined }),
    () => ({ a: undefined }),
    () => ({ b: undefined, a: [undefined, null] }),
    () => ({ b: 1, c: () => 1, d: Symbol('d') }),
    () => ({ a: [() => 1, Symbol('s')] }),
    () => ({ [Symbol('key')]: 1, a: 2 }),
    () => ({ sparse: Array(3), more: Object.assign([1], { 3: 4, extra: 5 }) }),
  ],
  'objects that are not plain': members([
    () => new Date(0),
    () => new Date(NaN),
    () => [Object('text'), Object(5), Object(false)],
    () => new Point(),
    () => Object.assign(Object.create(null), { a: 1 }),
    () => new Proxy({ a: 1 }, {}),
    () => new Proxy([1], {}),
    () => runInNewContext('({ a: [1, { b: 2 }], at: new Date(0) })'),
  ]),
  'objects that only seem plain': members([
    () => ({ constructor: Date, a: 1 }),
    () => ({ constructor: Object, a: 1 }),
    () => Object.create({ a: 1 }, { b: { value: 2, enumerable: true } }),
    () => Object.create({ b: 1 }),
    () => hidden({ a: 1 }, 'b', 2),
    () => hidden({ a: 1 }, 'constructor', Array),
    () => hidden(new Point(), 'constructor', Object),
  ]),
  'toJSON, which is told the key': members([
    () => ({ toJSON: (key) => `member ${key}` }),
    () => [{ toJSON: (key) => `item ${key}` }],
    () => hidden({ a: 1 }, 'toJSON', (key) => `hidden ${key}`),
    () => Object.assign(new Date(0), { toJSON: (key) => ({ key }) }),
    () => hidden(new Date(0), 'toJSON', () => 5),
    () => hidden([1], 'toJSON', () => 'list'),
    () => Object.create({ toJSON: () => 'inherited' }),
  ]),
  'more shapes than are told apart': manyShapes(),
  'depths around the limit': [29, 30, 31, 32, 33, 100, 500].map((levels) => () => deep(levels)),
  'long lists': [
    ...[2030, 2040, 2044, 2045, 2046, 2047, 2048, 4090, 4096, 5000].map(wide),
    () => ({ lists: Array.from({ length: 1400 }, () => [1]), text: 'behind' }),
    () => ({ lists: Array.from({ length: 2000 }, () => []), text: 'behind', number: 5 }),
  ],
  'texts around the room of a call': [
    ...[65_000, 65_480, 65_536, 70_000].map(long),
    () => ({ text: 'ä'.repeat(70_000), more: '"'.repeat(65_000) }),
  ],
  'generated data': generated(),
}
