// One run with its calls, read again after each change of the log.

import { signal } from '@preact/signals'

import { ApiError, get, sentenceOf } from '../api.ts'
import { isLive, onChange } from '../live.ts'
import type { Call, Run, RunDetail } from '../types.ts'
import { readPauses } from './waits.ts'

export class RunModel {
  readonly detail = signal<RunDetail | undefined>(undefined)
  readonly error = signal<string | undefined>(undefined)
  readonly #id: string
  #attempt: string
  #text = ''

  constructor(id: string, attempt: string) {
    this.#id = id
    this.#attempt = attempt
  }

  /** Reads the run, and follows it until the result is called. */
  follow(call: string): () => void {
    const find = this.#attempt === '' && call !== ''
    void (find ? this.#find(call) : this.read())
    return onChange(async () => {
      if (isLive.peek() || this.#isUnsettled()) await this.read()
    })
  }

  async read(): Promise<void> {
    try {
      const detail = await this.#get(this.#attempt)
      await readPauses(detail.deliveries)
      const text = JSON.stringify(detail)
      if (text !== this.#text) this.detail.value = detail
      this.#text = text
      this.error.value = undefined
    } catch (error) {
      this.error.value = sentenceOf(error)
      if (error instanceof ApiError && error.status === 404) this.detail.value = undefined
    }
  }

  /** Reads the attempt that made a call: rows of calls do not name it. */
  async #find(call: string): Promise<void> {
    await this.read()
    const newest = this.detail.value
    if (!newest || newest.deliveries.some(({ id }) => id === call)) return
    for (const { attempt } of newest.attempts.slice(1, 20)) {
      const detail = await this.#get(String(attempt))
      if (!detail.deliveries.some(({ id }) => id === call)) continue
      this.#attempt = String(attempt)
      this.detail.value = detail
      return
    }
  }

  async #get(attempt: string): Promise<RunDetail> {
    const path = `v1/executions/${encodeURIComponent(this.#id)}`
    const parameters = attempt === '' ? {} : { attempt }
    return (await get<{ data: RunDetail }>(path, parameters)).data
  }

  #isUnsettled(): boolean {
    const run = this.detail.value?.execution
    return run !== undefined && (run.status === 'running' || run.pending > 0)
  }
}

/** Calls of a run that the server returns at most. */
export const MOST_CALLS = 10_000

export interface StepGroup {
  step: string
  calls: Call[]
}

/** Returns the calls by step in the order of the code, each followed by its replays. */
export function groupsOf(deliveries: Call[]): StepGroup[] {
  const ordered = [...deliveries].sort(
    (a, b) => a.index - b.index || a.recordedAt.localeCompare(b.recordedAt),
  )
  const groups = new Map<string, Call[]>()
  for (const call of ordered) {
    const calls = groups.get(call.step)
    if (calls) calls.push(call)
    else groups.set(call.step, [call])
  }
  return [...groups].map(([step, calls]) => ({ step, calls }))
}

/** Returns the beginning and the end of a run with its calls, in milliseconds since 1970. */
export function spanOf(run: Run, calls: Call[], now: number): [number, number] {
  let from = Date.parse(run.startedAt)
  let to = run.completedAt ? Date.parse(run.completedAt) : from
  for (const call of calls) {
    from = Math.min(from, Date.parse(call.recordedAt))
    to = Math.max(to, call.settledAt ? Date.parse(call.settledAt) : now)
  }
  return [from, Math.max(to, from + 1)]
}
