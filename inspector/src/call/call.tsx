// One call: its request and response, its attempts, and what can be done with it.

import { dismissButton, replayButton, retryButton } from '../act/buttons.tsx'
import { isDeadLetter } from '../act/acts.ts'
import { ago, bytes, exactTime, fineTime, visible } from '../format.ts'
import { Waits } from '../runs/tree.tsx'
import { reasonOf } from '../runs/waits.ts'
import { go, href, place } from '../route.ts'
import { mayAct, mayTry } from '../session.ts'
import { now } from '../shell/clock.ts'
import { CopyButton } from '../shell/copy.tsx'
import { Badge, callState } from '../shell/status.tsx'
import { draft, draftOf } from '../try/draft.ts'
import type { Call, CallError } from '../types.ts'
import { Attempts } from './attempts.tsx'
import { CompareMenu } from './compare-menu.tsx'
import { curlOf } from './curl.ts'
import { MessageView } from './message.tsx'
import { Shown } from './shown.tsx'
import { targetOf, verbOf } from './target.ts'

interface Properties {
  call: Call
  calls: Call[]
  again: () => Promise<void>
}

export function CallView({ call, calls, again }: Properties) {
  const isHttp = call.destination === 'http' && typeof call.request.url === 'string'
  return (
    <article class="call">
      <header class="call-head">
        <div class="call-title">
          <Badge {...callState(call)} />
          <h2>
            <span class="verb">{visible(verbOf(call))}</span>{' '}
            <Shown text={targetOf(call)} max={240} />
          </h2>
        </div>
        <div class="buttons">
          {isDeadLetter(call) && mayAct() && (
            <>
              {replayButton([call], again, 'Replay')}
              {dismissButton([call], again)}
            </>
          )}
          {call.lastError && call.nextAttemptAt && mayAct() && retryButton(call, again)}
          {isHttp && (
            <CopyButton label="Copy as curl" text={() => curlOf(call)}>
              Copy as curl
            </CopyButton>
          )}
          {isHttp && mayTry() && place.value.screen !== 'try' && (
            <button type="button" onClick={() => edit(call)}>
              Edit and send …
            </button>
          )}
          <CopyButton label="Copy as JSON" text={() => JSON.stringify(call, null, 2)}>
            Copy as JSON
          </CopyButton>
          <CompareMenu call={call} calls={calls} />
        </div>
      </header>
      <Problem call={call} />
      <Facts call={call} calls={calls} />
      <Attempts call={call} />
      <MessageView title="Request" message={call.request} isHttp={isHttp} />
      {call.response && <MessageView title="Response" message={call.response} isHttp={isHttp} />}
      {!call.response && call.status !== 'delivered' && (
        <section class="message">
          <h3>Response</h3>
          <p class="quiet">There is no response{call.settledAt ? '' : ' yet'}.</p>
        </section>
      )}
    </article>
  )
}

/** Opens the screen of test calls with a call. */
function edit(call: Call): void {
  draft.value = draftOf(call)
  go({ screen: 'try' })
}

function Problem({ call }: { call: Call }) {
  const problem = call.error ?? call.lastError
  const reason = reasonOf(call)
  if (!problem && reason !== undefined) {
    return (
      <p class="notice">
        {callState(call).word} {reason}
      </p>
    )
  }
  if (!problem) return null
  const isOver = call.error !== undefined
  return (
    <div class={`notice ${isOver ? 'bad' : 'warn'}`}>
      <ErrorText problem={problem} />
      {!isOver && <Waits call={call} />}
    </div>
  )
}

function ErrorText({ problem }: { problem: CallError }) {
  return (
    <>
      <code>{visible(problem.code)}</code>
      {problem.phase && <span class="tag">{visible(problem.phase)}</span>}{' '}
      <bdi>{visible(problem.message)}</bdi>
    </>
  )
}

function Facts({ call, calls }: { call: Call; calls: Call[] }) {
  const times: [string, string | undefined][] = [
    ['Recorded', call.recordedAt],
    ['Due', call.dueAt],
    ['Delivered', call.deliveredAt],
    [call.deliveredAt ? '' : 'Ended', call.deliveredAt ? undefined : call.settledAt],
    ['Dismissed', call.dismissedAt],
  ]
  return (
    <dl class="facts">
      <Fact name="Destination" value={call.destination} />
      <Fact name="Step" value={call.step} />
      {times.map(
        ([name, time]) =>
          time && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                <time dateTime={time} title={`${exactTime(time)}, ${ago(time, now.value)}`}>
                  {fineTime(time)}
                </time>
              </dd>
            </div>
          ),
      )}
      {typeof call.request.bodyBytes === 'number' && (
        <Fact name="Sent" value={bytes(call.request.bodyBytes)} />
      )}
      {typeof call.response?.bodyBytes === 'number' && (
        <Fact name="Received" value={bytes(call.response.bodyBytes)} />
      )}
      <Related call={call} calls={calls} name="Replay of" id={call.replayOf} />
      <Related call={call} calls={calls} name="Replayed by" id={call.replayedBy} />
      {call.resolvedBy !== call.replayedBy && (
        <Related call={call} calls={calls} name="Resolved by" id={call.resolvedBy} />
      )}
      <div>
        <dt>Call</dt>
        <dd class="id">
          <code>{call.id}</code>
          <CopyButton isSmall label="Copy link to the call" text={() => permalink(call)}>
            Copy link
          </CopyButton>
        </dd>
      </div>
    </dl>
  )
}

function permalink(call: Call): string {
  const { attempt } = place.peek()
  return new URL(href({ run: call.executionId, attempt, call: call.id }), location.href).href
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <bdi>{visible(value)}</bdi>
      </dd>
    </div>
  )
}

interface Relation {
  call: Call
  calls: Call[]
  name: string
  id: string | undefined
}

/** Another delivery of the same call, with its state if it is of the same attempt. */
function Related({ call, calls, name, id }: Relation) {
  if (id === undefined) return null
  const other = calls.find((one) => one.id === id)
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <a data-go href={href({ ...place.value, run: call.executionId, call: id, with: '' })}>
          {id.slice(-8)}
        </a>
        {other && <span class="quiet"> {callState(other).word}</span>}
      </dd>
    </div>
  )
}
