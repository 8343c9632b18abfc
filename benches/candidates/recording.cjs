// One round of recording: `$send.http(call)` and `JSON.stringify(call)` kept in an array, turn about in
// one process, for the given calls one after the other. Both keep what they make; both are emptied, and
// the heap collected, between turns.

const { entry, calls, batch, turns, warmUpTurns } = JSON.parse(process.argv[2])
const { Engine } = require(entry)

const nanos = (start) => Number(process.hrtime.bigint() - start)

function stringify() {
  const kept = []
  globalThis.gc()
  const start = process.hrtime.bigint()
  for (let index = 0; index < batch; index++) {
    kept.push(JSON.stringify(calls[index % calls.length]))
  }
  const elapsed = nanos(start)
  if (kept.length !== batch) throw new Error('lost a string')
  return elapsed / batch
}

async function record(engine) {
  const execution = engine.execution({ workflowId: 'p_bench' })
  const { $send } = execution.step('notify')
  globalThis.gc()
  const start = process.hrtime.bigint()
  for (let index = 0; index < batch; index++) $send.http(calls[index % calls.length])
  const elapsed = nanos(start)
  execution.discard()
  // What is dropped is dropped in the background: not while the other one is measured.
  await engine.flush()
  return elapsed / batch
}

async function main() {
  const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })
  const result = { stringifyNs: [], recordNs: [] }
  for (let turn = 0; turn < warmUpTurns + turns; turn++) {
    // Turn about who goes first, so that neither always meets the other's garbage.
    const first = turn % 2 === 0 ? stringify() : undefined
    const recordNs = await record(engine)
    const stringifyNs = first ?? stringify()
    if (turn < warmUpTurns) continue
    result.stringifyNs.push(stringifyNs)
    result.recordNs.push(recordNs)
  }
  console.log(JSON.stringify(result))
  process.exit(0)
}

main()
