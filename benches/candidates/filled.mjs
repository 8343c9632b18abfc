// A log with many deliveries. The texts: `/bench/ORDER` in each URL, a workflow of 100, and a step of 10.

const RUNNERS = 64
const WORKFLOWS = 100
const STEPS = 10
const FLUSH_TIMEOUT_MS = 600_000

/** Calls of one run. */
export const CALLS_EACH = 10

/** The options of an engine whose log holds so much, with a server. */
export const optionsOf = (dataDir) => ({
  dataDir,
  durability: 'os',
  egress: { allow: ['127.0.0.0/8'] },
  http: { perHostConcurrency: 64 },
  log: { maxExecutionsPerWorkflow: 1_000_000 },
  server: { port: 0 },
})

/** Makes deliveries, each to `url/order/NUMBER`. */
export async function fill(engine, url, deliveries) {
  let recorded = 0
  const runner = async () => {
    while (recorded < deliveries) {
      const number = recorded / CALLS_EACH
      const execution = engine.execution({
        workflowId: `p_${number % WORKFLOWS}`,
        executionId: `run-${number}`,
      })
      const { $send } = execution.step(`step_${number % STEPS}`)
      for (let calls = 0; calls < CALLS_EACH; calls++, recorded++)
        $send.http({ method: 'GET', url: `${url}/order/${recorded}` })
      await execution.complete()
      // It records faster than one host takes.
      await engine.ready()
    }
  }
  await Promise.all(Array.from({ length: RUNNERS }, runner))
  await engine.flush({ timeoutMs: FLUSH_TIMEOUT_MS })
}
