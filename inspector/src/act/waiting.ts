// Acts on the waiting calls that a search finds: attempts now, and pauses of what they wait for.

import { get, post } from '../api.ts'
import { number, plural } from '../format.ts'
import {
  holds,
  type Pause,
  pauseName,
  pauseTarget,
  type Queues,
  type Target,
  urlOf,
} from '../overview/pauses.ts'
import type { Call, Page } from '../types.ts'
import type { Plan, Progress, Work } from './plan.ts'

const PAGE = 100
/** Waiting calls that one act takes. */
const MOST = 10_000
/** Calls that one request attempts. */
const PART = 500

interface Found {
  calls: Call[]
  note: string | undefined
}

/** Reads the waiting calls that a search finds, newest first. */
async function waitingCalls(q: string, progress: Progress): Promise<Found> {
  const calls: Call[] = []
  let after: string | undefined
  while (calls.length < MOST && !progress.isCancelled()) {
    const parameters = { status: 'pending', search: q || undefined, limit: PAGE, after }
    const page = await get<Page<Call>>('v1/deliveries', parameters)
    calls.push(...page.data)
    progress.report(calls.length)
    after = page.page_info.end_cursor ?? undefined
    if (page.data.length < PAGE || after === undefined) return { calls, note: undefined }
  }
  return { calls, note: `Only the newest ${number(MOST)} waiting calls are counted.` }
}

/** Plans the next attempts of the calls that wait for one. */
export async function planRetry(q: string, progress: Progress): Promise<Work> {
  const found = await waitingCalls(q, progress)
  const calls = found.calls.filter(({ nextAttemptAt }) => nextAttemptAt !== undefined)
  const plan: Plan = {
    count: calls.length,
    hosts: countsOf(calls, placeOf),
    errors: countsOf(calls, ({ lastError }) => lastError?.code ?? 'no error yet'),
    oldest: calls.at(-1)?.recordedAt,
    note: found.note,
  }
  const ids = calls.map(({ id }) => id).sort()
  const perform = async ({ isCancelled, report }: Progress) => {
    let [retried, at] = [0, 0]
    for (; at < ids.length && !isCancelled(); at += PART) {
      const part = { ids: ids.slice(at, at + PART) }
      retried += (await post<{ data: { retried: number } }>('v1/queues/retry-now', part)).data
        .retried
      report(Math.min(at + PART, ids.length))
    }
    const done = `Attempting ${plural(retried, 'call')} now`
    if (at < ids.length) return `${done}, then cancelled.`
    const left = ids.length - retried
    if (left === 0) return `${done}.`
    return `${done}. ${plural(left, 'other call')} of the plan no longer waited, or ${left === 1 ? 'is' : 'are'} paused.`
  }
  return { plan, perform }
}

/** Plans a pause of each host that the waiting calls are for. */
export async function planPause(q: string, progress: Progress): Promise<Work> {
  const { calls, note } = await waitingCalls(q, progress)
  const targets = new Map(calls.map((call) => [placeOf(call), targetOf(call)]))
  const plan = { count: targets.size, hosts: countsOf(calls, placeOf), errors: {}, note }
  const perform = (running: Progress) => each('pause', [...targets.values()], running)
  return { plan, perform }
}

/** Plans the end of each pause that holds one of the waiting calls. */
export async function planResume(q: string, progress: Progress): Promise<Work> {
  const { calls, note } = await waitingCalls(q, progress)
  const { data } = await get<{ data: Queues }>('v1/queues')
  const held = data.pauses.map((pause): [Pause, number] => [
    pause,
    calls.filter((call) => holds(pause, call)).length,
  ])
  const pauses = held.filter(([, count]) => count > 0)
  const hosts = Object.fromEntries(pauses.map(([pause, count]) => [pauseName(pause), count]))
  const targets = pauses.map(([pause]) => pauseTarget(pause))
  const perform = (running: Progress) => each('resume', targets, running)
  return { plan: { count: targets.length, hosts, errors: {}, note }, perform }
}

async function each(
  verb: 'pause' | 'resume',
  targets: Target[],
  { isCancelled, report }: Progress,
): Promise<string> {
  let done = 0
  for (const target of targets) {
    if (isCancelled()) break
    await post(`v1/queues/${verb}`, target)
    report(++done)
  }
  const what = verb === 'pause' ? plural(done, 'host') : plural(done, 'pause')
  const said = verb === 'pause' ? `Paused ${what}` : `Ended ${what}`
  return `${said}${done < targets.length ? ', then cancelled' : ''}.`
}

/** Returns the host of a call; of one without a host, its destination. */
function placeOf(call: Call): string {
  return urlOf(call)?.host ?? call.destination
}

function targetOf(call: Call): Target {
  const host = urlOf(call)?.host
  return host === undefined ? { destination: call.destination } : { host }
}

function countsOf(calls: Call[], of: (call: Call) => string): Record<string, number> {
  const counts = new Map<string, number>()
  for (const call of calls) counts.set(of(call), (counts.get(of(call)) ?? 0) + 1)
  return Object.fromEntries(counts)
}
