// The reason why a call waits, in words.

import { signal } from '@preact/signals'

import { get } from '../api.ts'
import { clockTime } from '../format.ts'
import { holds, type Pause, pauseName, type Queues } from '../overview/pauses.ts'
import type { Call } from '../types.ts'

const pauses = signal<Pause[]>([])

/** Reads the pauses, if one of these calls may be held by one. */
export async function readPauses(calls: Call[]): Promise<void> {
  if (!calls.some(mayBeHeld)) return
  const { data } = await get<{ data: Queues }>('v1/queues')
  pauses.value = data.pauses
}

/** Returns the words after the state of a call; undefined if it has a time for its next attempt. */
export function reasonOf(call: Call): string | undefined {
  if (call.status === 'batched') return call.nextAttemptAt ? undefined : batchReason(call)
  if (!mayBeHeld(call)) return undefined
  const pause = pauseOf(call)
  if (pause?.all === true) return 'while everything is paused'
  if (pause) return `while ${pauseName(pause)} is paused`
  return call.nextAttemptAt ? undefined : 'for its turn'
}

/** Returns the pause that holds a call, as far as pauses were read. */
export function pauseOf(call: Call): Pause | undefined {
  return mayBeHeld(call) ? pauses.value.find((one) => holds(one, call)) : undefined
}

function batchReason({ dueAt }: Call): string {
  return dueAt ? `until ${clockTime(dueAt)}, or until it is full` : 'until it is full or old enough'
}

function mayBeHeld({ status }: Call): boolean {
  return status === 'pending'
}
