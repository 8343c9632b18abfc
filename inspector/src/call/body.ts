// Bodies as text.

/** Bodies beyond this are not formatted. */
const MAX_PRETTY = 300_000

/** Returns a body as it was sent, or as JSON where it is a value. */
export function rawOf(body: unknown): string {
  if (body === undefined || body === null) return ''
  return typeof body === 'string' ? body : JSON.stringify(body)
}

/** Returns JSON with indents; undefined for what is not JSON. */
export function prettyOf(body: unknown): string | undefined {
  if (typeof body !== 'string') return JSON.stringify(body, null, 2)
  if (body.length > MAX_PRETTY || !/^\s*[[{"]/.test(body)) return undefined
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return undefined
  }
}
