// A call as a command of curl.

import type { Call } from '../types.ts'

/** Headers that curl sets itself. */
const OWN = new Set([
  'content-length',
  'host',
  'connection',
  'transfer-encoding',
  'accept-encoding',
])

/** Returns the command; secrets are variables of the shell, to be set before. */
export function curlOf(call: Call): string {
  const { method, url, headers, body, bodyEncoding, truncated } = call.request
  // Brackets and braces in a URL are its own.
  const lines = [`curl -g -X ${quoted(method ?? 'GET')} ${quoted(url ?? '')}`]
  for (const [name, values] of Object.entries(headers ?? {})) {
    if (OWN.has(name.toLowerCase())) continue
    for (const value of [values].flat()) {
      lines.push(`-H ${quoted(`${name}: ${value}`, variableOf(name))}`)
    }
  }
  const isBinary = bodyEncoding === 'base64'
  if (isBinary) lines.push('--data-binary @-')
  else if (typeof body === 'string' && body !== '') lines.push(`--data-raw ${quoted(body)}`)
  const command = lines.join(' \\\n  ')
  const whole = isBinary ? `base64 -d <<< ${quoted(String(body))} | ${command}` : command
  return truncated ? `# The log has only the beginning of the body.\n${whole}` : whole
}

function variableOf(name: string): string {
  return name
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, '_')
    .replace(/^(?=\d)/, '_')
}

/** Returns a word of the shell; what is redacted becomes a variable. */
function quoted(text: string, variable = 'SECRET'): string {
  const parts = text.split(/\[redacted\]|%5Bredacted%5D/i)
  const words = parts.map((part) => `'${part.replaceAll("'", String.raw`'\''`)}'`)
  return words.join(`"$${variable}"`)
}
