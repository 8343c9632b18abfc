// The server's own count of requests: the witness that a delivery was not merely claimed.

const STARTS_WITHIN_MS = 10_000
const CLOSE = { headers: { connection: 'close' } }

/** Requests so far, this one included: the third number of the line `accepts handled requests`. */
export async function fetchRequestCount(url) {
  const text = await (await fetch(url, CLOSE)).text()
  return Number(/^\s*\d+ \d+ (\d+)\s*$/m.exec(text)[1])
}

export async function untilAnswering(url) {
  const deadline = Date.now() + STARTS_WITHIN_MS
  for (;;) {
    try {
      return await fetchRequestCount(url)
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`no answer from ${url}`, { cause: error })
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
