// A webhook server with `node:http`: the body is the event, `$.respond()` sets the response.

import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'

import { runWorkflow } from 'dollar-send'

/** Returns a server that runs the workflow for each POST. */
export function createWebhookServer(engine, workflow) {
  return createServer(async (request, response) => {
    const reply = ({ status = 200, headers = {}, body }) => {
      if (response.headersSent) return
      const isText = body === undefined || typeof body === 'string'
      response.writeHead(
        status,
        isText ? headers : { 'content-type': 'application/json', ...headers },
      )
      response.end(isText ? body : JSON.stringify(body))
    }
    try {
      const event = await json(request)
      // `$.respond({ immediate: true })` calls `respond` at once.
      const outcome = await runWorkflow(engine, { ...workflow, respond: reply }, event)
      // Deliveries continue in the background.
      reply(outcome.response ?? { status: outcome.status === 'threw' ? 500 : 200 })
    } catch (error) {
      reply({ status: error instanceof SyntaxError ? 400 : 500, body: error.message })
    }
  })
}
