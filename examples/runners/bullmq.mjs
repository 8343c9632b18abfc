// A BullMQ worker: each job is a run. An error of a step fails the job, and BullMQ retries it by the
// job's options. Calls that were recorded before the error are delivered.

import { Worker } from 'bullmq'

import { runWorkflow } from 'dollar-send'

/** Starts a worker that runs the workflow for each job of the queue; the job's data is the event. */
export function startWorker(engine, workflow, { queue, connection }) {
  return new Worker(
    queue,
    async (job) => {
      const run = { ...workflow, executionId: job.id, attempt: job.attemptsMade + 1 }
      const { status, error, returnValue, response } = await runWorkflow(engine, run, job.data)
      if (status === 'threw') throw error
      return { status, returnValue, response }
    },
    { connection },
  )
}
