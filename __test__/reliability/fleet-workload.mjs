// A node of a fleet that completes executions, one after the other in each of its lines, and says which it
// promised, until its process is killed or its input ends. `wait` and `go` in its input pause it.
//
//   node fleet-workload.mjs '{ "name", "lines", "hosts", "options" }'

import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from '../support/engine.mjs'

/** Milliseconds between two executions of a line. */
const PACE = 40

const { name, lines, hosts, options } = JSON.parse(process.argv[2])
const engine = await Engine.open({ egress: LOCAL, ...options })
const say = (/** @type {unknown[]} */ ...words) => console.log(words.join(' '))
let isEnded = false
let isHeld = false
say('open')
createInterface(process.stdin).on('line', (word) => (isHeld = word === 'wait'))
once(process.stdin, 'end').then(() => (isEnded = true))
await Promise.all(Array.from({ length: lines }, (_, line) => work(`${name}-${line}`)))
await engine.close({ timeoutMs: 60_000 })
say('closed')

/** Completes executions until the input ends. @param {string} line */
async function work(line) {
  for (let turn = 0; !isEnded; turn++) {
    await promise(line, turn)
    do await wait(PACE)
    while (isHeld && !isEnded)
  }
}

/**
 * Completes an execution: a call of `http` to each host, a row and a record. One that is refused is completed again.
 *
 * @param {string} line
 * @param {number} turn
 */
async function promise(line, turn) {
  const execution = engine.execution({ workflowId: 'fleet', executionId: `${line}-${turn}` })
  const { $send } = execution.step('step')
  for (const host of hosts) $send.http({ method: 'POST', url: host, data: { line, turn } })
  $send.sql({ table: 'rows', payload: { line, turn } })
  $send.s3({ bucket: 'bucket', prefix: 'fleet/', payload: { line, turn } })
  for (;;) {
    try {
      await execution.complete()
      return say('kept', line, turn)
    } catch (error) {
      const { code, message } = /** @type {any} */ (error)
      say('refused', line, turn, code, message)
      if (code !== 'ERR_SEND_JOURNAL') throw error
      await wait(PACE)
    }
  }
}
