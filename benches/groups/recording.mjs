// What a call costs the step that makes it.

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { example, exampleOfOneKib, exampleOfOneString } from '../examples.mjs'
import { median, pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const TURNS = { turns: 10, warmUpTurns: 12 }
const SHAPES = {
  example: { call: example(), batch: 10_000 },
  'order of 1 KiB': { call: exampleOfOneKib(), batch: 5_000 },
  'string of 1 KiB': { call: exampleOfOneString(), batch: 5_000 },
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
  // No bar names this shape: text that needs no work to snapshot shows what a call costs besides it.
  const ratio = detail(
    '$send.http against JSON.stringify, string of 1 KiB',
    'x',
    ratios(results['string of 1 KiB']),
  )
  return [...each, ratio]
}

function figuresOf(results) {
  return [
    figure(
      "$send.http against JSON.stringify, documents' example",
      '<=',
      2,
      'x',
      ratios(results.example),
    ),
    figure(
      '$send.http against JSON.stringify, 1 KiB',
      '<=',
      1.2,
      'x',
      ratios(results['order of 1 KiB']),
    ),
  ]
}

function ratios(rounds) {
  return rounds?.map((round) => median(pairedRatios(round.recordNs, round.stringifyNs)))
}
