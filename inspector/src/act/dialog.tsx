// The dialog of an act: its plan, its progress, its result.

import { useRef } from 'preact/hooks'

import { bytes, exactTime, number, plural, visible } from '../format.ts'
import type { ReplayPlan } from '../types.ts'
import { useModal } from './modal.ts'
import { act, type Act, cancel, confirm, reportOf } from './acts.ts'

export function Dialogs() {
  const dialog = useRef<HTMLDialogElement>(null)
  const current = act.value
  const isOpen = current !== undefined
  useModal(dialog, isOpen, current?.stage)
  return (
    <dialog
      ref={dialog}
      aria-labelledby="act-title"
      onCancel={(event) => {
        event.preventDefault()
        cancel()
      }}
    >
      {current && <Content current={current} />}
    </dialog>
  )
}

function Content({ current }: { current: Act }) {
  const { stage, plan, problem, kind } = current
  return (
    <>
      <h2 id="act-title">{titleOf(current)}</h2>
      {stage === 'planning' && <p class="quiet">Making the plan …</p>}
      {plan && stage === 'asking' && <Plan plan={plan} />}
      {stage === 'running' && plan && <Progress current={current} count={plan.count} />}
      {problem !== undefined && (
        <p class="notice bad" role="alert">
          {visible(problem)}
        </p>
      )}
      {stage === 'done' && problem === undefined && <p role="status">{reportOf(current)}</p>}
      <div class="buttons">
        <button type="button" onClick={cancel} disabled={current.cancelled && stage === 'running'}>
          {stage === 'done' ? 'Close' : 'Cancel'}
        </button>
        {stage === 'asking' && plan && plan.count > 0 && (
          <button type="button" class="primary" autofocus onClick={() => void confirm()}>
            {kind === 'replay' ? 'Replay' : 'Dismiss'} {plural(plan.count, 'call')}
          </button>
        )}
      </div>
    </>
  )
}

function titleOf({ kind, stage, plan }: Act): string {
  if (stage === 'done') return kind === 'replay' ? 'Replay' : 'Dismissal'
  if (plan?.count === 0) return 'There is nothing to do'
  const count = plan ? plural(plan.count, 'failed call') : 'failed calls'
  return kind === 'replay' ? `Send ${count} again?` : `Dismiss ${count}?`
}

function Plan({ plan }: { plan: ReplayPlan }) {
  if (plan.count === 0) return <p>No unresolved failed call is selected.</p>
  return (
    <div class="plan">
      <p class="quiet">
        {bytes(plan.bytes)}
        {plan.oldest && `, the oldest of ${exactTime(plan.oldest)}`}
      </p>
      <Counts title="To" counts={plan.hosts} />
      <Counts title="Failed with" counts={plan.errors} />
    </div>
  )
}

const MAX_LINES = 8

function Counts({ title, counts }: { title: string; counts: Record<string, number> }) {
  const lines = Object.entries(counts).sort((a, b) => b[1] - a[1])
  return (
    <table>
      <caption>{title}</caption>
      <tbody>
        {lines.slice(0, MAX_LINES).map(([name, count]) => (
          <tr key={name}>
            <th scope="row">
              <bdi>{visible(name)}</bdi>
            </th>
            <td>{number(count)}</td>
          </tr>
        ))}
        {lines.length > MAX_LINES && (
          <tr>
            <td colSpan={2} class="quiet">
              and {lines.length - MAX_LINES} more
            </td>
          </tr>
        )}
      </tbody>
    </table>
  )
}

function Progress({ current, count }: { current: Act; count: number }) {
  return (
    <div class="progress">
      <progress max={count} value={current.done} aria-label="Progress" />
      <p role="status">
        {number(current.done)} of {number(count)}
        {current.cancelled && ', stopping …'}
      </p>
    </div>
  )
}
