// Pauses of the queues, and their names.

import { visible } from '../format.ts'
import type { Call } from '../types.ts'

export interface Queue {
  destination: string
  lane: string
  inFlight: number
  waiting: number
  breaker: 'closed' | 'open' | 'half-open'
  paused: boolean
}

export interface Pause {
  host?: string
  destination?: string
  workflowId?: string
  all?: boolean
  since: string
}

export interface Queues {
  queues: Queue[]
  pauses: Pause[]
}

/** The members of a request that names one pause. */
export type Target = Partial<Record<'host' | 'destination' | 'workflow_id' | 'all', string>>

/** Returns the target of a pause of a queue: the host for those of `http`, else the destination. */
export function queueTarget({ destination, lane }: Queue): Target {
  if (destination !== 'http' || !URL.canParse(lane)) return { destination }
  return { host: new URL(lane).host }
}

export function pauseTarget({ host, destination, workflowId }: Pause): Target {
  if (host !== undefined) return { host }
  if (destination !== undefined) return { destination }
  return workflowId === undefined ? { all: 'true' } : { workflow_id: workflowId }
}

export function pauseName({ host, destination, workflowId }: Pause): string {
  return visible(host ?? destination ?? workflowId ?? 'Everything')
}

/** Returns true if a pause keeps a call from being attempted. */
export function holds(pause: Pause, call: Call): boolean {
  if (pause.all === true) return true
  if (pause.workflowId !== undefined) return pause.workflowId === call.workflowId
  if (pause.destination !== undefined) return pause.destination === call.destination
  const url = urlOf(call)
  return url !== undefined && (pause.host === url.host || pause.host === url.hostname)
}

export function urlOf({ destination, request }: Call): URL | undefined {
  const { url } = request
  if (destination !== 'http' || typeof url !== 'string' || !URL.canParse(url)) return undefined
  return new URL(url)
}
