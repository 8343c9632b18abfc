// The search language: `name:value` terms and free text; quotes hold texts with spaces.

import { DESTINATIONS } from '../destinations.ts'

export const NAMES: Record<string, string> = {
  status: 'state, such as failed',
  host: 'host of the target',
  workflow: 'id of the workflow',
  code: 'error code',
  destination: 'http, email, s3, …',
  execution: 'id of the run',
  trigger: 'what began the run, such as /hooks/order',
  since: 'newer than, such as 2h',
  until: 'older than, such as 1d',
}

const VALUES: Record<string, string[]> = {
  status: ['failed', 'delivered', 'pending', 'in-flight', 'batched', 'discarded', 'recorded'],
  destination: DESTINATIONS,
  since: ['15m', '1h', '24h', '7d'],
  until: ['15m', '1h', '24h', '7d'],
  code: ['ERR_SEND_STATUS', 'ERR_SEND_TIMEOUT', 'ERR_SEND_CONNECT', 'ERR_SEND_DNS'],
}

const RUN_STATES = ['failed', 'completed', 'running', 'discarded']

export function quoted(value: string): string {
  return /[\s":]/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : value
}

/** Values that were seen in the list, for suggestions. */
const seen: Record<string, Set<string>> = {
  workflow: new Set(),
  host: new Set(),
  code: new Set(),
  trigger: new Set(),
}
const MAX_SEEN = 200

export function note(name: string, value: string | undefined): void {
  const values = seen[name]
  if (value !== undefined && values && values.size < MAX_SEEN) values.add(value)
}

export interface Suggestion {
  /** The whole text of the search, if it is taken. */
  text: string
  label: string
  hint: string
}

/** Returns what the last term may become. */
export function suggest(text: string, isRuns: boolean): Suggestion[] {
  const at = /\S*$/.exec(text)?.index ?? text.length
  const [before, word] = [text.slice(0, at), text.slice(at)]
  const [name = '', value] = word.split(/:(.*)/s)
  if (value === undefined) {
    const found = Object.entries(NAMES).filter(([known]) => known.startsWith(name.toLowerCase()))
    return found.map(([known, hint]) => ({
      text: `${before}${known}:`,
      label: `${known}:`,
      hint,
    }))
  }
  const own = name === 'status' && isRuns ? RUN_STATES : (VALUES[name] ?? [])
  const values = [...new Set([...own, ...(seen[name] ?? [])])]
  const wanted = value.replaceAll('"', '').toLowerCase()
  const fitting = values.filter((known) => known.toLowerCase().includes(wanted) && known !== wanted)
  return fitting.slice(0, 8).map((known) => ({
    text: `${before}${name}:${quoted(known)} `,
    label: known,
    hint: '',
  }))
}
