// The figures of `/overview`.

import { quoted } from '../search/language.ts'

export interface Figures {
  delivered: number
  failed: number
  p50?: number | null
  p95?: number | null
}

export interface Hour extends Figures {
  time: string
  statuses: Record<string, number>
}

export interface Host extends Figures {
  host: string
  /** The name of the destination, if there is no host. */
  destination?: string | null
}

export interface Stream {
  workflowId: string
  followers: number
  kept: number
}

/** A queue; for `http` it is the origin of the URL. */
export interface QueueFigures {
  destination: string
  queue: string
  waiting: number
}

export interface Overview {
  since: string
  hours: Hour[]
  hosts: Host[]
  waiting: number
  oldestWaitingAt?: string | null
  sampled: boolean
  queues: QueueFigures[]
  streams: Stream[]
}

const HOUR_MS = 3_600_000

/** Returns every known hour of a period in order, those without deliveries too. */
export function allHours({ since, hours, sampled }: Overview, now: number): Hour[] {
  const byTime = new Map(hours.map((hour) => [startOfHour(Date.parse(hour.time)), hour]))
  const found: Hour[] = []
  // Of a sample, nothing is known of the hours before it.
  const first = sampled && byTime.size > 0 ? Math.min(...byTime.keys()) : Date.parse(since)
  for (let at = startOfHour(first); at <= now; at += HOUR_MS) {
    const empty = { time: new Date(at).toISOString(), delivered: 0, failed: 0, statuses: {} }
    found.push(byTime.get(at) ?? empty)
  }
  return found
}

function startOfHour(ms: number): number {
  return ms - (ms % HOUR_MS)
}

/** Returns the responses of all hours by the class of their status. */
export function statusesOf(hours: Hour[]): [string, number][] {
  const sums = new Map<string, number>()
  for (const { statuses } of hours) {
    for (const [name, count] of Object.entries(statuses)) {
      sums.set(name, (sums.get(name) ?? 0) + count)
    }
  }
  return [...sums].sort()
}

/** Returns the search that finds the calls to a host, or to a destination without hosts. */
export function searchFor({ host, destination }: Pick<Host, 'host' | 'destination'>): string {
  return destination ? `destination:${quoted(destination)}` : `host:${quoted(host)}`
}

/** Calls that wait for a host, or for a destination without hosts. */
export interface Waiting {
  place: Pick<Host, 'host' | 'destination'>
  count: number
}

/** Returns the calls that wait, by the search that finds them. */
export function waitingByHost({ queues }: Overview): Map<string, Waiting> {
  const sums = new Map<string, Waiting>()
  for (const { destination, queue, waiting } of queues) {
    const isUrl = URL.canParse(queue)
    const place = isUrl ? { host: new URL(queue).host } : { host: destination, destination }
    const search = searchFor(place)
    sums.set(search, { place, count: (sums.get(search)?.count ?? 0) + waiting })
  }
  return sums
}
