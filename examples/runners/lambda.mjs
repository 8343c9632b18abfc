// A handler in the form of AWS Lambda (API Gateway, payload 2.0). The function is frozen after it
// returns, so recorded calls are flushed before.

import { Engine, runWorkflow } from 'dollar-send'

/** Opened by the first event; later events of the same instance share it. */
let opening

/** Returns a handler. Without a data directory, calls that are not flushed are lost with the instance. */
export function createHandler(workflow, options = {}) {
  return async (request, context) => {
    opening ??= Engine.open(options)
    const engine = await opening
    const text = request.isBase64Encoded ? Buffer.from(request.body, 'base64') : request.body
    const event = JSON.parse(String(text ?? '{}'))
    const own = { ...workflow, executionId: context.awsRequestId }
    const { status, response } = await runWorkflow(engine, own, event)
    // Leaves one second to send the response.
    const left = Math.max(context.getRemainingTimeInMillis() - 1000, 0)
    await engine.flush({ timeoutMs: left }).catch((error) => console.warn(error.message))
    const { status: statusCode = status === 'threw' ? 500 : 200, headers, body } = response ?? {}
    return { statusCode, headers, body: typeof body === 'string' ? body : JSON.stringify(body) }
  }
}
