// Runs the long forms of the tests under __test__/reliability, and writes docs/reliability.md from the
// results of all runs, which __test__/reliability/results.json keeps.
//
//   npm run test:long -- [name] [--count N] [--seed N]

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { losePower } from '../__test__/reliability/crash.mjs'
import { damageFiles } from '../__test__/reliability/damage.mjs'
import { failDisks } from '../__test__/reliability/faults.mjs'
import { disturbFleet } from '../__test__/reliability/fleet.mjs'
import { fuzz } from '../__test__/reliability/fuzz.mjs'
import { interleave } from '../__test__/reliability/interleavings.mjs'
import { balanceLedger } from '../__test__/reliability/ledger.mjs'
import { interpret } from '../__test__/reliability/miri.mjs'
import { simulate, simulateDeaths } from '../__test__/reliability/simulation.mjs'
import { disturbTime } from '../__test__/reliability/time.mjs'

/** @typedef {{ count: number, seed: number }} Settings */
/** @typedef {{ test: string, count: number, seed: number, date: string, commit: string, violations: number, note?: string }} Result */

/** @type {Record<string, { title: string, count: number, run(settings: Settings): Promise<string[]> }>} */
const TESTS = {
  crash: {
    title: 'losses of power',
    count: 10_000,
    run: async (settings) => (await losePower(settings)).violations,
  },
  damage: {
    title: 'damaged files',
    count: 1_000,
    run: async (settings) => (await damageFiles(settings)).violations,
  },
  deaths: { title: 'simulated deaths of processes', count: 6_000, run: simulateDeaths },
  faults: { title: 'failing disks', count: 5_000, run: failDisks },
  fleet: {
    title: 'faults of a fleet',
    count: 1_000,
    run: async (settings) => (await disturbFleet(settings)).violations,
  },
  fuzz: { title: 'inputs of a fuzzer', count: 50_000_000, run: fuzz },
  interleavings: { title: 'orders of the steps of threads', count: 50_000, run: interleave },
  ledger: {
    title: 'calls replayed from three sides between kills',
    count: 10_000,
    run: balanceLedger,
  },
  miri: { title: 'orders of threads under Miri', count: 64, run: interpret },
  simulation: { title: 'simulated engines', count: 50_000, run: simulate },
  time: { title: 'processes with disturbed time', count: 1_000, run: disturbTime },
}

const results = new URL('../__test__/reliability/results.json', import.meta.url)
const page = new URL('../docs/reliability.md', import.meta.url)

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { count: { type: 'string' }, seed: { type: 'string' } },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
process.removeAllListeners('warning')
let violated = 0
for (const name of positionals.length > 0 ? positionals : Object.keys(TESTS)) {
  const found = TESTS[name]
  if (!found)
    throw new Error(`there is no test ${name}; there are ${Object.keys(TESTS).join(', ')}`)
  const count = Number(values.count ?? found.count)
  const tested = commit()
  console.log(`${name}: ${count} ${found.title}, --seed ${seed}`)
  const violations = await found.run({ count, seed })
  for (const violation of violations) console.error(violation)
  console.log(`${name}: ${violations.length} violations`)
  violated += violations.length
  const result = { test: name, count, seed, date: today(), commit: tested }
  keep({ ...result, violations: violations.length })
}
process.exit(violated > 0 ? 1 : 0)

/** @param {Result} result */
function keep(result) {
  /** @type {Result[]} */
  const known = existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : []
  const all = [...known, result]
  writeFileSync(results, `[\n${all.map((each) => `  ${JSON.stringify(each)}`).join(',\n')}\n]\n`)
  writeFileSync(page, pageOf(all))
}

/** @param {Result[]} all */
function pageOf(all) {
  const head = [
    '# What was tested for reliability',
    '',
    'Written by `npm run test:long`, whose bounded forms are in `npm test`. Each line is one run; its seed repeats its choices, not the timing of its threads.',
    '',
  ]
  const names = ['test', 'count', 'first seed', 'date', 'commit', 'result']
  const rows = all.map(({ test, count, seed, date, commit, violations, note }) => [
    ...[`${TESTS[test]?.title ?? test} (\`${test}\`)`, count.toLocaleString('en'), String(seed)],
    ...[date, `\`${commit}\``, resultOf(violations, note)],
  ])
  const width = names.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at].length)))
  const line = (/** @type {string[]} */ cells) =>
    `| ${cells.map((cell, at) => cell.padEnd(width[at])).join(' | ')} |`
  const rule = `| ${width.map((length) => '-'.repeat(length)).join(' | ')} |`
  return [...head, line(names), rule, ...rows.map(line), ''].join('\n')
}

/**
 * @param {number} violations
 * @param {string} [note] what was found of them since
 */
function resultOf(violations, note) {
  if (violations === 0) return 'no violation'
  const counted = violations === 1 ? '1 violation' : `${violations} violations`
  return note ? `${counted}: ${note}` : counted
}

function today() {
  return new Date().toISOString().slice(0, 10)
}

function commit() {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
}
