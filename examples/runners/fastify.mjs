// A webhook server with Fastify. Closing the app drains the deliveries.

import Fastify from 'fastify'

import { runWorkflow } from 'dollar-send'

/** Returns an app that runs the workflow for each POST to /hooks. */
export function createApp(engine, workflow) {
  const app = Fastify()
  app.post('/hooks', async (request, reply) => {
    const { status, response } = await runWorkflow(engine, workflow, request.body)
    const result = response ?? { status: status === 'threw' ? 500 : 200 }
    return reply
      .code(result.status ?? 200)
      .headers(result.headers ?? {})
      .send(result.body)
  })
  app.addHook('onClose', () => engine.close({ timeoutMs: 10_000 }))
  return app
}
