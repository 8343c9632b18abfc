// The Inspector: the time until its lists are on the screen, and what an open page costs the engine.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { browserPath } from '../../scripts/browser.mjs'
import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { counted, startLoadServer } from '../servers/load.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const DELIVERIES = 1_000_000
const REQUESTS = 200_000
const WARM_UP = 4_000

export async function page(settings) {
  if (!(await isBuilt(settings.entry))) return { details: [], figures: [] }
  const server = await startLoadServer(settings)
  try {
    const throughput = await throughputs(server, settings)
    const paints = browserPath() ? await paint(server, settings) : undefined
    if (!paints) console.error('# Chromium is missing: node scripts/browser.mjs')
    return resultOf(throughput, paints)
  } finally {
    await server.stop()
  }
}

function throughputs(server, { entry, rounds }) {
  const argument = { entry, url: server.url, requests: REQUESTS, warmUp: WARM_UP, callsEach: 10 }
  const run = (pages) => () =>
    counted(server, 'dollar-send', () => runCandidate('deliveries.mjs', { ...argument, pages }))
  return interleave(rounds, { without: run(0), with: run(1) })
}

async function paint(server, { entry }) {
  const parent = mkdtempSync(join(tmpdir(), 'dollar-send-page-'))
  try {
    const dataDir = join(parent, 'data')
    const argument = { entry, url: server.url, deliveries: DELIVERIES, dataDir }
    const options = { timeoutMs: 20 * 60_000 }
    return await runCandidate('painted.mjs', argument, undefined, options)
  } finally {
    rmSync(parent, { recursive: true, force: true })
  }
}

const perSecond = ({ requests, elapsedMs }) => requests / (elapsedMs / 1000)

function resultOf(throughput, paints) {
  const [bare, open] = [throughput.without.map(perSecond), throughput.with.map(perSecond)]
  const lists = { runs: paints?.runs, calls: paints?.calls }
  return {
    details: [
      detail('throughput with a server, no page', 'req/s', bare),
      detail('throughput with an open page', 'req/s', open),
    ],
    figures: [
      ...Object.entries(lists).map(([name, ms]) =>
        figure(`first rows of the ${name} of 1,000,000 deliveries`, '<=', 300, 'ms', ms),
      ),
      figure('throughput with an open page / without', '>=', 0.97, 'x', pairedRatios(open, bare)),
    ],
  }
}
