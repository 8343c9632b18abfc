// Acts on dead letters: each shows its plan first, runs in steps that can be cancelled, and reports.

import { signal } from '@preact/signals'

import { get, post, sentenceOf } from '../api.ts'
import { plural } from '../format.ts'
import type { Call, Page, ReplayPlan } from '../types.ts'

export type Kind = 'replay' | 'dismiss'

/** Calls that one request of a bulk act takes. */
const CHUNK = 50

export interface Act {
  kind: Kind
  /** The parameters of the selection by filter; undefined if it is by ids. */
  filter: Record<string, string> | undefined
  ids: string[]
  plan: ReplayPlan | undefined
  stage: 'planning' | 'asking' | 'running' | 'done'
  done: number
  problem: string | undefined
  cancelled: boolean
  after: () => Promise<void>
}

export const act = signal<Act | undefined>(undefined)

export function isDeadLetter(call: Call): boolean {
  return call.status === 'failed' && !call.resolvedBy && !call.dismissedAt && !call.replayedBy
}

export function replaySelection(calls: Call[], after: () => Promise<void>): void {
  void begin('replay', idsOf(calls), undefined, after)
}

export function dismissSelection(calls: Call[], after: () => Promise<void>): void {
  void begin('dismiss', idsOf(calls), undefined, after)
}

export function actOnFilter(kind: Kind, filter: Record<string, string>): void {
  void begin(kind, [], filter, () => Promise.resolve())
}

function idsOf(calls: Call[]): string[] {
  return calls.map(({ id }) => id).sort()
}

function change(part: Partial<Act>): void {
  if (act.value) act.value = { ...act.value, ...part }
}

async function begin(
  kind: Kind,
  ids: string[],
  filter: Record<string, string> | undefined,
  after: () => Promise<void>,
): Promise<void> {
  const stage = 'planning'
  const empty = { plan: undefined, stage, done: 0, problem: undefined, cancelled: false } as const
  act.value = { kind, ids, filter, after, ...empty }
  try {
    const selected = filter ?? { ids }
    const { data } = await post<{ data: ReplayPlan }>('v1/replays', { ...selected, dry_run: true })
    change({ plan: data, stage: 'asking' })
  } catch (error) {
    change({ problem: sentenceOf(error), stage: 'done' })
  }
}

/** Does what the plan says, in the original order of the calls. */
export async function confirm(): Promise<void> {
  const started = act.value
  if (started?.stage !== 'asking') return
  change({ stage: 'running' })
  try {
    const found = started.filter ? await deadLettersOf(started.filter) : started.ids
    // What failed since the plan was shown is newer, and was not agreed to.
    const ids = found.slice(0, started.plan?.count)
    for (let at = 0; at < ids.length; at += CHUNK) {
      if (!act.value || act.value.cancelled) break
      change({ done: act.value.done + (await perform(started.kind, ids.slice(at, at + CHUNK))) })
    }
  } catch (error) {
    change({ problem: sentenceOf(error) })
  }
  change({ stage: 'done' })
  await started.after()
}

async function perform(kind: Kind, ids: string[]): Promise<number> {
  if (kind === 'dismiss') {
    const { data } = await post<{ data: { dismissed: number } }>('v1/dismissals', { ids })
    return data.dismissed
  }
  const { data } = await post<{ data: { replayed: unknown[] } }>('v1/replays', { ids })
  return data.replayed.length
}

/** Returns the ids of the dead letters that a filter selects, oldest first. */
async function deadLettersOf(filter: Record<string, string>): Promise<string[]> {
  const ids: string[] = []
  let after: string | undefined
  while (act.value?.cancelled === false) {
    const page: Page<Call> = await get('v1/deliveries', { ...filter, limit: 100, after })
    for (const call of page.data) if (isDeadLetter(call)) ids.push(call.id)
    after = page.page_info.end_cursor ?? undefined
    if (page.data.length < 100 || after === undefined) break
  }
  return ids.reverse()
}

export function cancel(): void {
  if (act.value?.stage === 'running') change({ cancelled: true })
  else act.value = undefined
}

/** Returns the sentence that says what was done. */
export function reportOf({ kind, done, cancelled }: Act): string {
  const verb = kind === 'replay' ? 'Replayed' : 'Dismissed'
  return `${verb} ${plural(done, 'call')}${cancelled ? ', then cancelled' : ''}.`
}
