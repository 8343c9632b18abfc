// Numbers of the warehouse that become texts: `String(number)`, wherever they are and however the
// rows fell into batches.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomOf } from '../support/random.mjs'
import { openWarehouse } from '../support/sql.mjs'

const NUMBERS = [
  0, -0, 1, -1, 0.1, 1.5, 100, -2.5e-10, 1e15, 1e16, 123456789012345680000, 1e20, 1e21, 1.5e300, 1e-4,
  0.000123, 1e-5, 1.5e-5, -1e-6, 1e-7, 1.25e-7, 5e-324, 1.7976931348623157e308, 2 ** 53, 2 ** 63, 2 ** 64,
  1234567890123456800, -1234567890123456800, 9007199254740991, 2 ** 53 + 2, -(2 ** 53) - 2, 2 ** 60, 1e22, 0.30000000000000004, 1e100, 1e-100,
] // prettier-ignore

/** Numbers of all sizes: every pattern of bits, and of the sizes at which spellings change. */
function randomNumbers(/** @type {number} */ count) {
  const seed = Number(process.env.NUMBERS_SEED ?? Date.now() % 2 ** 32)
  console.log(`# NUMBERS_SEED=${seed}`)
  const random = randomOf(seed)
  const bits = new DataView(new ArrayBuffer(8))
  return Array.from({ length: count }, (_, n) => {
    if (n % 2 === 0) return (random() - 0.5) * 10 ** Math.floor(random() * 50 - 20)
    bits.setUint32(0, random() * 2 ** 32)
    bits.setUint32(4, random() * 2 ** 32)
    const number = bits.getFloat64(0)
    return Number.isFinite(number) ? number : n
  })
}

/** Rows in seven batches, of which one has the texts, too. @param {any[]} rows @param {any[]} texts */
function scattered(rows, texts) {
  const batches = Array.from({ length: 7 }, (_, batch) => rows.filter((_, n) => n % 7 === batch))
  batches[3].push(...texts)
  return batches
}

test('numbers become the texts that JavaScript writes, however they are batched', async (t) => {
  const { load, rows } = await openWarehouse(t)
  const numbers = [...NUMBERS, ...randomNumbers(2000)]
  const plain = numbers.map((n, place) => ({ place, n }))
  const nested = numbers.map((n, place) => ({ place, n: [{ v: n, "it's": { w: [n] } }] }))
  const inside = numbers.map((n, place) => ({ place, n: { v: n, l: [n] } }))
  const text = [{ place: -1, n: 'x' }]
  const inner = [{ place: -1, n: { v: 'x', l: ['x'] } }]
  for (const [
    table,
    batches,
    expected,
  ] of /** @type {Array<[string, any[][], (n: number) => any]>} */ ([
    ['together', [[...plain, ...text]], String],
    ['before', [text, plain], String],
    ['later', [plain, text], String],
    ['scattered', scattered(plain, text), String],
    ['scattered_inside', scattered(inside, inner), (n) => ({ v: String(n), l: [String(n)] })],
    ['nested', [nested, text], (n) => `[{"v":${n},"it's":{"w":[${n}]}}]`],
    ['nested_together', [[...nested, ...text]], (n) => `[{"v":${n},"it's":{"w":[${n}]}}]`],
    ['inside', [inside, inner], (n) => ({ v: String(n), l: [String(n)] })],
    ['inside_together', [[...inside, ...inner]], (n) => ({ v: String(n), l: [String(n)] })],
  ])) {
    for (const batch of batches) await load(table, batch)
    const found = await rows(`SELECT n FROM ${table} WHERE place >= 0 ORDER BY place`)
    const differing = found.flatMap(({ n }, place) => {
      const wanted = expected(numbers[place])
      try {
        assert.deepEqual(n, wanted)
        return []
      } catch {
        return [[n, wanted]]
      }
    })
    assert.deepEqual(differing.slice(0, 5), [], table)
    assert.equal(found.length, numbers.length)
  }
})
