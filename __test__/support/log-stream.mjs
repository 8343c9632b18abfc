// A client of the stream of the log.

/**
 * Opens the stream. `next` resolves to the next event, `undefined` at the end.
 *
 * @param {import('node:test').TestContext} t
 * @param {string} url
 * @param {Record<string, string>} [headers]
 */
export async function follow(t, url, headers = {}) {
  const controller = new AbortController()
  t.after(() => controller.abort())
  const response = await fetch(`${url}/log/stream`, { headers, signal: controller.signal })
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader()
  const decoder = new TextDecoder()
  let text = ''
  const next = async () => {
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end >= 0) {
        const frame = text.slice(0, end)
        text = text.slice(end + 2)
        const [, type, data] = /^event: (\w+)\ndata: (.*)$/.exec(frame) ?? []
        if (type) return { type, data: JSON.parse(data) }
        continue
      }
      const { done, value } = await reader.read()
      if (done) return undefined
      text += decoder.decode(value, { stream: true })
    }
  }
  return { response, next, end: () => controller.abort() }
}
