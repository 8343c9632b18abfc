// The lists, filters and searches of a log with 1,000,000 deliveries.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { isBuilt, runCandidate } from '../children.mjs'
import { startLoadServer } from '../servers/load.mjs'
import { detail, figure } from '../table.mjs'

const DELIVERIES = 1_000_000
const BAR_MS = 50
const BY_KEY = 'one run, by its id'

export async function search(settings) {
  if (!(await isBuilt(settings.entry))) return { details: [], figures: [] }
  const server = await startLoadServer(settings)
  const parent = mkdtempSync(join(tmpdir(), 'dollar-send-search-'))
  try {
    const argument = { entry: settings.entry, url: server.url, deliveries: DELIVERIES }
    const dataDir = join(parent, 'data')
    const options = { timeoutMs: 20 * 60_000 }
    const { filledMs, indexedMs, medians } = await runCandidate(
      'searched.mjs',
      { ...argument, dataDir },
      undefined,
      options,
    )
    return {
      details: [
        detail('deliveries, 1,000,000', 's', [filledMs / 1000]),
        detail('until the index has them', 's', [(indexedMs - filledMs) / 1000]),
        ...Object.entries(medians).map(([name, ms]) => detail(name, 'ms', [ms])),
      ],
      figures: Object.entries(medians)
        .filter(([name]) => name !== BY_KEY)
        .map(([name, ms]) => {
          const ratio = (ms / medians[BY_KEY]).toFixed(1)
          return figure(`${name} (${ratio} x ${BY_KEY})`, '<=', BAR_MS, 'ms', [ms])
        }),
    }
  } finally {
    rmSync(parent, { recursive: true, force: true })
    await server.stop()
  }
}
