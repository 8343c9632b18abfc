// Tables do not depend on the order of their rows, nor on how these fell into batches.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomOf } from '../support/random.mjs'
import { openWarehouse } from '../support/sql.mjs'

test('rows in any order and any batches are the same table', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  t.diagnostic(`seed ${seed}`)
  const random = randomOf(seed)
  const pick = (/** @type {any[]} */ from) => from[Math.floor(random() * from.length)]
  /** @param {number} depth @returns {any} */
  const value = (depth) =>
    pick([
      () => pick([null, true, 1, -2.5, 'x', '2021-01-01', '2021-01-01 10:00:00', '']),
      () => pick([1, 2, 3]),
      () => (depth > 2 ? 1 : Array.from({ length: random() * 3 }, () => value(depth + 1))),
      () => (depth > 2 ? 'deep' : object(depth + 1)),
    ])()
  /** @param {number} depth @returns {any} */
  const object = (depth) =>
    Object.fromEntries(
      Array.from({ length: random() * 4 }, () => [pick(['a', 'b', 'c']), value(depth)]),
    )
  const { load, types, rows } = await openWarehouse(t)
  for (let round = 0; round < 8; round++) {
    const all = Array.from({ length: 12 }, (_, id) => ({ id, ...object(0) }))
    await load(`whole${round}`, all)
    for (let rest = [...all].sort(() => random() - 0.5); rest.length > 0;) {
      await load(`parts${round}`, rest.splice(0, 1 + Math.floor(random() * 4)))
    }
    const sorted = (/** @type {object} */ described) =>
      Object.entries(described).map(shapeOf).sort()
    assert.deepEqual(sorted(await types(`parts${round}`)), sorted(await types(`whole${round}`)))
    const [{ n }] = await rows(`SELECT count(DISTINCT id) AS n FROM parts${round}`)
    assert.equal(n, all.length)
    await sameScalars(rows, round, all)
  }
})

/** A column, its fields in any order. @param {[string, string]} column */
function shapeOf([name, type]) {
  return `${name} ${type
    .split(/[(), ]+/)
    .sort()
    .join(' ')}`
}

/**
 * Texts of plain values are the same whenever they came.
 *
 * @param {(query: string) => Promise<any[]>} rows
 * @param {number} round
 * @param {any[]} all
 */
async function sameScalars(rows, round, all) {
  for (const key of ['a', 'b', 'c']) {
    const plain = all.filter(
      (row) => key in row && (row[key] === null || typeof row[key] !== 'object'),
    )
    if (plain.length === 0) continue
    const found = await rows(
      `SELECT id, CAST(w.${key} AS VARCHAR) AS w, CAST(p.${key} AS VARCHAR) AS p
       FROM whole${round} w JOIN parts${round} p USING (id) WHERE id IN (${plain.map(({ id }) => id)})`,
    )
    for (const { id, w, p } of found) {
      const given = all.find((row) => row.id === id)?.[key]
      assert.equal(p, w, `round ${round}, ${key} of ${id}: ${JSON.stringify(given)}`)
    }
  }
}
