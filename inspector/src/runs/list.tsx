// The list of runs.

import { useCallback, useState } from 'preact/hooks'

import { get } from '../api.ts'
import { between, clockTime, duration, exactTime, number, plural, visible } from '../format.ts'
import { LogList } from '../list/log-list.tsx'
import { RUNS, pageOf, type Total } from '../list/page.ts'
import { href, place } from '../route.ts'
import { note } from '../search/language.ts'
import { ListBar } from '../shell/list-bar.tsx'
import { Badge, runState } from '../shell/status.tsx'
import type { Page, Run } from '../types.ts'

export function RunList() {
  const { q } = place.value
  const [total, setTotal] = useState<Total | undefined>(undefined)
  const load = useCallback(
    async (after: string | undefined, abort: AbortSignal) => {
      const page = await get<Page<Run>>(RUNS, pageOf(q, after), abort)
      for (const run of page.data) {
        note('workflow', run.workflowId)
        note('trigger', run.trigger)
      }
      return page
    },
    [q],
  )
  return (
    <main class="list">
      <ListBar title="Runs" total={total} noun="run" />
      <LogList
        noun="run"
        label="Runs"
        load={load}
        idOf={cursorOf}
        timeOf={startOf}
        row={rowOf}
        head={<Head />}
        empty={q === '' ? <NoRuns /> : <p>No run matches this search.</p>}
        onTotal={setTotal}
      />
    </main>
  )
}

const cursorOf = (run: Run) => run.cursor
const startOf = (run: Run) => run.startedAt
const rowOf = (run: Run) => <Row run={run} />

const COLUMNS = ['State', 'Workflow', 'Trigger', 'Dest.', 'Duration', 'Message', 'Time']

function Head() {
  return (
    <div class="head run-row" role="row">
      {COLUMNS.map((name) => (
        <span role="columnheader" key={name}>
          {name}
        </span>
      ))}
    </div>
  )
}

function Row({ run }: { run: Run }) {
  const state = runState(run)
  const attempt = run.attempt > 1 ? String(run.attempt) : ''
  const { q } = place.value
  return (
    <div class="run-row row" role="row">
      <span role="cell" class="c-state">
        <Badge {...state} />
      </span>
      <span role="cell" class="c-name">
        <a data-go data-row href={href({ q, run: run.executionId, attempt: String(run.attempt) })}>
          <bdi>{visible(run.workflowId)}</bdi>
        </a>
        {attempt !== '' && <em class="tag">attempt {attempt}</em>}
      </span>
      <span role="cell" class="c-trigger">
        <bdi>{visible(run.trigger ?? '')}</bdi>
      </span>
      <span role="cell" class="c-dest">
        <Dest run={run} />
      </span>
      <span role="cell" class="c-duration">
        {run.completedAt ? duration(between(run.startedAt, run.completedAt)) : '–'}
      </span>
      <span role="cell" class={`c-message ${run.error ? 'bad-text' : ''}`}>
        <bdi>{visible((run.error ?? run.message ?? '').slice(0, 300))}</bdi>
      </span>
      <span role="cell" class="c-time">
        <time dateTime={run.startedAt} title={exactTime(run.startedAt)}>
          {clockTime(run.startedAt)}
        </time>
      </span>
    </div>
  )
}

/** The calls of a run that were delivered, of all. */
export function Dest({ run }: { run: Run }) {
  if (run.total === 0) return <span class="quiet">–</span>
  const share = (count: number) => `${(100 * count) / run.total}%`
  const words = `${plural(run.delivered, 'call')} of ${number(run.total)} delivered, ${number(run.failed)} failed`
  return (
    <span class="dest" title={words}>
      <svg class="meter" aria-hidden="true">
        <rect class="rest" width="100%" height="100%" />
        <rect class="good" width={share(run.delivered)} height="100%" />
        <rect class="bad" x={share(run.delivered)} width={share(run.failed)} height="100%" />
      </svg>
      {number(run.delivered)}/{number(run.total)}
    </span>
  )
}

function NoRuns() {
  return (
    <>
      <h2>No runs yet</h2>
      <p>Runs appear here as soon as a workflow of this engine makes a call.</p>
      <pre>
        <code>{`const execution = engine.execution({ workflowId: 'p_abc123' })
execution.step('notify').$send.http({ method: 'POST', url, data })
await execution.complete()`}</code>
      </pre>
    </>
  )
}
