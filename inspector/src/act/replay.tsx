// A replay that the engine makes: its progress and its result, and the lines of those that go on.

import { useEffect } from 'preact/hooks'

import { exactTime, visible } from '../format.ts'
import { href } from '../route.ts'
import { mayAct } from '../session.ts'
import type { ReplayRun } from '../types.ts'
import { Skips } from './counts.tsx'
import {
  behind,
  cancelReplay,
  closeReplay,
  followReplays,
  forget,
  type OpenReplay,
  progressOf,
  resultOf,
  showReplay,
} from './replays.ts'

export function ReplayContent({ shown }: { shown: OpenReplay }) {
  const { run, reasons, problem, isCancelling } = shown
  const isRunning = run?.status === 'running'
  return (
    <>
      <h2 id="act-title">{isRunning ? 'Replay under way' : 'Replay'}</h2>
      {run && (
        <p class="quiet">
          Started <time dateTime={run.startedAt}>{exactTime(run.startedAt)}</time>
        </p>
      )}
      {!run && problem === undefined && <p class="quiet">Loading …</p>}
      {run && isRunning && <Running run={run} isCancelling={isCancelling} />}
      {run && !isRunning && <Result run={run} />}
      {problem !== undefined && (
        <p class="notice bad" role="alert">
          {visible(problem)}
        </p>
      )}
      {!isRunning && <Skips reasons={reasons} />}
      {run && <ReplayedCalls run={run} />}
      <div class="buttons">
        {isRunning && mayAct() && (
          <button type="button" disabled={isCancelling} onClick={() => void cancelReplay()}>
            Cancel
          </button>
        )}
        <button type="button" onClick={closeReplay}>
          {isRunning ? 'Hide' : 'Close'}
        </button>
      </div>
    </>
  )
}

function Running({ run, isCancelling }: { run: ReplayRun; isCancelling: boolean }) {
  const value = run.total > 0 ? { max: run.total, value: run.replayed } : {}
  return (
    <div class="progress">
      <progress {...value} aria-label="Progress" />
      <p role="status">
        {progressOf(run)}
        {isCancelling && ', stopping …'}
      </p>
    </div>
  )
}

function Result({ run }: { run: ReplayRun }) {
  const { status, error } = run
  return (
    <>
      <p role="status">{resultOf(run)}</p>
      {status === 'cancelled' && (
        <p class="quiet">What was replayed stays. The other calls are failed calls as before.</p>
      )}
      {error && (
        <p class="notice bad" role="alert">
          {visible(error)}
        </p>
      )}
    </>
  )
}

/** The way to the calls that a replay made so far. */
function ReplayedCalls({ run: { id, replayed, status } }: { run: ReplayRun }) {
  if (replayed === 0) return null
  return (
    <p>
      <a
        data-go
        href={href({ screen: 'calls', replayed: id })}
        onClick={() => status !== 'running' && forget(id)}
      >
        Show the replayed {replayed === 1 ? 'call' : 'calls'}
      </a>
    </p>
  )
}

/** The replays that go on behind the page, and those that ended there. */
export function ReplayLines() {
  useEffect(followReplays, [])
  return (
    <>
      {behind.value.map((run) => (
        <p key={run.id} class="notice line-with-button" role="status">
          <span>
            {run.status === 'running' ? `Replay under way: ${progressOf(run)}` : resultOf(run)}
          </span>
          <span class="buttons">
            <button type="button" class="small" onClick={() => showReplay(run.id)}>
              Show
            </button>
            {run.replayed > 0 && (
              <a data-go class="button small" href={href({ screen: 'calls', replayed: run.id })}>
                Calls
              </a>
            )}
            {run.status !== 'running' && (
              <button type="button" class="small" onClick={() => forget(run.id)}>
                Close
              </button>
            )}
          </span>
        </p>
      ))}
    </>
  )
}
