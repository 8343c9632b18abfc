// The pages of the lists: their addresses and their size.

import type { Parameters } from '../api.ts'
import { getEarly } from '../api.ts'
import { number, plural } from '../format.ts'
import { place } from '../route.ts'
import type { PageInfo } from '../types.ts'

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

/** The number of rows of a list. */
export interface Total {
  count: number
  /** True if there are more, which are not counted. */
  isMore: boolean
}

/** Returns the number of rows of a list; undefined for that of a search, which is not counted. */
export function totalOf({ total_count, total_above }: PageInfo): Total | undefined {
  const count = total_count ?? total_above ?? undefined
  return count === undefined ? undefined : { count, isMore: typeof total_above === 'number' }
}

/** Returns a number of rows in words, such as `10,000+ calls`. */
export function totalText(total: Total | undefined, noun: string): string {
  if (total === undefined) return ''
  return total.isMore ? `${number(total.count)}+ ${noun}s` : plural(total.count, noun)
}
