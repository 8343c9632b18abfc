// Runs the benchmarks and prints the table of figures. See README.md for what each one means.
//
//   node benches/main.mjs [GROUP]... [--rounds N] [--json FILE] [--package DIR] [--hyper-client FILE]

import { writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { batches } from './groups/batches.mjs'
import { clickhouse } from './groups/clickhouse.mjs'
import { durability } from './groups/durability.mjs'
import { fleet } from './groups/fleet.mjs'
import { follow } from './groups/follow.mjs'
import { https } from './groups/https.mjs'
import { isolation } from './groups/isolation.mjs'
import { memory } from './groups/memory.mjs'
import { page } from './groups/page.mjs'
import { postgres } from './groups/postgres.mjs'
import { recording } from './groups/recording.mjs'
import { scaling } from './groups/scaling.mjs'
import { search } from './groups/search.mjs'
import { startup } from './groups/startup.mjs'
import { streams } from './groups/streams.mjs'
import { throughput } from './groups/throughput.mjs'
import { warehouse } from './groups/warehouse.mjs'
import { machine, machineLine } from './machine.mjs'
import { detailLines, tableLines } from './table.mjs'

const GROUPS = {
  recording,
  throughput,
  https,
  memory,
  isolation,
  scaling,
  startup,
  durability,
  batches,
  streams,
  warehouse,
  postgres,
  clickhouse,
  fleet,
  search,
  page,
  follow,
}
const MINIMUM_ROUNDS = 5

const USAGE = `usage: node benches/main.mjs [${Object.keys(GROUPS).join(' | ')}]... [options]
  --rounds N           rounds of every comparison (default and least: ${MINIMUM_ROUNDS})
  --json FILE          also write the figures, with every round, to FILE
  --package DIR        measure the package in DIR instead of this one
  --hyper-client FILE  use this prebuilt hyper client instead of building it`

const OPTIONS = {
  rounds: { type: 'string', default: String(MINIMUM_ROUNDS) },
  json: { type: 'string' },
  package: { type: 'string', default: resolve(dirname(fileURLToPath(import.meta.url)), '..') },
  'hyper-client': { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
}

/** The command line as settings, or undefined when it makes no sense. */
function settingsOf(argv) {
  const parsed = parsedOf(argv)
  if (!parsed) return undefined
  const { values, positionals } = parsed
  const rounds = Number(values.rounds)
  const unknown = positionals.filter((name) => !(name in GROUPS))
  if (values.help || unknown.length > 0 || !(rounds >= MINIMUM_ROUNDS)) return undefined
  const names = positionals.length > 0 ? positionals : Object.keys(GROUPS)
  const entry = resolve(values.package, 'js/index.cjs')
  return { names, rounds, entry, json: values.json, hyperClient: values['hyper-client'] }
}

function parsedOf(argv) {
  try {
    return parseArgs({ args: argv, options: OPTIONS, allowPositionals: true })
  } catch (error) {
    console.error(error.message)
    return undefined
  }
}

/**
 * Runs the groups one after another; nothing else of this bench runs beside a measurement. A group that
 * breaks (a delivery failed, a server did not start) is told apart from one that misses its bar.
 */
async function measure(settings) {
  const report = { figures: [], details: [], broken: [] }
  for (const name of settings.names) {
    const started = Date.now()
    console.error(`# ${name} …`)
    try {
      const result = await GROUPS[name](settings)
      report.figures.push(...result.figures.map((figure) => ({ group: name, ...figure })))
      report.details.push(...result.details.map((detail) => ({ group: name, ...detail })))
    } catch (error) {
      console.error(error)
      report.broken.push({ group: name, message: error.message })
    }
    console.error(`# ${name} took ${((Date.now() - started) / 1000).toFixed(0)} s`)
  }
  return report
}

async function main() {
  const settings = settingsOf(process.argv.slice(2))
  if (!settings) {
    console.error(USAGE)
    process.exitCode = 2
    return
  }
  const where = machine()
  const report = await measure(settings)
  const broken = report.broken.map(({ group, message }) => `BROKEN ${group}: ${message}`)
  const lines = [
    machineLine(where),
    '',
    ...detailLines(report.details),
    '',
    ...tableLines(report.figures),
  ]
  console.log(['', ...lines, ...broken].join('\n'))
  if (settings.json) {
    const text = JSON.stringify({ machine: where, rounds: settings.rounds, ...report }, null, 2)
    await writeFile(settings.json, `${text}\n`)
  }
  if (broken.length > 0) process.exitCode = 1
}

await main()
