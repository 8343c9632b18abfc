// A process whose disk is watched. It marks each promise in the trace when it was made.
//
//   node crash-workload.mjs '{ "workload", "dataDir", "url", "seed", "marks" }'

import { openSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { Engine } from '../../js/index.mjs'
import { randomOf } from '../support/random.mjs'

/** The options of each workload, in the process and when its directory is opened after a crash. */
export const OPTIONS = {
  mixed: {
    log: { maxExecutionsPerWorkflow: 100_000 },
    s3: { batch: { intervalMs: 10, maxCount: 5 } },
  },
  migration: { log: { maxExecutionsPerWorkflow: 100_000 } },
  checkpoint: { log: { maxExecutionsPerWorkflow: 100_000 } },
  retention: { log: { maxExecutionsPerWorkflow: 3 } },
}

/**
 * @param {keyof typeof OPTIONS} workload
 * @param {string} dataDir
 */
export const optionsOf = (workload, dataDir) => ({
  dataDir,
  egress: { allow: ['127.0.0.0/8'] },
  ...OPTIONS[workload],
})

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(JSON.parse(process.argv[2]))

/** @param {{ workload: keyof typeof OPTIONS, dataDir: string, url: string, seed: number, marks: string }} settings */
async function main({ workload, dataDir, url, seed, marks }) {
  const random = randomOf(seed)
  const file = openSync(marks, 'a')
  const mark = (/** @type {string} */ line) => writeSync(file, line)
  for (let session = 0; session < 2; session++) {
    const engine = await Engine.open(optionsOf(workload, dataDir))
    const lanes = Array.from({ length: 3 }, (_, lane) => runLane(engine, `${session}-${lane}`))
    await Promise.all(lanes)
    if (random() < 0.7) await engine.flush({ timeoutMs: 30_000 })
    if (workload === 'mixed') await replay(engine)
    await engine.close({ timeoutMs: random() < 0.5 ? 0 : 30_000 })
  }

  /**
   * @param {Engine} engine
   * @param {string} name
   */
  async function runLane(engine, name) {
    const count = { mixed: 8, migration: 3, checkpoint: 14, retention: 14 }[workload]
    for (let n = 0; n < count; n++) {
      const id = `${name}-${n}`
      const execution = engine.execution({ workflowId: 'p', executionId: id })
      const { $send } = execution.step('step')
      const kinds = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, call) =>
        send($send, id, call),
      )
      if (random() < 0.2) await execution.flush()
      else await execution.complete()
      mark(`kept ${id} ${kinds.join(' ')}`)
    }
  }

  /**
   * @param {any} $send
   * @param {string} id
   * @param {number} call
   */
  function send($send, id, call) {
    if (workload === 'mixed' && random() < 0.4) {
      $send.s3({ bucket: 'b', prefix: random() < 0.5 ? 'a/' : 'b/', payload: { id, call } })
      return 's3'
    }
    const path = random() < 0.2 ? 'bad' : 'hook'
    // Enough for a checkpoint, which begins at 16 MiB.
    const data = workload === 'checkpoint' ? { id, call, text: noise(120_000) } : { id, call }
    $send.http({ method: 'POST', url: `${url}/${path}`, data })
    return 'http'
  }

  /** @param {number} length */
  function noise(length) {
    return Array.from({ length: length / 10 }, () => random().toString(36).slice(2, 12)).join('')
  }

  /** @param {Engine} engine */
  async function replay(engine) {
    const { replayed } = await engine.replay({ status: 'failed' })
    for (const { id } of replayed) mark(`replayed ${id}`)
  }
}
