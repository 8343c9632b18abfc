// The pages of the lists: their addresses and their size.

import type { Parameters } from '../api.ts'
import { getEarly } from '../api.ts'
import { place } from '../route.ts'

export const PAGE_SIZE = 50

export const RUNS = 'v1/executions'
export const CALLS = 'v1/deliveries'

/** Returns the parameters of a page of a list. */
export function pageOf(q: string, after?: string): Parameters {
  return { search: q || undefined, limit: PAGE_SIZE, after }
}

/** Asks for the first page of the list that the address names, while the rest of the page loads. */
export function askEarly(): void {
  const { screen, run, q } = place.peek()
  if (run === '' && (screen === 'runs' || screen === 'calls')) {
    getEarly(screen === 'runs' ? RUNS : CALLS, pageOf(q))
  }
}
