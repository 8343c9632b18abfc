// The dialog of an act: its plan, its progress, its result.

import { useEffect, useRef } from 'preact/hooks'

import { bytes, exactTime, number, plural, visible } from '../format.ts'
import { place } from '../route.ts'
import { useModal } from './modal.ts'
import { act, type Act, cancel, canBeCancelled, confirm } from './acts.ts'
import { Counts, Skips } from './counts.tsx'
import type { Kind, Plan } from './plan.ts'
import { ReplayContent } from './replay.tsx'
import { closeReplay, open, replayOf, watch } from './replays.ts'

export function Dialogs() {
  const dialog = useRef<HTMLDialogElement>(null)
  const current = act.value
  const { replay } = place.value
  useEffect(() => (replay === '' ? undefined : watch(replay)), [replay])
  const named = open.value?.id === replay ? open.value : replayOf(replay)
  const shown = current || replay === '' ? undefined : named
  const stage = current?.stage ?? shown?.run?.status
  useModal(dialog, current !== undefined || shown !== undefined, stage)
  return (
    <dialog
      ref={dialog}
      aria-labelledby="act-title"
      onCancel={(event) => {
        event.preventDefault()
        if (current) cancel()
        else closeReplay()
      }}
    >
      {current && <Content current={current} />}
      {shown && <ReplayContent shown={shown} />}
    </dialog>
  )
}

interface Words {
  /** The heading of the plan, and the word on its button, for so many. */
  title: (count: number) => string
  button: (count: number) => string
  nothing: string
  /** The heading of the counts by host. */
  hosts: string
  over: string
}

const WORDS: Record<Kind, Words> = {
  replay: {
    title: (count) => `Send ${plural(count, 'failed call')} again?`,
    button: (count) => `Replay ${plural(count, 'call')}`,
    nothing: 'No unresolved failed call is selected.',
    hosts: 'To',
    over: 'Replay',
  },
  dismiss: {
    title: (count) => `Dismiss ${plural(count, 'failed call')}?`,
    button: (count) => `Dismiss ${plural(count, 'call')}`,
    nothing: 'No unresolved failed call is selected.',
    hosts: 'To',
    over: 'Dismissal',
  },
  retry: {
    title: (count) => `Retry ${plural(count, 'waiting call')} now?`,
    button: (count) => `Retry ${plural(count, 'call')}`,
    nothing: 'No call that is found waits for its next attempt.',
    hosts: 'To',
    over: 'Retry',
  },
  pause: {
    title: (count) => `Pause ${plural(count, 'host')}?`,
    button: (count) => `Pause ${plural(count, 'host')}`,
    nothing: 'No call that is found waits.',
    hosts: 'Calls that wait for',
    over: 'Pause',
  },
  resume: {
    title: (count) => `End ${plural(count, 'pause')}?`,
    button: (count) => `End ${plural(count, 'pause')}`,
    nothing: 'No pause holds a call that is found.',
    hosts: 'Calls that are held by the pause of',
    over: 'Resume',
  },
}

function Content({ current }: { current: Act }) {
  const { stage, plan, problem, result, kind } = current
  const words = WORDS[kind]
  return (
    <>
      <h2 id="act-title">{titleOf(current)}</h2>
      {stage === 'planning' && <Planning found={current.done} />}
      {plan && stage === 'asking' && <PlanView plan={plan} words={words} />}
      {stage === 'running' && plan && <Running current={current} count={plan.count} />}
      {problem !== undefined && (
        <p class="notice bad" role="alert">
          {visible(problem)}
        </p>
      )}
      {result !== undefined && <p role="status">{result}</p>}
      <div class="buttons">
        <button type="button" onClick={cancel} disabled={!canBeCancelled(current)}>
          {stage === 'done' ? 'Close' : 'Cancel'}
        </button>
        {stage === 'asking' && plan && plan.count > 0 && (
          <button type="button" class="primary" autofocus onClick={() => void confirm()}>
            {words.button(plan.count)}
          </button>
        )}
      </div>
    </>
  )
}

function titleOf({ kind, stage, plan }: Act): string {
  const { title, over } = WORDS[kind]
  if (stage === 'done' || !plan) return over
  return plan.count === 0 ? 'There is nothing to do' : title(plan.count)
}

function Planning({ found }: { found: number }) {
  const far = found > 0 ? ` ${plural(found, 'waiting call')} so far` : ''
  return <p class="quiet">Making the plan …{far}</p>
}

function PlanView({ plan, words }: { plan: Plan; words: Words }) {
  const { count, oldest, hosts, errors, reasons = {}, note } = plan
  const facts = [
    ...(plan.bytes === undefined ? [] : [bytes(plan.bytes)]),
    ...(oldest ? [`the oldest of ${exactTime(oldest)}`] : []),
  ]
  return (
    <div class="plan">
      {count === 0 && <p>{words.nothing}</p>}
      {count > 0 && facts.length > 0 && <p class="quiet">{facts.join(', ')}</p>}
      {note !== undefined && <p class="notice">{note}</p>}
      <Counts title={words.hosts} counts={hosts} />
      <Counts title="Failed with" counts={errors} />
      <Skips reasons={reasons} />
    </div>
  )
}

function Running({ current, count }: { current: Act; count: number }) {
  const { done, isCancelled } = current
  // The only request of an act has no progress.
  const value = canBeCancelled(current) || isCancelled ? { max: count, value: done } : {}
  return (
    <div class="progress">
      <progress {...value} aria-label="Progress" />
      {'max' in value && (
        <p role="status">
          {number(done)} of {number(count)}
          {isCancelled && ', stopping …'}
        </p>
      )}
    </div>
  )
}
