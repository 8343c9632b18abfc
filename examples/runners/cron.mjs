// A scheduled workflow, like Pipedream's schedule source: the event contains the time.

import { Cron } from 'croner'

import { runWorkflow } from 'dollar-send'

/** Runs the workflow at the times of the pattern. While a run is in progress, further times are skipped. */
export function schedule(engine, workflow, pattern, event = {}) {
  return new Cron(pattern, { protect: true }, async (job) => {
    const timestamp = Math.floor(Date.now() / 1000)
    const { status, error } = await runWorkflow(engine, workflow, {
      ...event,
      timestamp,
      cron: job.getPattern(),
    })
    if (status === 'threw') console.error(error)
  })
}
