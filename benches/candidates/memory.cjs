// One round of memory: what a fresh process grows by while it records calls that nobody completes.

const { entry, call, executions, callsEach, warmUpCalls } = JSON.parse(process.argv[2])
const { Engine } = require(entry)

function record(engine, count) {
  const execution = engine.execution({ workflowId: 'p_bench' })
  const { $send } = execution.step('notify')
  for (let index = 0; index < count; index++) $send.http(call)
  return execution
}

const settle = async () => {
  globalThis.gc()
  await new Promise((resolve) => setTimeout(resolve, 20))
  globalThis.gc()
  return process.memoryUsage()
}

async function main() {
  const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })
  // Text alone brings V8's young generation to its full size: that belongs to any busy process.
  for (let index = 0; index < warmUpCalls * 20; index++) JSON.stringify(call)
  const kept = [record(engine, warmUpCalls)]
  const before = await settle()
  for (let index = 0; index < executions; index++) kept.push(record(engine, callsEach))
  const after = await settle()
  const calls = executions * callsEach
  const grown = (of) => (of(after) - of(before)) / calls
  const result = { calls, rss: grown((usage) => usage.rss), heap: grown((usage) => usage.heapUsed) }
  if (kept.length !== executions + 1) throw new Error('lost an execution')
  console.log(JSON.stringify(result))
  process.exit(0)
}

main()
