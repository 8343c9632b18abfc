// The plan of an act, and the act itself once it is agreed to.

import { post } from '../api.ts'
import { plural } from '../format.ts'
import { go, place } from '../route.ts'
import type { ReplayPlan, ReplayRun } from '../types.ts'
import { afterReplay } from './replays.ts'

export type Kind = 'replay' | 'dismiss' | 'retry' | 'pause' | 'resume'

export interface Plan {
  /** The number of things that the act changes. */
  count: number
  /** Their calls by host, or by what holds them. */
  hosts: Record<string, number>
  errors: Record<string, number>
  /** The selected calls that cannot be sent again, by reason. */
  reasons?: Record<string, number>
  bytes?: number
  oldest?: string | null | undefined
  /** A sentence about what the counts leave out. */
  note?: string | undefined
}

/** Connects a planner or an act with its dialog. */
export interface Progress {
  isCancelled: () => boolean
  report: (done: number) => void
}

export interface Work {
  plan: Plan
  /** Acts. Returns the sentence that says what was done; undefined if a replay goes on by itself. */
  perform: (progress: Progress) => Promise<string | undefined>
}

export type Planner = (progress: Progress) => Promise<Work>

/** Selects failed calls, by ids or by a filter. */
export type Selection = { ids: string[] } | Record<string, string>

async function planOf(selection: Selection): Promise<ReplayPlan> {
  return (await post<{ data: ReplayPlan }>('v1/replays', { ...selection, dry_run: true })).data
}

/** Plans a replay. The engine makes it by itself, and the address names it from then on. */
export async function planReplay(selection: Selection, after: () => Promise<void>): Promise<Work> {
  const { id, skipped, ...plan } = await planOf(selection)
  const note = skipped > 0 ? `${plural(skipped, 'other call')} cannot be sent again.` : undefined
  const perform = async () => {
    const { data } = await post<{ data: ReplayRun }>('v1/replays', { plan: id, wait: false })
    afterReplay(data, after)
    go({ ...place.peek(), replay: data.id }, { replace: true })
    return undefined
  }
  return { plan: { ...plan, note }, perform }
}

/** Plans a dismissal, also of calls whose payload is gone. */
export async function planDismissal(
  selection: Selection,
  after: () => Promise<void>,
): Promise<Work> {
  const { id, skipped, ...found } = await planOf(selection)
  const count = found.count + skipped
  const note =
    skipped > 0
      ? `${plural(skipped, 'of them', 'of them')} cannot be sent again anyway.`
      : undefined
  const perform = async () => {
    const { data } = await post<{ data: { dismissed: number } }>('v1/dismissals', { plan: id })
    await after()
    const left = count - data.dismissed
    const done = `Dismissed ${plural(data.dismissed, 'call')}.`
    if (left <= 0) return done
    const others = `${plural(left, 'other call')} of the plan`
    return `${done} ${others} ${left === 1 ? 'was' : 'were'} resolved, dismissed or replayed since.`
  }
  return { plan: { ...found, reasons: {}, count, note }, perform }
}
