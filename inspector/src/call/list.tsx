// The list of calls, over all runs.

import { useCallback, useState } from 'preact/hooks'

import { BulkActs } from '../act/bulk.tsx'
import { showReplay } from '../act/replays.ts'
import { get } from '../api.ts'
import { clockTime, exactTime, visible } from '../format.ts'
import { LogList } from '../list/log-list.tsx'
import { CALLS, pageOf, replayedPage, type Total } from '../list/page.ts'
import { href, listPlace, place } from '../route.ts'
import { readPauses } from '../runs/waits.ts'
import { note } from '../search/language.ts'
import { ListBar } from '../shell/list-bar.tsx'
import { Badge, callState } from '../shell/status.tsx'
import type { Call, Page } from '../types.ts'
import { hostOf, resultOf, targetOf, verbOf } from './target.ts'

export function CallList() {
  const { q, replayed } = place.value
  const [total, setTotal] = useState<Total | undefined>(undefined)
  const load = useCallback(
    async (after: string | undefined, abort: AbortSignal) => {
      const page =
        replayed === ''
          ? await get<Page<Call>>(CALLS, pageOf(q, after), abort)
          : await replayedPage(replayed, after, abort)
      for (const call of page.data) learn(call)
      await readPauses(page.data)
      return page
    },
    [q, replayed],
  )
  return (
    <main class="list">
      <ListBar title={replayed === '' ? 'Calls' : 'Calls of a replay'} total={total} noun="call">
        {replayed === '' ? <BulkActs q={q} /> : <ReplayActs id={replayed} />}
      </ListBar>
      <LogList
        noun="call"
        label="Calls"
        load={load}
        idOf={idOf}
        timeOf={timeOf}
        row={rowOf}
        head={<Head />}
        empty={<p>{emptyText(q, replayed)}</p>}
        onTotal={setTotal}
      />
    </main>
  )
}

function emptyText(q: string, replayed: string): string {
  if (replayed !== '') return 'This replay has made no call.'
  return q === '' ? 'No calls yet.' : 'No call matches this search.'
}

/** The ways from the calls of a replay to the replay, and to all calls. */
function ReplayActs({ id }: { id: string }) {
  return (
    <>
      <button type="button" onClick={() => showReplay(id)}>
        Show the replay
      </button>
      <a data-go class="button" href={href({ screen: 'calls' })}>
        All calls
      </a>
    </>
  )
}

function learn(call: Call): void {
  note('workflow', call.workflowId)
  note('host', hostOf(call))
  note('code', (call.error ?? call.lastError)?.code)
}

const idOf = (call: Call) => call.id
const timeOf = (call: Call) => call.recordedAt
const rowOf = (call: Call) => <Row call={call} />

function Head() {
  return (
    <div class="head call-row" role="row">
      {['State', 'Target', 'Result', 'Workflow', 'Step', 'Tries', 'Time'].map((name) => (
        <span role="columnheader" key={name}>
          {name}
        </span>
      ))}
    </div>
  )
}

function Row({ call }: { call: Call }) {
  const problem = call.error ?? call.lastError
  return (
    <div class="call-row row" role="row">
      <span role="cell" class="c-state">
        <Badge {...callState(call)} />
      </span>
      <span role="cell" class="c-name">
        <span class="verb">{visible(verbOf(call))}</span>
        <a data-go data-row href={href({ ...listPlace(), run: call.executionId, call: call.id })}>
          <bdi>{visible(targetOf(call).slice(0, 300)) || call.destination}</bdi>
        </a>
      </span>
      <span
        role="cell"
        class={`c-result ${problem ? 'bad-text' : ''}`}
        title={problem && visible(problem.message)}
      >
        {visible(resultOf(call))}
      </span>
      <span role="cell" class="c-workflow">
        <bdi>{visible(call.workflowId)}</bdi>
      </span>
      <span role="cell" class="c-step">
        <bdi>{visible(call.step)}</bdi>
      </span>
      <span role="cell" class="c-tries">
        {call.attempts}
      </span>
      <span role="cell" class="c-time">
        <time dateTime={call.recordedAt} title={exactTime(call.recordedAt)}>
          {clockTime(call.recordedAt)}
        </time>
      </span>
    </div>
  )
}
