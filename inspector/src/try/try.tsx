// Try: a test call is written, sent, and shown with its response.

import { useSignal } from '@preact/signals'
import { useEffect, useMemo, useRef } from 'preact/hooks'

import { post, sentenceOf } from '../api.ts'
import { CallView } from '../call/call.tsx'
import { visible } from '../format.ts'
import { href } from '../route.ts'
import { RunModel } from '../runs/load.ts'
import { isNarrow } from '../shell/narrow.ts'
import { callOf, draft, type Draft, EMPTY, METHODS } from './draft.ts'
import { ExampleBox } from './example-box.tsx'

export function TryScreen() {
  const run = useSignal('')
  return (
    <main class="try">
      <div class="bar">
        <h1>Try</h1>
        <span class="quiet">Sends one call, which the log keeps as a run of the workflow try.</span>
      </div>
      <div class="panes try-panes">
        <section class="pane try-form" aria-label="Test call">
          <Form sent={(id) => (run.value = id)} />
          <ExampleBox />
        </section>
        <section class="pane detail" aria-label="Result" aria-live="polite">
          {run.value === '' ? (
            <p class="empty">The response appears here.</p>
          ) : (
            <Result key={run.value} run={run.value} />
          )}
        </section>
      </div>
    </main>
  )
}

function change(part: Partial<Draft>): void {
  draft.value = { ...draft.value, ...part }
}

function Form({ sent }: { sent: (run: string) => void }) {
  const problem = useSignal('')
  const isBusy = useSignal(false)
  const { headers, body } = draft.value
  const send = async (event: Event) => {
    event.preventDefault()
    if (isBusy.value) return
    isBusy.value = true
    problem.value = ''
    try {
      const made = await post<{ data: { executionId: string } }>('v1/try', callOf(draft.value))
      sent(made.data.executionId)
    } catch (error) {
      problem.value = sentenceOf(error)
    }
    isBusy.value = false
  }
  const pressed = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void send(event)
  }
  return (
    <form class="card" onSubmit={(event) => void send(event)} onKeyDown={pressed}>
      <Address />
      <label for="try-headers">Headers</label>
      <textarea
        id="try-headers"
        rows={3}
        spellcheck={false}
        placeholder="authorization: Bearer …"
        value={headers}
        onInput={(event) => change({ headers: event.currentTarget.value })}
      />
      <label for="try-body">
        Body <span class="quiet">{kindOf(body)}</span>
      </label>
      <textarea
        id="try-body"
        rows={8}
        spellcheck={false}
        placeholder={'{ "name": "Luke Skywalker" }'}
        value={body}
        onInput={(event) => change({ body: event.currentTarget.value })}
      />
      {problem.value !== '' && (
        <p class="notice bad" role="alert">
          {visible(problem.value)}
        </p>
      )}
      <Buttons isBusy={isBusy.value} />
    </form>
  )
}

function Buttons({ isBusy }: { isBusy: boolean }) {
  return (
    <div class="buttons">
      <span class="quiet">Ctrl + Enter sends it.</span>
      <span class="spring" />
      <button type="button" onClick={() => (draft.value = EMPTY)}>
        Clear
      </button>
      <button class="primary" disabled={isBusy}>
        {isBusy ? 'Sending …' : 'Send'}
      </button>
    </div>
  )
}

function Address() {
  const { method, url } = draft.value
  const methods = METHODS.includes(method) ? METHODS : [...METHODS, method]
  return (
    <>
      <label for="try-url">Address</label>
      <div class="address">
        <select
          aria-label="Method"
          value={method}
          onChange={(event) => change({ method: event.currentTarget.value })}
        >
          {methods.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <input
          id="try-url"
          type="text"
          inputMode="url"
          required
          spellcheck={false}
          autocomplete="off"
          placeholder="https://api.example.com/hook"
          value={url}
          onInput={(event) => change({ url: event.currentTarget.value })}
        />
      </div>
    </>
  )
}

/** Returns how a body is sent. */
function kindOf(body: string): string {
  if (body.trim() === '') return 'none'
  try {
    JSON.parse(body)
    return 'as JSON'
  } catch {
    return 'as text: it is not JSON'
  }
}

function Result({ run }: { run: string }) {
  const model = useMemo(() => new RunModel(run, '1'), [run])
  useEffect(() => model.follow(''), [model])
  const detail = model.detail.value
  const call = detail?.deliveries[0]
  const top = useRef<HTMLParagraphElement>(null)
  const isThere = call !== undefined
  useEffect(() => {
    // On a narrow screen it is below the form.
    if (isThere && isNarrow.peek()) top.current?.scrollIntoView()
  }, [isThere])
  if (!detail || !call) {
    const problem = model.error.value
    return problem === undefined ? (
      <div class="loading" aria-busy="true" />
    ) : (
      <p class="notice bad">{problem}</p>
    )
  }
  return (
    <>
      <p class="try-link" ref={top}>
        <a data-go href={href({ run, call: call.id })}>
          Open in its run
        </a>
      </p>
      <CallView call={call} calls={detail.deliveries} again={() => model.read()} />
    </>
  )
}
