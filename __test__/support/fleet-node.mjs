// A node of a fleet: it records what its parent asks for, and says what was kept, delivered and settled.
//
//   node fleet-node.mjs '{ "journal", "http" }' < lines of { "executionId", "urls" }

import { createInterface } from 'node:readline'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'

const { journal, http } = JSON.parse(process.argv[2])
const engine = await Engine.open({ egress: LOCAL, journal, http })
const say = (/** @type {unknown[]} */ ...words) => console.log(words.join(' '))
engine.on('delivery', ({ executionId, index, status }) => say('ended', executionId, index, status))
say('open')
for await (const line of createInterface({ input: process.stdin })) {
  const { executionId, urls } = JSON.parse(line)
  record(executionId, urls).catch((error) => say('refused', executionId, error.code))
}
await engine.close({ timeoutMs: 5000 })
say('closed')

/**
 * @param {string} executionId
 * @param {string[]} urls
 */
async function record(executionId, urls) {
  const execution = engine.execution({ workflowId: 'p_fleet', executionId })
  const { $send } = execution.step('step')
  for (const url of urls) $send.http({ method: 'POST', url, data: { executionId } })
  await execution.complete()
  say('kept', executionId)
  const log = await execution.settled()
  say('settled', executionId, log.length, new Set(log.map(({ status }) => status)).size)
}
