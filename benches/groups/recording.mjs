// The cost of a call to the step that makes it: the time beyond `JSON.stringify` of the same object.

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { example, exampleOfOneKib, exampleOfOneString, exampleOfTenShapes } from '../examples.mjs'
import { median, pairedDifferences } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const TURNS = { turns: 10, warmUpTurns: 12 }
const SHAPES = {
  example: { calls: [example()], batch: 10_000 },
  'ten shapes': { calls: exampleOfTenShapes(), batch: 10_000 },
  'order of 1 KiB': { calls: [exampleOfOneKib()], batch: 5_000 },
  'string of 1 KiB': { calls: [exampleOfOneString()], batch: 5_000 },
}

export async function recording(settings) {
  if (!(await isBuilt(settings.entry))) return { details: [], figures: figuresOf({}) }
  const candidates = Object.entries(SHAPES).map(([name, shape]) => [
    name,
    () => runCandidate('recording.cjs', { entry: settings.entry, ...shape, ...TURNS }),
  ])
  const results = await interleave(settings.rounds, Object.fromEntries(candidates))
  return { details: detailsOf(results), figures: figuresOf(results) }
}

function detailsOf(results) {
  const micros = (values) => median(values) / 1000
  const each = Object.entries(results).flatMap(([name, rounds]) => [
    detail(
      `$send.http, ${name}`,
      'µs',
      rounds.map((round) => micros(round.recordNs)),
    ),
    detail(
      `JSON.stringify and push, ${name}`,
      'µs',
      rounds.map((round) => micros(round.stringifyNs)),
    ),
  ])
  // No bar names this call: a text that needs no work to snapshot shows the cost of everything else.
  const text = detail(
    '$send.http above JSON.stringify, string of 1 KiB',
    'µs',
    above(results['string of 1 KiB']),
  )
  return [...each, text]
}

function figuresOf(results) {
  const bar = (what, most, name) =>
    figure(`$send.http above JSON.stringify, ${what}`, '<=', most, 'µs', above(results[name]))
  return [
    bar('the example', 0.3, 'example'),
    bar('ten shapes', 0.3, 'ten shapes'),
    bar('1 KiB', 0.5, 'order of 1 KiB'),
  ]
}

/** The time above `JSON.stringify` and push, in µs, one value per round. */
function above(rounds) {
  return rounds?.map((round) => median(pairedDifferences(round.recordNs, round.stringifyNs)) / 1000)
}
