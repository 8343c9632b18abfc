// Acts on calls: each shows its plan first, asks once, can be cancelled, and says what it did.

import { signal } from '@preact/signals'

import { sentenceOf } from '../api.ts'
import type { Call } from '../types.ts'
import { type Kind, type Plan, planDismissal, type Planner, planReplay, type Work } from './plan.ts'
import { planPause, planResume, planRetry } from './waiting.ts'

export interface Act {
  /** Tells it from the acts before. */
  number: number
  kind: Kind
  stage: 'planning' | 'asking' | 'running' | 'done'
  plan: Plan | undefined
  /** While it plans, the calls that were read; then, how much is done. */
  done: number
  problem: string | undefined
  /** The sentence that says what was done. */
  result: string | undefined
  isCancelled: boolean
}

export const act = signal<Act | undefined>(undefined)

let work: Work | undefined
let acts = 0

export function isDeadLetter(call: Call): boolean {
  return call.status === 'failed' && !call.resolvedBy && !call.dismissedAt && !call.replayedBy
}

export function replaySelection(calls: Call[], after: () => Promise<void>): void {
  void begin('replay', () => planReplay({ ids: idsOf(calls) }, after))
}

export function dismissSelection(calls: Call[], after: () => Promise<void>): void {
  void begin('dismiss', () => planDismissal({ ids: idsOf(calls) }, after))
}

/** Begins an act on everything that a search of calls finds. */
export function actOnSearch(kind: Kind, q: string): void {
  const failed = { status: 'failed', ...(q === '' ? {} : { search: q }) }
  const nothing = () => Promise.resolve()
  const planners: Record<Kind, Planner> = {
    replay: () => planReplay(failed, nothing),
    dismiss: () => planDismissal(failed, nothing),
    retry: (progress) => planRetry(q, progress),
    pause: (progress) => planPause(q, progress),
    resume: (progress) => planResume(q, progress),
  }
  void begin(kind, planners[kind])
}

function idsOf(calls: Call[]): string[] {
  return calls.map(({ id }) => id).sort()
}

async function begin(kind: Kind, planner: Planner): Promise<void> {
  const nothing = { plan: undefined, problem: undefined, result: undefined }
  const own = ++acts
  act.value = { ...nothing, number: own, kind, stage: 'planning', done: 0, isCancelled: false }
  const { progress, change } = bound(own)
  try {
    const planned = await planner(progress)
    if (progress.isCancelled()) return
    work = planned
    change({ plan: planned.plan, stage: 'asking', done: 0 })
  } catch (error) {
    change({ problem: sentenceOf(error), stage: 'done' })
  }
}

/** Does what the plan says. */
export async function confirm(): Promise<void> {
  const asked = act.value
  if (asked?.stage !== 'asking' || !work) return
  const { progress, change } = bound(asked.number)
  change({ stage: 'running' })
  try {
    const result = await work.perform(progress)
    if (result === undefined) act.value = undefined
    else change({ result, stage: 'done' })
  } catch (error) {
    change({ problem: sentenceOf(error), stage: 'done' })
  }
}

/** Returns the ways to change one act, which end when it is left. */
function bound(number: number) {
  const change = (part: Partial<Act>) => {
    if (act.value?.number === number) act.value = { ...act.value, ...part }
  }
  const isCancelled = () => act.value?.number !== number || act.value.isCancelled
  return { change, progress: { isCancelled, report: (done: number) => change({ done }) } }
}

/** Acts that end with their only request, and those that go on by themselves. */
const AT_ONCE = new Set<Kind>(['replay', 'dismiss'])

export function canBeCancelled({ kind, stage, isCancelled }: Act): boolean {
  return stage !== 'running' || (!isCancelled && !AT_ONCE.has(kind))
}

/** Cancels an act between its steps; one that is not agreed to, or over, is left. */
export function cancel(): void {
  const current = act.value
  if (!current || !canBeCancelled(current)) return
  act.value = current.stage === 'running' ? { ...current, isCancelled: true } : undefined
}
