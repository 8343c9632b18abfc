// The calls of a run by step, each with its place on the timeline of the run.

import { useMemo } from 'preact/hooks'

import { between, duration, exactTime, plural, visible } from '../format.ts'
import { type Item, Virtual } from '../list/virtual.tsx'
import { href, listPlace, place } from '../route.ts'
import { now } from '../shell/clock.ts'
import { callState, type Tone } from '../shell/status.tsx'
import type { Call, RunDetail } from '../types.ts'
import { resultOf, targetOf, verbOf } from '../call/target.ts'
import { groupsOf, MOST_CALLS, spanOf } from './load.ts'
import { reasonOf } from './waits.ts'

interface Properties {
  detail: RunDetail
  open: string | undefined
}

type Span = [number, number]

export function CallTree({ detail, open }: Properties) {
  const { execution, deliveries } = detail
  const isMoving = deliveries.some((call) => call.settledAt === undefined)
  const time = isMoving ? now.value : 0
  const items = useMemo(
    () => itemsOf(deliveries, spanOf(execution, deliveries, time), open, time),
    [deliveries, open, time, place.value],
  )
  if (items.length === 0) {
    return <div class="pane tree empty">This run has made no calls.</div>
  }
  const [from, to] = spanOf(execution, deliveries, time)
  return (
    <section class="pane tree" aria-label="Calls of the run">
      <Virtual items={items} label="Calls" name="pane">
        <div class="head tree-row" role="row">
          <span role="columnheader">Call</span>
          <span role="columnheader">Result</span>
          <span role="columnheader" class="axis">
            <i>0</i>
            <i>{duration(to - from)}</i>
          </span>
        </div>
      </Virtual>
    </section>
  )
}

function itemsOf(deliveries: Call[], span: Span, open: string | undefined, time: number): Item[] {
  const items: Item[] = []
  const isPart = deliveries.length >= MOST_CALLS
  for (const { step, calls } of groupsOf(deliveries)) {
    items.push({
      key: `step-${step}`,
      height: 34,
      render: () => (
        <div class="step" role="row">
          <b role="rowheader">
            <bdi>{visible(step)}</bdi>
          </b>
          <span role="cell" class="quiet">
            {plural(calls.length, 'call')}
            {isPart && ' shown'}
          </span>
        </div>
      ),
    })
    for (const call of calls) {
      const isOpen = call.id === open
      const render = () => <Row call={call} span={span} isOpen={isOpen} time={time} />
      items.push({ key: call.id, height: 46, render })
    }
  }
  return items
}

interface RowProperties {
  call: Call
  span: Span
  isOpen: boolean
  time: number
}

function Row({ call, span, isOpen, time }: RowProperties) {
  const state = callState(call)
  const { run, attempt } = place.value
  return (
    <div class={`tree-row row ${isOpen ? 'open' : ''}`} role="row">
      <span role="cell" class="c-call">
        <span class="line">
          {call.replayOf && (
            <span class="tag" title="A replay of an earlier call">
              replay
            </span>
          )}
          <span class="verb">{visible(verbOf(call))}</span>
          <a
            data-go
            data-row
            aria-current={isOpen ? 'true' : undefined}
            href={href({ ...listPlace(), run, attempt, call: call.id })}
          >
            <bdi>{visible(shortTarget(call)) || call.destination}</bdi>
          </a>
        </span>
        <span class={`line small ${state.tone}-text`}>
          {state.word}
          <Waits call={call} />
          {call.settledAt && <Took call={call} />}
          {call.attempts > 1 && <span class="quiet"> · {call.attempts} attempts</span>}
        </span>
      </span>
      <span role="cell" class="c-result">
        {visible(resultOf(call))}
      </span>
      <span role="cell" class="c-bar">
        <Bar call={call} span={span} tone={state.tone} time={time} />
      </span>
    </div>
  )
}

function shortTarget(call: Call): string {
  const target = targetOf(call)
  if (call.destination !== 'http' || !URL.canParse(target)) return target.slice(0, 200)
  const { host, pathname } = new URL(target)
  return `${host}${pathname}`.slice(0, 200)
}

/** The reason why a call waits, or the time of its next attempt. */
export function Waits({ call }: { call: Call }) {
  const reason = reasonOf(call)
  if (reason === undefined) return <Countdown call={call} />
  return <span class="quiet"> · {reason}</span>
}

function Took({ call }: { call: Call }) {
  const { recordedAt, settledAt = recordedAt } = call
  return (
    <span class="quiet" title={`Recorded ${exactTime(recordedAt)}`}>
      {' '}
      · {duration(between(recordedAt, settledAt))}
    </span>
  )
}

function Countdown({ call }: { call: Call }) {
  const { nextAttemptAt, settledAt } = call
  if (settledAt !== undefined || nextAttemptAt === undefined) return null
  const left = Date.parse(nextAttemptAt) - now.value
  return (
    <span class="quiet">
      {' '}
      · {left > 0 ? `again in ${duration(Math.ceil(left / 1000) * 1000)}` : 'again now'}
    </span>
  )
}

interface BarProperties {
  call: Call
  span: Span
  tone: Tone
  time: number
}

function Bar({ call, span: [from, to], tone, time }: BarProperties) {
  const begin = Date.parse(call.recordedAt)
  const end = call.settledAt ? Date.parse(call.settledAt) : time
  const share = (ms: number) => (100 * ms) / (to - from)
  const width = Math.max(share(end - begin), 2)
  const x = Math.min(share(begin - from), 100 - width)
  const words = `${duration(Math.max(0, begin - from))} after the start, for ${duration(Math.max(0, end - begin))}`
  return (
    <svg class="gantt" role="img" aria-label={words}>
      <title>{words}</title>
      <rect class={tone} x={`${x}%`} width={`${width}%`} y="30%" height="40%" rx="2" />
    </svg>
  )
}
