// The reason why a call waits, in words.

import { signal } from '@preact/signals'

import { get } from '../api.ts'
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
  if (call.status === 'batched') return 'until it is full or old enough'
  if (!mayBeHeld(call)) return undefined
  const pause = pauses.value.find((one) => holds(one, call))
  if (pause?.all === true) return 'while everything is paused'
  return pause ? `while ${pauseName(pause)} is paused` : 'for its turn'
}

function mayBeHeld({ status, nextAttemptAt }: Call): boolean {
  return status === 'pending' && nextAttemptAt === undefined
}
