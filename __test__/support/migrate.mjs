// `dollar-send migrate` as a process, and data directories to move.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'
import { KEY } from './fleet.mjs'
import { PATIENCE_MS } from './patience.mjs'

const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

/**
 * Starts the command.
 *
 * @param {string} from
 * @param {string} to
 * @param {{ args?: string[], env?: Record<string, string>, cwd?: string }} [more]
 */
export function startMigrate(from, to, { args = [], env = {}, cwd } = {}) {
  const all = [MAIN, 'migrate', '--from', from, '--to', to, '--schema', 'fleet', ...args]
  const child = spawn(process.execPath, all, {
    cwd: cwd ?? from,
    env: { ...process.env, DOLLAR_SEND_JOURNAL_KEY: KEY, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE_MS,
  })
  const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
    ([[code, signal], stdout, stderr]) => ({ code, signal, stdout, stderr }),
  )
  return { kill: () => child.kill('SIGKILL'), ended }
}

/**
 * Runs the command.
 *
 * @param {Parameters<typeof startMigrate>} args
 */
export const migrate = (...args) => startMigrate(...args).ended

/**
 * Records executions in a data directory, whose calls wait there.
 *
 * @param {string} dataDir
 * @param {string[]} executionIds
 * @param {string[]} urls of the calls of each
 */
export async function recordIn(dataDir, executionIds, urls) {
  const engine = await Engine.open({ dataDir, deliver: false, egress: LOCAL })
  await Promise.all(
    executionIds.map((executionId) => {
      const execution = engine.execution({ workflowId: 'p_moved', executionId })
      const { $send } = execution.step('step')
      urls.forEach((url, call) => $send.http({ method: 'POST', url, data: { executionId, call } }))
      return execution.complete()
    }),
  )
  await engine.close({ timeoutMs: 0 })
}
