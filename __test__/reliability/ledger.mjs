// The long form of the ledger: as many calls as asked for, in the test's own process.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const SPEC = fileURLToPath(new URL('../durability/ledger.spec.mjs', import.meta.url))

/**
 * @param {{ count: number, seed: number }} settings calls, and the seed of the kills and failures
 * @returns {Promise<string[]>} what the test says if it fails
 */
export async function balanceLedger({ count, seed }) {
  const env = { ...process.env, LEDGER_CALLS: String(count), KILL_SEED: String(seed) }
  const stdio = /** @type {const} */ (['ignore', 'pipe', 'inherit'])
  const child = spawn(process.execPath, ['--test', '--test-reporter=tap', SPEC], { env, stdio })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  return code === 0 ? [] : [output]
}
