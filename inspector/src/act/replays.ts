// Replays that the engine makes: the open one, and those that go on behind the page.

import { computed, signal } from '@preact/signals'

import { ApiError, get, remove, sentenceOf } from '../api.ts'
import { number, plural } from '../format.ts'
import { onChange } from '../live.ts'
import { go, place } from '../route.ts'
import type { ReplayDetail, ReplayRun } from '../types.ts'

/** The replay that the address names. */
export interface OpenReplay {
  id: string
  run: ReplayRun | undefined
  /** The number of skipped calls for each reason. */
  reasons: Record<string, number>
  problem: string | undefined
  isCancelling: boolean
}

export const open = signal<OpenReplay | undefined>(undefined)

/** Replays that this page has seen under way, until the reader puts them away. */
const followed = signal<ReplayRun[]>([])
export const behind = computed(() => followed.value.filter(({ id }) => id !== open.value?.id))

/** The first and the longest time between two looks at a replay. */
const FIRST_MS = 40
const LAST_MS = 500

const afters = new Map<string, () => Promise<void>>()

/** Calls a function when a replay has ended. */
export function afterReplay({ id }: ReplayRun, after: () => Promise<void>): void {
  afters.set(id, after)
}

function change(id: string, part: Partial<OpenReplay>): void {
  if (open.value?.id === id) open.value = { ...open.value, ...part }
}

/** Returns a replay of which nothing is known yet. */
export function replayOf(id: string): OpenReplay {
  return { id, run: undefined, reasons: {}, problem: undefined, isCancelling: false }
}

/** Shows a replay, and looks at it until it ends or the result is called. */
export function watch(id: string): () => void {
  let isWatched = true
  open.value = replayOf(id)
  const look = async (wait: number) => {
    const isOver = await read(id)
    if (isWatched && !isOver) setTimeout(() => void look(Math.min(2 * wait, LAST_MS)), wait)
  }
  void look(FIRST_MS)
  return () => {
    isWatched = false
    if (open.value?.id === id) open.value = undefined
  }
}

/** Returns true if there is no more to see. */
async function read(id: string): Promise<boolean> {
  try {
    const path = `v1/replays/${encodeURIComponent(id)}`
    const { data } = await get<{ data: ReplayDetail }>(path, { limit: 1 })
    change(id, { run: data.replay, reasons: data.reasons, problem: undefined })
    note([data.replay])
    if (data.replay.status === 'running') return false
    const after = afters.get(id)
    afters.delete(id)
    await after?.()
    return true
  } catch (error) {
    const isUnknown = error instanceof ApiError && error.status === 404
    // What is not known is not shown any more.
    const lost = { ...replayOf(id), problem: UNKNOWN }
    change(id, isUnknown ? lost : { problem: sentenceOf(error) })
    // A server that is gone, or is closing, may come back.
    return error instanceof ApiError && error.status > 0 && error.status < 500
  }
}

const UNKNOWN =
  'The engine does not know this replay any more: it keeps the last ones until it closes. ' +
  'Calls that were handed over stay handed over.'

export async function cancelReplay(): Promise<void> {
  const { id } = open.value ?? {}
  if (id === undefined) return
  change(id, { isCancelling: true })
  try {
    await remove(`v1/replays/${encodeURIComponent(id)}`)
  } catch (error) {
    change(id, { problem: sentenceOf(error), isCancelling: false })
  }
}

/** Closes the open replay. One that is under way goes on. */
export function closeReplay(): void {
  const { run } = open.value ?? {}
  // What its reader saw to its end needs no line any more.
  if (run && run.status !== 'running') forget(run.id)
  go({ ...place.peek(), replay: '' }, { replace: true })
}

export function showReplay(id: string): void {
  go({ ...place.peek(), replay: id })
}

/** Puts the line of a replay away. */
export function forget(id: string): void {
  followed.value = followed.value.filter((run) => run.id !== id)
}

/** Adds replays that are under way, and renews those that are known. */
function note(runs: ReplayRun[]): void {
  const known = new Map(followed.value.map((run) => [run.id, run]))
  for (const run of runs) {
    if (run.status === 'running' || known.has(run.id)) known.set(run.id, run)
  }
  followed.value = [...known.values()]
}

const BREATH_MS = 3000

/** Follows the replays of the engine, also those of others, until the result is called. */
export function followReplays(): () => void {
  const list = async () => {
    // The next look may succeed.
    const found = await listReplays().catch(() => undefined)
    if (!found) return
    // One that the engine does not know any more neither goes on nor ended.
    const known = new Set(found.map(({ id }) => id))
    followed.value = followed.value.filter(
      ({ id, status }) => status !== 'running' || known.has(id),
    )
    note(found)
  }
  const look = () => {
    if (behind.peek().some(({ status }) => status === 'running')) void list()
  }
  void list()
  const timer = setInterval(look, 2 * LAST_MS)
  const end = onChange(list, BREATH_MS)
  return () => {
    clearInterval(timer)
    end()
  }
}

export async function listReplays(): Promise<ReplayRun[]> {
  return (await get<{ data: ReplayRun[] }>('v1/replays')).data
}

/** Returns how far a replay is; the number of all calls only if it is known. */
export function progressOf({ replayed, total, skipped }: ReplayRun): string {
  if (total === 0 && skipped === 0) return 'Selecting the calls …'
  const done = `${number(replayed)} of ${plural(total, 'call')} replayed`
  return skipped > 0 ? `${done}, ${number(skipped)} skipped` : done
}

/** Returns the sentence that says what a replay did. */
export function resultOf({ status, replayed, skipped }: ReplayRun): string {
  const cancelled = status === 'cancelled' ? ', then cancelled' : ''
  const but = status === 'failed' ? ', then it failed' : cancelled
  const done = `Replayed ${plural(replayed, 'call')}${but}.`
  return skipped > 0 ? `${done} Skipped ${plural(skipped, 'call')}.` : done
}
