// A task of graphile-worker: jobs in PostgreSQL, each a run. A task that throws is retried.

import { run } from 'graphile-worker'

import { runWorkflow } from 'dollar-send'

/** Starts a runner with one task, `run_workflow`; its payload is the event. */
export function startRunner(engine, workflow, options) {
  return run({
    ...options,
    taskList: {
      async run_workflow(event, { job }) {
        const own = { ...workflow, executionId: job.id, attempt: job.attempts }
        const { status, error } = await runWorkflow(engine, own, event)
        if (status === 'threw') throw error
      },
    },
  })
}
