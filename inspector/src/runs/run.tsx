// One run: its calls by step beside a timeline, and the open call.

import { useEffect, useLayoutEffect, useMemo } from 'preact/hooks'

import { dismissButton, replayButton } from '../act/buttons.tsx'
import { CallView } from '../call/call.tsx'
import { Compare } from '../call/compare.tsx'
import { ago, between, duration, exactTime, number, visible } from '../format.ts'
import { replayAction } from '../keys.ts'
import { href, listPlace, place } from '../route.ts'
import { mayAct } from '../session.ts'
import { now } from '../shell/clock.ts'
import { CopyButton } from '../shell/copy.tsx'
import { Badge, runState } from '../shell/status.tsx'
import type { Call, Run, RunDetail } from '../types.ts'
import { isDeadLetter, replaySelection } from '../act/acts.ts'
import { Dest } from './list.tsx'
import { CallTree } from './tree.tsx'
import { MOST_CALLS, RunModel } from './load.ts'

export function RunView() {
  const at = place.value
  const model = useMemo(() => new RunModel(at.run, at.attempt), [at.run, at.attempt])
  useEffect(() => model.follow(at.call), [model])
  const detail = model.detail.value
  const problem = model.error.value
  if (!detail) return <Missing problem={problem} />
  const open = detail.deliveries.find(({ id }) => id === at.call)
  const other = detail.deliveries.find(({ id }) => id === at.with)
  const again = () => model.read()
  return (
    <main class={`run ${open ? 'with-call' : ''}`}>
      <Head detail={detail} again={again} />
      {problem !== undefined && <p class="notice warn">{problem}</p>}
      <div class="panes">
        <CallTree detail={detail} open={open?.id} />
        <section class="pane detail" aria-label="Call">
          <Pane detail={detail} open={open} other={other} again={again} />
        </section>
      </div>
    </main>
  )
}

interface PaneProperties {
  detail: RunDetail
  open: Call | undefined
  other: Call | undefined
  again: () => Promise<void>
}

function Pane({ detail, open, other, again }: PaneProperties) {
  useReplayKey(detail, open, again)
  if (open && other) return <Compare left={open} right={other} />
  if (open) return <CallView key={open.id} call={open} calls={detail.deliveries} again={again} />
  if (place.value.call !== '') return <p class="empty">This run has no such call any more.</p>
  return <p class="empty">Choose a call to see its request and response.</p>
}

function useReplayKey(detail: RunDetail, open: Call | undefined, again: () => Promise<void>): void {
  useLayoutEffect(() => {
    const dead = (open ? [open] : detail.deliveries).filter(isDeadLetter)
    const isUseful = dead.length > 0 && mayAct()
    replayAction.value = isUseful ? () => replaySelection(dead, again) : undefined
    return () => (replayAction.value = undefined)
  }, [detail, open])
}

function Missing({ problem }: { problem: string | undefined }) {
  if (problem === undefined) return <main class="loading" aria-busy="true" />
  return (
    <main class="empty">
      <h1>This run cannot be shown</h1>
      <p>{problem}</p>
      <a data-go href={href({})}>
        All runs
      </a>
    </main>
  )
}

function Head({ detail, again }: { detail: RunDetail; again: () => Promise<void> }) {
  const { execution: run, deliveries } = detail
  const { call } = place.value
  const dead = deliveries.filter(isDeadLetter)
  return (
    <header class="run-head">
      <div class="run-title">
        <a
          data-go
          class="back"
          href={call === '' ? href(listPlace()) : href({ ...place.value, call: '', with: '' })}
          aria-label={call === '' ? 'Back to the list' : 'Back to the run'}
        >
          ←
        </a>
        <h1>
          <bdi>{visible(run.workflowId)}</bdi>
        </h1>
        <Badge {...runState(run)} />
        <span class="spring" />
        {dead.length > 0 && call === '' && mayAct() && (
          <>
            {replayButton(dead, again, `Replay ${dead.length} failed`)}
            {dismissButton(dead, again)}
          </>
        )}
      </div>
      <Facts detail={detail} />
      {run.error && (
        <p class="notice bad">
          <bdi>{visible(run.error)}</bdi>
        </p>
      )}
      {deliveries.length >= MOST_CALLS && (
        <p class="notice">
          Only the newest {number(MOST_CALLS)} calls of this run are shown. The list of calls has
          all.
        </p>
      )}
      {run.message && (
        <p class="notice">
          <bdi>{visible(run.message)}</bdi>
        </p>
      )}
    </header>
  )
}

function Facts({ detail: { execution: run, attempts } }: { detail: RunDetail }) {
  return (
    <dl class="facts">
      <div>
        <dt>Dest.</dt>
        <dd>
          <Dest run={run} />
        </dd>
      </div>
      {run.trigger && (
        <div>
          <dt>Trigger</dt>
          <dd>
            <bdi>{visible(run.trigger)}</bdi>
          </dd>
        </div>
      )}
      <div>
        <dt>Started</dt>
        <dd>
          <time dateTime={run.startedAt} title={run.startedAt}>
            {exactTime(run.startedAt)}
          </time>
          <span class="quiet"> {ago(run.startedAt, now.value)}</span>
        </dd>
      </div>
      <div>
        <dt>Duration</dt>
        <dd>{run.completedAt ? duration(between(run.startedAt, run.completedAt)) : 'running'}</dd>
      </div>
      {attempts.length > 1 && (
        <div>
          <dt>Attempt</dt>
          <dd>
            <Attempts run={run} attempts={attempts} />
          </dd>
        </div>
      )}
      <div>
        <dt>Run</dt>
        <dd class="id">
          <code>{visible(run.executionId)}</code>
          <CopyButton label="Copy the id of the run" text={() => run.executionId} />
        </dd>
      </div>
    </dl>
  )
}

function Attempts({ run, attempts }: { run: Run; attempts: Run[] }) {
  return (
    <span class="attempts">
      {[...attempts].reverse().map(({ attempt, cursor }) => (
        <a
          data-go
          key={cursor}
          href={href({ ...listPlace(), run: run.executionId, attempt: String(attempt) })}
          aria-current={cursor === run.cursor ? 'true' : undefined}
        >
          {attempt}
        </a>
      ))}
    </span>
  )
}
