// The list of calls, over all runs.

import { useCallback, useState } from 'preact/hooks'

import { BulkActs } from '../act/bulk.tsx'
import { get } from '../api.ts'
import { clockTime, exactTime, visible } from '../format.ts'
import { LogList } from '../list/log-list.tsx'
import { CALLS, pageOf, type Total } from '../list/page.ts'
import { href, place } from '../route.ts'
import { note } from '../search/language.ts'
import { ListBar } from '../shell/list-bar.tsx'
import { Badge, callState } from '../shell/status.tsx'
import type { Call, Page } from '../types.ts'
import { hostOf, resultOf, targetOf, verbOf } from './target.ts'

export function CallList() {
  const { q } = place.value
  const [total, setTotal] = useState<Total | undefined>(undefined)
  const load = useCallback(
    async (after: string | undefined, abort: AbortSignal) => {
      const page = await get<Page<Call>>(CALLS, pageOf(q, after), abort)
      for (const call of page.data) learn(call)
      return page
    },
    [q],
  )
  return (
    <main class="list">
      <ListBar title="Calls" total={total} noun="call">
        <BulkActs q={q} />
      </ListBar>
      <LogList
        noun="call"
        label="Calls"
        load={load}
        idOf={idOf}
        timeOf={timeOf}
        row={rowOf}
        head={<Head />}
        empty={q === '' ? <p>No calls yet.</p> : <p>No call matches this search.</p>}
        onTotal={setTotal}
      />
    </main>
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
  const { q } = place.value
  return (
    <div class="call-row row" role="row">
      <span role="cell" class="c-state">
        <Badge {...callState(call)} />
      </span>
      <span role="cell" class="c-name">
        <span class="verb">{visible(verbOf(call))}</span>
        <a
          data-go
          data-row
          href={href({ screen: 'calls', q, run: call.executionId, call: call.id })}
        >
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
