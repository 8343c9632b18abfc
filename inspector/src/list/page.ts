// The pages of the lists: their addresses and their size.

import type { Parameters } from '../api.ts'
import { get, getEarly } from '../api.ts'
import { number, plural } from '../format.ts'
import { place } from '../route.ts'
import type { Call, Page, PageInfo, ReplayDetail } from '../types.ts'

export const PAGE_SIZE = 50

export const RUNS = 'v1/executions'
export const CALLS = 'v1/deliveries'

/** Returns the parameters of a page of a list. */
export function pageOf(q: string, after?: string): Parameters {
  return { search: q || undefined, limit: PAGE_SIZE, after }
}

/** Reads a page of the calls that a replay made, in its order. */
export async function replayedPage(
  id: string,
  after: string | undefined,
  abort: AbortSignal,
): Promise<Page<Call>> {
  const offset = Number(after ?? 0)
  const path = `v1/replays/${encodeURIComponent(id)}`
  const { data } = await get<{ data: ReplayDetail }>(path, { offset, limit: PAGE_SIZE }, abort)
  const ids = data.deliveries.map((delivery) => delivery.id)
  const rows =
    ids.length > 0
      ? (await get<Page<Call>>(CALLS, { ids: ids.join(), limit: PAGE_SIZE }, abort)).data
      : []
  const place = new Map(ids.map((one, index) => [one, index]))
  rows.sort((a, b) => (place.get(a.id) ?? 0) - (place.get(b.id) ?? 0))
  const isLast = offset + ids.length >= data.replay.replayed
  const end = isLast ? null : String(offset + ids.length)
  const info = { total_count: data.replay.replayed, count: ids.length, end_cursor: end }
  return { page_info: info, data: rows }
}

/** Asks for the first page of the list that the address names, while the rest of the page loads. */
export function askEarly(): void {
  const { screen, run, q, replayed } = place.peek()
  if (run === '' && replayed === '' && (screen === 'runs' || screen === 'calls')) {
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
