// The table: one line per figure with the measured value, its bar and whether it holds.

import { median } from './statistics.mjs'

/**
 * A figure of the table.
 *
 * @param {string} name what is compared with what
 * @param {'<=' | '>='} sense which side of the bar is good
 * @param {number} bar
 * @param {string} unit
 * @param {number[] | undefined} samples one value per round; undefined when it could not be measured
 */
export function figure(name, sense, bar, unit, samples) {
  if (!samples) return { name, sense, bar, unit, verdict: 'NOT MEASURED' }
  const value = median(samples)
  const holds = sense === '<=' ? value <= bar : value >= bar
  return { name, sense, bar, unit, value, samples, verdict: holds ? 'pass' : 'MISS' }
}

/** An absolute number without a bar, printed above the table. */
export function detail(name, unit, samples) {
  return { name, unit, value: median(samples), samples }
}

export function detailLines(details) {
  const rows = details.map(({ name, unit, samples, value }) => [
    name,
    quantity(value, unit),
    spread(samples),
  ])
  return aligned([['absolute numbers', 'median', 'lowest … highest round'], ...rows])
}

export function tableLines(figures) {
  const rows = figures.map((row) => [
    row.name,
    row.value === undefined ? '–' : quantity(row.value, row.unit),
    `${row.sense === '<=' ? '≤' : '≥'} ${quantity(row.bar, row.unit)}`,
    row.verdict,
    row.samples ? spread(row.samples) : '',
  ])
  return [
    ...aligned([['figure', 'measured', 'bar', '', 'lowest … highest round'], ...rows]),
    '',
    tally(figures),
  ]
}

function tally(figures) {
  const count = (verdict) => figures.filter((row) => row.verdict === verdict).length
  return `${count('pass')} pass, ${count('MISS')} MISS, ${count('NOT MEASURED')} not measured`
}

function quantity(value, unit) {
  return `${short(value)} ${unit}`
}

function spread(samples) {
  return `${short(Math.min(...samples))} … ${short(Math.max(...samples))}`
}

/** Three significant digits; whole numbers from 100 on. */
function short(value) {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}

function aligned(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  )
}
