// The server under load, and the check that it saw exactly what a candidate claims to have sent.

import { hyperClientOf } from '../hyper-client.mjs'
import { startFallback } from './fallback.mjs'
import { startNginx } from './nginx.mjs'

export async function startLoadServer(settings) {
  return (await startNginx()) ?? (await startFallback(await hyperClientOf(settings)))
}

/** Runs one round and refuses it when the server counted another number of requests. */
export async function counted(server, name, run) {
  const before = await server.requestCount()
  const result = await run()
  // The second look is itself a request.
  const seen = (await server.requestCount()) - before - 1
  const claimed = result.requests + result.warmUp
  if (seen !== claimed)
    throw new Error(`${name} claims ${claimed} requests, the server saw ${seen}`)
  return result
}
